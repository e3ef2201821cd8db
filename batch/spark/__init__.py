"""Door 1 on a cluster: Apache Spark carries rows to the same `Scorer` and its decisions to a folder of part files.

Needs the extra `spark`; on executors only the product, `pyarrow` and `pyspark` are needed.
"""

from batch.spark.job import SparkJob, run_on_spark
from batch.spark.session import open_session, translated

__all__ = ["SparkJob", "open_session", "run_on_spark", "translated"]
