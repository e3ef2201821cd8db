"""`credit score` from Parquet to decisions, against an expert's pandas and XGBoost script, and where the time goes.

    python -m benchmarks.score_end_to_end [--applications 1000000] [--folder /tmp/credit-bench]

Both run as processes of their own on the same files, pinned to two cores; seconds are from start to end, memory is the
peak of the resident memory of the process and its children together. Classes must be equal and probabilities within
1e-6 on every application. The product also runs at a tenth of the size and from CSV, for memory.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import psutil

from benchmarks.lender import make_lender
from features.spec.file import parse_spec
from model_export.export import export
from recipes.synthetic import synthetic
from training.data import TrainingData
from training.fit.fit import OrdinalXgboost
from training.run import train

CORES = 2


@dataclass(frozen=True, slots=True)
class Run:
    """What a process and its children needed: seconds of wall time and of all cores, bytes of memory at the peak."""

    seconds: float
    core_seconds: float
    peak_bytes: int


def measured(command: list[str]) -> Run:
    """Run a command on two cores and watch the memory of its whole tree."""
    start, before = time.perf_counter(), _core_seconds()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL)
    process.cpu_affinity(sorted(os.sched_getaffinity(0))[:CORES])
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.05):
            peak = max(peak, _resident(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    if code:
        raise SystemExit(f"{command} ended with {code}")
    return Run(seconds, _core_seconds() - before, peak)


def _core_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _resident(process: psutil.Process) -> int:
    total = 0
    try:
        for member in (process, *process.children(recursive=True)):
            total += member.memory_info().rss
    except psutil.NoSuchProcess:
        return total
    return total


def make_model(folder: Path, customers: int = 4000) -> Path:
    """Train the model of a lender; leave it as a bundle for the product, and as XGBoost and JSON for the script."""
    made = folder / "model"
    if not (made / "policy.json").exists():
        dataset = synthetic(customers, seed=7)
        spec = parse_spec(dataset.spec_text)
        trained = train(TrainingData(dataset.applications, dataset.events, dataset.labels), spec)
        bundle = export(trained, made / "bundles")
        (made / "bundle").symlink_to(bundle)
        if not isinstance(trained.model, OrdinalXgboost):
            raise TypeError("the script runs XGBoost")
        for number, booster in enumerate(trained.model.boosters):
            booster.save_model(made / f"model-{number}.ubj")
        facts = {
            "scale": trained.calibration.scale.tolist(),
            "offset": trained.calibration.offset.tolist(),
            "classes": spec.classes,
            "costs": trained.policy.costs,
        }
        (made / "policy.json").write_text(json.dumps(facts))
    return made


def score(lender: Path, model: Path, suffix: str = ".parquet") -> tuple[Run, dict[str, Any]]:
    """Run the product; return what it needed and its own seconds by stage."""
    out = lender / "decisions.parquet"
    inputs = [f"--{name}={lender / name}{suffix}" for name in ("applications", "events")]
    command = [sys.executable, "-m", "cli.main", "score", f"--bundle={model / 'bundle'}", *inputs, f"--out={out}"]
    run = measured(command)
    manifest = json.loads(out.with_name("decisions.run.json").read_text())
    return run, {name: manifest[name] for name in ("applications", "events", "decisions", "seconds")}


def check_equal(lender: Path) -> int:
    """Fail unless product and script agree on every application; return how many."""
    ours, theirs = pl.read_parquet(lender / "decisions.parquet"), pl.read_parquet(lender / "script.parquet")
    joined = ours.join(theirs, on="application_id", how="full", suffix="_script")
    names = [name for name in ours.columns if name.startswith("p_")]
    apart = joined.select((pl.col(name) - pl.col(f"{name}_script")).abs().max() for name in names).row(0)
    equal = (joined["credit_class"].eq_missing(joined["credit_class_script"])).all()
    if not equal or max(apart) > 1e-6:
        raise SystemExit(f"product and script differ: classes equal {equal}, probabilities {apart}")
    return joined.height


def as_csv(lender: Path) -> None:
    """Write the same tables as CSV."""
    for name in ("applications", "events"):
        if not (lender / f"{name}.csv").exists():
            form = "%Y-%m-%dT%H:%M:%S%.6fZ"
            pl.scan_parquet(lender / f"{name}.parquet").sink_csv(lender / f"{name}.csv", datetime_format=form)


def main(applications: int, folder: Path, customers: int) -> dict[str, Any]:
    """Measure and return all figures."""
    model, whole = make_model(folder, customers), make_lender(folder, applications)
    tenth = make_lender(folder, applications // 10)
    script = measured([sys.executable, "-m", "benchmarks.score_pandas", str(whole), str(model)])
    product, facts = score(whole, model)
    equal = check_equal(whole)
    small, _ = score(tenth, model)
    as_csv(whole)
    text, _ = score(whole, model, ".csv")
    return {
        **facts,
        "equal_applications": equal,
        "product": figures(product),
        "script": figures(script),
        "product_at_a_tenth": figures(small),
        "product_from_csv": figures(text),
        "times_faster_than_script": round(script.seconds / product.seconds, 2),
        "memory_against_a_tenth": round(product.peak_bytes / small.peak_bytes, 2),
    }


def figures(run: Run) -> dict[str, float]:
    """Return a run as it stands in tables."""
    return {
        "seconds": round(run.seconds, 1),
        "core_seconds": round(run.core_seconds, 1),
        "peak_gb": round(run.peak_bytes / 1e9, 2),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--applications", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/credit-bench"))  # noqa: S108 - a default to change
    parser.add_argument("--customers", type=int, default=4000, help="of training")
    options = parser.parse_args()
    print(json.dumps(main(options.applications, options.folder, options.customers), indent=2))  # noqa: T201
