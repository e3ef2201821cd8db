"""The session of a run: of the cluster that spark-submit names, else of this machine."""

import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from features.errors import DeliveryError, SettingsError

_LACKS = re.compile(r"ModuleNotFoundError: No module named '(\w+)")
_OURS = re.compile(r"features\.errors\.DeliveryError: ([^\n]+)")  # of a task; it names no value of a customer
_VERSIONS = re.compile(r"PYTHON_VERSION_MISMATCH")
_SETTINGS = {
    "spark.executorEnv.POLARS_MAX_THREADS": "1",  # a task has one core
    "spark.executorEnv.OMP_NUM_THREADS": "1",
}
_CARRYING = {  # cells are large, so few make a batch
    "spark.sql.execution.arrow.maxRecordsPerBatch": "16",
    "spark.sql.adaptive.enabled": "false",  # a bucket is a task, however small
}


@contextmanager
def open_session() -> Iterator[SparkSession]:
    """Begin a session, and end it with the block.

    Raises:
        SettingsError: this Spark is too old, or executors lack the product.
        DeliveryError: Spark failed.

    """
    if not hasattr(DataFrame, "repartitionById"):
        raise SettingsError(
            "this Spark has no DataFrame.repartitionById. Expected Apache Spark 4.1 or later on the driver and all "
            "executors."
        )
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    with translated(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")  # it is not used
        builder = SparkSession.builder.appName("credit score")
        for name, value in _SETTINGS.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        try:
            for name, value in _CARRYING.items():
                session.conf.set(name, value)
            yield session
        finally:
            session.stop()


@contextmanager
def translated() -> Iterator[None]:
    """Turn errors of Spark into one that says who must act; their own text may hold cells, so it is not passed on."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        text = str(error)
        lacking = _LACKS.search(text)
        if lacking or _VERSIONS.search(text):
            what = f"has no {lacking[1]!r}" if lacking else "is of another version than the driver's"
            raise SettingsError(
                f"Spark: the Python of an executor {what}. Give executors the same environment as the driver: see "
                "docs/spark.md."
            ) from error
        ours = _OURS.search(text)
        if ours:
            raise DeliveryError(f"Spark: a job failed: {ours[1]}") from error
        raise DeliveryError(
            f"Spark: a job failed ({type(error).__name__}); what the executors said is in their logs. The previous "
            "output is as it was."
        ) from error
