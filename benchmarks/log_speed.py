"""The decision log: what it costs the batch, how fast receipts are found among millions, and decided again.

    python -m benchmarks.log_speed score|find|replay [--applications 1000000] [--receipts 10000000] [--folder FOLDER]

`score` runs `credit score` without and with a log in turn, `--rounds` times, and compares the medians. `find` asks for
ids that are there and ids that are not, each in a process of its own, start included. `replay` decides receipts that
hold the feature row, and receipts that hold the application with its events, again. Commands run as a user runs them.
"""

import argparse
import json
import shutil
import statistics
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.lender import make_lender
from benchmarks.score_end_to_end import Run, figures, make_model, measured
from receipts.frame import receipts_of
from receipts.log.chain import Chain
from recipes.synthetic import synthetic
from scoring.scorer import Scorer

CREDIT = [sys.executable, "-m", "cli.main"]


def score(lender: Path, model: Path, *options: str) -> Run:
    """Run `credit score`."""
    inputs = [f"--{name}={lender / name}.parquet" for name in ("applications", "events")]
    out = f"--out={lender / 'decisions.parquet'}"
    return measured([*CREDIT, "score", f"--bundle={model / 'bundle'}", *inputs, out, *options])


def measure_score(folder: Path, applications: int, rounds: int) -> dict[str, Any]:
    """Compare runs without and with a log."""
    model, lender, log = make_model(folder), make_lender(folder, applications), folder / "score-log"
    runs: dict[str, list[Run]] = {"off": [], "on": []}
    for _ in range(rounds):
        runs["off"].append(score(lender, model))
        shutil.rmtree(log, ignore_errors=True)
        runs["on"].append(score(lender, model, f"--log={log}"))
    size = sum(path.stat().st_size for path in log.rglob("*") if path.is_file())
    medians = {name: statistics.median(run.seconds for run in some) for name, some in runs.items()}
    return {
        "applications": applications,
        **{name: [figures(run) for run in some] for name, some in runs.items()},
        "ratio": round(medians["on"] / medians["off"], 3),
        "ratio_of_core_seconds": round(_cores(runs["on"]) / _cores(runs["off"]), 3),
        "log_bytes_a_receipt": round(size / applications),
    }


def _cores(runs: list[Run]) -> float:
    return statistics.median(run.core_seconds for run in runs)


def make_log(folder: Path, receipts: int, rows: int) -> Path:
    """Write a log of so many receipts, `rows` in a segment, each with ids of its own."""
    log = folder / f"log-{receipts}-{rows}"
    if (log / ".complete").exists():
        return log
    shutil.rmtree(log, ignore_errors=True)
    scorer = Scorer.open(make_model(folder) / "bundle")
    dataset = synthetic(10_000, seed=3)
    scored = scorer.score(dataset.applications, dataset.events)
    origin = pl.DataFrame({"row": np.arange(scored.decisions.height)}).with_columns(
        door=pl.lit("batch"), decided_at=pl.lit(datetime(2026, 1, 1, tzinfo=UTC))
    )
    base = receipts_of(scored.decisions, scored.features, origin, scorer.bundle.spec)
    base = pl.concat([base] * -(-rows // base.height)).head(rows)
    with Chain.open(log, "batch-1") as chain:
        for number in range(-(-receipts // rows)):
            at = pl.int_range(pl.len()) + number * rows
            ids = [pl.format("{}-{}", name, at).alias(name) for name in ("application_id", "customer_id")]
            chain.seal(base.with_columns(*ids, pl.format("{}{}", at, "decision_id").alias("decision_id")))
    (log / ".complete").touch()
    return log


def measure_find(folder: Path, receipts: int, rows: int) -> dict[str, Any]:
    """Ask for ids in a log; seconds with the start of the command."""
    log = make_log(folder, receipts, rows)
    last = json.loads(_find(log, "--application-id", _some_id(log))[1])
    found = [
        _find(log, f"--{kind.replace('_', '-')}", last[0]["decision"][kind])[0]
        for kind in ("application_id", "customer_id", "decision_id")
    ]
    return {"receipts": receipts, "segments": -(-receipts // rows), "seconds": [round(s, 2) for s in found]}


def _some_id(log: Path) -> str:
    folder = sorted((log / "writers/batch-1").iterdir())[-2]
    return str(pl.scan_parquet(folder / "receipts.0.parquet").select("application_id").slice(777, 1).collect().item())


def _find(log: Path, *options: str) -> tuple[float, str]:
    out = log.with_suffix(".json")
    command = ["sh", "-c", f'exec "$@" > {out}', "sh", *CREDIT, "log", "find", str(log), *options, "--json"]
    return measured(command).seconds, out.read_text()


def measure_replay(folder: Path, applications: int) -> dict[str, Any]:
    """Replay receipts of a run with the feature row, and a tenth of them with the application and its events."""
    model, result = make_model(folder), {}
    for content, rows in (("features", applications), ("full", applications // 10)):
        log, lender = folder / f"replay-{content}", make_lender(folder, rows)
        shutil.rmtree(log, ignore_errors=True)
        score(lender, model, f"--log={log}", f"--receipts={content}")
        run = measured([*CREDIT, "replay", str(log), f"--bundles={model / 'bundles'}"])
        result[content] = {"receipts": rows, **figures(run), "a_second": round(rows / run.seconds)}
    return result


def main(part: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one part."""
    options.folder.mkdir(parents=True, exist_ok=True)
    if part == "score":
        return measure_score(options.folder, options.applications, options.rounds)
    if part == "find":
        return measure_find(options.folder, options.receipts, options.segment_rows)
    return measure_replay(options.folder, options.applications)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=["score", "find", "replay"])
    parser.add_argument("--applications", type=int, default=1_000_000)
    parser.add_argument("--receipts", type=int, default=10_000_000)
    parser.add_argument("--segment-rows", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/credit-bench"))  # noqa: S108 - a default to change
    chosen = parser.parse_args()
    sys.stdout.write(json.dumps(main(chosen.part, chosen), indent=2) + "\n")
