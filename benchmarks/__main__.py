"""Run all speed benchmarks and write benchmarks/results/SIZE.json and SIZE.md: `make bench`, `make bench-full`.

    python -m benchmarks hundredth|tenth|full [--folder FOLDER] [--results FOLDER]

Each part runs as a process of its own, so that nothing warms up anything. The tables give ratios of one run on one
machine; they are figures to read, never a test.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from scoring.machine import cpu_family, library_versions

SIZES = {"hundredth": 100, "tenth": 10, "full": 1}  # the first is for the tests, so that none breaks unseen
_DRAFTED_COLUMNS = 150
RESULTS = Path(__file__).parent / "results"


def run(module: str, *arguments: object, threads: int | None = None) -> dict[str, Any]:
    """Run one benchmark and return what it printed."""
    environment = {**os.environ, **({} if threads is None else {"POLARS_MAX_THREADS": str(threads)})}
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    sys.stderr.write(f"{' '.join(command[1:])}\n")
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - ours
    return dict(json.loads(done.stdout))


def main(size: str, folder: Path, results: Path) -> None:
    """Measure everything and write both files."""
    share = SIZES[size]
    customers = ("--customers", 400 if size == "hundredth" else 4000)  # of training
    applications = 1_000_000 // share
    folder.mkdir(parents=True, exist_ok=True)
    result = {
        "machine": {"cpu": cpu_family(), "cores": len(os.sched_getaffinity(0)), "python": platform.python_version()},
        "libraries": library_versions("polars", "numpy", "onnxruntime", "duckdb", "pandas", "xgboost-cpu"),
        "score": run("score_end_to_end", "--applications", applications, "--folder", folder, *customers),
        "stages": run("stages", folder / f"lender-{applications}", folder / "model" / "bundle", threads=1),
        "rfm": run("rfm_speed", "--events", 20_000_000 // share, "--applications", 500_000 // share, threads=1),
        "onnx": run("onnx_speed", "--rows", min(100_000, 1_000_000 // share), *customers),
        "store": run("store_speed", "--applications", applications // 10, "--folder", folder),
        "spark": run("spark_speed", "--applications", applications // 10, "--folder", folder),
        "draft": run("draft_speed", applications, _DRAFTED_COLUMNS),
    }
    results.mkdir(exist_ok=True)
    (results / f"{size}.json").write_text(json.dumps(result, indent=2) + "\n")
    (results / f"{size}.md").write_text(as_markdown(size, result))
    sys.stdout.write(as_markdown(size, result))


def as_markdown(size: str, result: dict[str, Any]) -> str:
    """Lay the figures out as tables."""
    score, rfm, onnx = result["score"], result["rfm"], result["onnx"]
    lines = [f"# Benchmarks, {size} size", "", f"{result['machine']}, {result['libraries']}", ""]
    lines += [f"## `credit score`, {score['applications']:,} applications, {score['events']:,} events", ""]
    lines += table(
        ("run", "seconds", "core seconds", "peak memory, GB"),
        [
            (n.replace("_", " "), *score[n].values())
            for n in score
            if isinstance(score[n], dict) and "peak_gb" in score[n]
        ],
    )
    summary = (
        f"{score['times_faster_than_script']} times faster than the script, on {score['equal_applications']:,} equal "
        f"decisions; {score['memory_against_a_tenth']} times the memory of a tenth of the size. "
        f"Seconds by stage: {score['seconds']}."
    )
    lines += [summary, ""]
    lines += ["## Scoring by stage, one thread, microseconds an application", ""]
    lines += table(("stage", "us"), list(result["stages"].items()))
    lines += [f"## RFM, {rfm['events']:,} events, {rfm['applications']:,} applications, one thread each", ""]
    cases = {name: case for name, case in rfm.items() if isinstance(case, dict)}
    rows = [(name, case["seconds"], *_ratios(case)) for name, case in cases.items()]
    lines += table(("case", "seconds", "against DuckDB", "against pandas"), rows)
    lines += [f"One application alone, 30 events: {rfm['alone_ms']} ms.", "", "## ONNX against XGBoost, one thread", ""]
    lines += [*table(("figure", "value"), list(onnx.items())), "## From an object store on loopback, and on Spark", ""]
    elsewhere = [*result["store"].items(), *[pair for pair in result["spark"].items() if pair[0] != "applications"]]
    lines += [*table(("figure", "value"), elsewhere), "## `credit spec draft`", ""]
    return "\n".join(lines + table(("figure", "value"), list(result["draft"].items())))


def _ratios(case: dict[str, Any]) -> list[object]:
    return [case.get(f"times_faster_than_{name}", "not run") for name in ("duckdb", "pandas")]


def table(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[str]:
    """Return the lines of a Markdown table, and a blank one."""
    cells = [header, tuple("---" for _ in header), *rows]
    return [*(f"| {' | '.join(str(cell) for cell in row)} |" for row in cells), ""]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/credit-bench"))  # noqa: S108 - a default to change
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    main(options.size, options.folder, options.results)
