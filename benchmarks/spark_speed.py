"""`credit score` through Apache Spark against one machine, and two workers of a core each against one.

    python -m benchmarks.spark_speed [--applications 100000] [--folder FOLDER] [--against CHECKOUT] [--workers]

Start-up is set apart: what Spark takes is the sum of the run manifest's stages. `--against`: the checkout of another
commit whose `credit score` is run as well. Outputs are compared, sorted by application id.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.lender import make_lender
from benchmarks.score_end_to_end import figures, make_model, measured
from storage.table_writer import encode

PROJECT = Path(__file__).resolve().parents[1]
_SUBMIT = ["spark-submit", "--conf", "spark.ui.enabled=false", "--driver-memory", "1g"]


def main(applications: int, folder: Path, against: Path | None, *, workers: bool) -> dict[str, Any]:
    """Measure and return all figures."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    model, lender = make_model(folder), make_lender(folder, applications)
    given = [f"--bundle={model / 'bundle'}", *[f"--{n}={lender / n}.parquet" for n in ("applications", "events")]]
    here = lender / "decisions.parquet"
    found: dict[str, Any] = {"applications": applications}
    if against is not None:
        command = [
            "env",
            f"--chdir={against}",
            f"PYTHONPATH={against}",
            sys.executable,
            "-m",
            "cli.main",
            "score",
            *given,
            f"--out={here}",
        ]
        found["against"] = figures(measured(command))
    found["credit_score"] = figures(measured([sys.executable, "-m", "cli.main", "score", *given, f"--out={here}"]))
    expected = _digest(pl.read_parquet(here))
    found["local[2]"] = _spark("local[2]", lender / "spark", given, expected)
    base = found.get("against", found["credit_score"])
    found["times_of_credit_score"] = round(found["local[2]"]["seconds_without_start"] / base["seconds"], 2)
    if workers:
        found |= _workers(folder / "spark-cluster", lender, given, expected)
    return found


def _workers(data: Path, lender: Path, given: list[str], expected: str) -> dict[str, Any]:
    ports = "17077 17078 17079 17080 17081 17082"
    environment = {**os.environ, "SPARK_DATA": str(data), "SPARK_PORTS": ports, "PYTHON": sys.executable}
    cluster = subprocess.Popen(  # noqa: S603 - ours
        [PROJECT / "batch/spark/cluster.sh"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        found = {
            f"workers_{cores}": _spark("spark://127.0.0.1:17077", lender / "spark", given, expected, cores)
            for cores in (1, 2)
        }
    finally:
        cluster.terminate()
        cluster.wait()
    one, two = (found[f"workers_{cores}"]["seconds_without_start"] for cores in (1, 2))
    return {**found, "two_workers_times_faster": round(one / two, 2)}


def _spark(master: str, out: Path, given: list[str], expected: str, cores: int = 2) -> dict[str, Any]:
    settings = ["--master", master, "--conf", f"spark.cores.max={cores}"]
    script = str(PROJECT / "cli/spark/submit.py")
    run = measured([*_SUBMIT, *settings, script, *given, f"--out={out}"])
    manifest = json.loads((out / "_run.json").read_text())
    if _digest(pl.concat([pl.read_parquet(out / name) for name in manifest["outputs"] if name[0] == "p"])) != expected:
        raise SystemExit(f"{master}: the decisions are others than those of `credit score`")
    stages = manifest["seconds"]
    return {**figures(run), "seconds_without_start": round(sum(stages.values()), 1), "stages": stages}


def _digest(decisions: pl.DataFrame) -> str:
    return hashlib.sha256(encode(decisions.sort("application_id"), ".parquet")).hexdigest()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--applications", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/credit-bench"))  # noqa: S108 - a default to change
    parser.add_argument("--against", type=Path)
    parser.add_argument("--workers", action="store_true")
    options = parser.parse_args()
    figures_found = main(options.applications, options.folder, options.against, workers=options.workers)
    print(json.dumps(figures_found, indent=2))  # noqa: T201
