"""A real standalone Apache Spark for the tests, started by the lines that `make spark` runs."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.conftest import PROJECT
from tests.waiting import free_port, wait_until

_STARTER = ThreadPoolExecutor(max_workers=1)  # the thread that a process must not outlive
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # a JVM that lives for seconds need not compile much
_OPTIONS = ("--driver-memory", "1g", "--executor-memory", "1g", "--driver-java-options", QUICK)
_SETTINGS = ("spark.ui.enabled=false", f"spark.executor.extraJavaOptions={QUICK}")


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "SPARK_LOCAL_IP": "127.0.0.1"}


def spark_submit(master: str, *arguments: object) -> "subprocess.Popen[str]":
    """Start `spark-submit` as a user does, with the environment of the tests on the PATH."""
    settings = [part for setting in _SETTINGS for part in ("--conf", setting)]
    command = ["spark-submit", "--master", master, *_OPTIONS, *settings, *map(str, arguments)]
    return subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def script() -> str:
    done = subprocess.run(["credit", "spark", "script"], env=environment(), capture_output=True, text=True, check=True)
    return done.stdout.strip()


class SparkCluster:
    """A master and two workers on loopback."""

    def __init__(self, process: "subprocess.Popen[bytes]", master: str) -> None:
        self.process, self.master = process, master

    def python_workers(self) -> list[psutil.Process]:
        """The Python workers of the executors, which run tasks; each was forked by a daemon."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        return [p for p in found if _is_python(p) and _is_python(p.parent())]


def _is_python(process: psutil.Process | None) -> bool:
    try:
        return process is not None and "pyspark.daemon" in process.cmdline()
    except psutil.Error:
        return False


@contextmanager
def spark_cluster(data: Path) -> Iterator[SparkCluster]:
    ports = [free_port() for _ in range(6)]
    variables = {"SPARK_DATA": str(data), "SPARK_PORTS": " ".join(map(str, ports)), "PYTHON": sys.executable}
    data.mkdir()
    with (data / "cluster.log").open("w") as said:
        command = ["setpriv", "--pdeathsig", "TERM", str(PROJECT / "batch/spark/cluster.sh")]
        start = _STARTER.submit(subprocess.Popen, command, env=environment() | variables, stdout=said, stderr=said)
        process = start.result()
        try:
            ready = wait_until(lambda: process.poll() is not None or _registered(data / "master.log") == 2)
            assert ready
            assert process.poll() is None, (data / "cluster.log").read_text()
            yield SparkCluster(process, f"spark://127.0.0.1:{ports[0]}")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _registered(log: Path) -> int:
    return log.read_text().count("Registering worker") if log.exists() else 0
