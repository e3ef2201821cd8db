"""`credit score` on Apache Spark: the same bits, whatever cuts the tables; the output appears whole or not at all."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from scoring.scorer import Scorer
from tests.conftest import PROJECT
from tests.spark_night import SparkNight, made_night

pytestmark = [pytest.mark.process, pytest.mark.slow]
CUSTOMERS = 2_500
_QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # a JVM that lives for seconds need not compile much
_SUBMIT = ("--conf", "spark.ui.enabled=false", "--driver-memory", "1g", "--driver-java-options", _QUICK)


@pytest.fixture(scope="module")
def nights(scorer: Scorer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, SparkNight]:
    folder = tmp_path_factory.mktemp("nights")
    return {s: made_night(folder / s, scorer, f".{s}", CUSTOMERS) for s in ("csv", "parquet")}


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "SPARK_LOCAL_IP": "127.0.0.1", "PYTHONPATH": str(PROJECT)}


def run_all(master: str, bundle: Path, jobs: list[dict[str, Any]]) -> list[list[str]]:
    program = [str(PROJECT / "tests/spark_runs.py"), str(bundle), json.dumps(jobs, default=str)]
    done = subprocess.run(
        ["spark-submit", "--master", master, *_SUBMIT, *program],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def submit(master: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    script = subprocess.run(
        ["credit", "spark", "script"], env=environment(), capture_output=True, text=True, check=True
    )
    command = ["spark-submit", "--master", master, *_SUBMIT, script.stdout.strip(), *map(str, arguments)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)


def test_the_same_bits_from_csv_and_parquet_in_any_number_of_buckets(
    nights: dict[str, SparkNight], bundle: Path, tmp_path: Path
) -> None:
    assert nights["csv"].manifest["rejects_by_code"]["application_id_repeated"] == 8
    jobs: list[dict[str, Any]] = [
        {"applications": nights[s].applications, "events": nights[s].events, "out": tmp_path / f"{s}-{n}", "buckets": n}
        for s, n in (("csv", 1), ("csv", 7), ("parquet", 3))
    ]
    assert run_all("local[2,4]", bundle, jobs) == [["", ""]] * len(jobs)
    for job in jobs:
        assert nights[job["out"].name.split("-")[0]].differences(job["out"]) == [], job
    assert len(pl.read_parquet(tmp_path / "csv-7" / "*.parquet")) == nights["csv"].manifest["decisions"]


def test_the_script_ends_as_credit_score_does(nights: dict[str, SparkNight], bundle: Path, tmp_path: Path) -> None:
    night, out = nights["csv"], tmp_path / "out"
    given = ("--bundle", bundle, "--applications", night.applications, "--events", night.events, "--out", out)
    done = submit("local[1]", *given)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "application_id_repeated" in done.stdout
    assert night.differences(out) == []
