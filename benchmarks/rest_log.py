"""What the decision log costs the REST door: the same load with log on and off, beside bare flushes of the same disk.

    python -m benchmarks.rest_log BUNDLE [--folder /tmp/credit-bench] [--seconds 10] [--rounds 3]

One worker on one core, 500 requests a second of one application with 30 events from another core; log off and on in
turn, receipts sealed every 5 seconds on the worker's own core.
A bare flush writes as many bytes as one commit of the outbox holds and waits for the disk.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.rest_speed import PORT, RATE, load, serving, write_bodies
from receipts.log.read import frames
from scoring.scorer import Scorer

_CONNECTIONS = 64
_SERVE = [sys.executable, "-m", "cli.main", "serve", "--no-auth", "--rate-limit", "0", "--port", str(PORT)]
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "CREDIT_API_SEAL_SECONDS": "5"}
_FLUSHES = 500


def measure(bundle: Path, body: Path, seconds: float, log: Path | None) -> dict[str, Any]:
    """Run a server for itself and load it at the rate."""
    more = [] if log is None else ["--log", str(log)]
    with serving([*_SERVE, "--bundle", str(bundle), *more], "/readyz", _ENVIRONMENT) as server:
        before = server.core_seconds()
        figures = load("/v1/score", body, _CONNECTIONS, seconds, RATE)
        figures["core_us"] = round(1e6 * (server.core_seconds() - before) / figures["requests"])
        figures |= rounds() if log is not None else {}
    return figures


def rounds() -> dict[str, float]:
    """Return how many applications were scored together, and so how many receipts a commit holds."""
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=10) as answer:
        lines = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#"))
    name = "credit_rest_round_applications"
    return {"receipts_a_commit": float(lines[f"{name}_sum"]) / float(lines[f"{name}_count"])}


def bare_flush(folder: Path, size: int) -> dict[str, float]:
    """Write and flush `size` bytes again and again, at the pace of the commits; milliseconds."""
    took = []
    with (folder / "flushed").open("wb") as file:
        for _ in range(_FLUSHES):
            began = time.perf_counter()
            file.write(os.urandom(size))
            file.flush()
            os.fdatasync(file.fileno())
            took.append(1000 * (time.perf_counter() - began))
            time.sleep(0.004)
    took.sort()
    return {"p50_ms": round(took[_FLUSHES // 2], 3), "p99_ms": round(took[int(0.99 * _FLUSHES)], 3)}


def main(bundle: Path, folder: Path, seconds: float, repeats: int) -> dict[str, Any]:
    """Measure in turn and return the figures."""
    folder.mkdir(parents=True, exist_ok=True)
    body = write_bodies(Scorer.open(bundle), folder)["application"]
    log, off, on = folder / "rest-log", [], []
    shutil.rmtree(log, ignore_errors=True)
    for _ in range(repeats):
        off.append(measure(bundle, body, seconds, None))
        on.append(measure(bundle, body, seconds, log))
    kept = sum(frame.height for frame in frames(log, columns=["decision_id"]))
    commit = statistics.median(f["receipts_a_commit"] for f in on)
    size = round(commit * pl.concat(frames(log, columns=["application"]))["application"].str.len_bytes().mean())
    result: dict[str, Any] = {"off": off, "on": on, "bare": bare_flush(folder, 2 * size), "bytes_a_commit": 2 * size}
    result["receipts_of_requests"] = [kept, sum(f["requests"] for f in on)]
    for name in ("p50_ms", "p99_ms"):
        result[f"grows_{name}"] = round(
            statistics.median(f[name] for f in on) - statistics.median(f[name] for f in off), 2
        )
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/credit-bench"))  # noqa: S108 - a default to change
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    sys.stdout.write(
        json.dumps(main(options.bundle.resolve(), options.folder, options.seconds, options.rounds), indent=1) + "\n"
    )
