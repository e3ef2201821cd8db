"""Run `credit monitor` and Evidently as processes, each timed with its peak memory, on the same decisions."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl

from receipts.read import frames
from scoring.bundle import Bundle

PACKAGES = ("evidently==0.7.23", "pandas<3", "pyarrow")  # it imports what pandas 3 took out
_SCRIPT = """
import json, resource, sys, time
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset
started = time.time()
reference, current = pd.read_parquet(sys.argv[1]), pd.read_parquet(sys.argv[2])
snapshot = Report([DataDriftPreset(num_method="psi", cat_method="psi")]).run(current, reference)
snapshot.save_html(sys.argv[3])
values = {}
for metric in json.loads(snapshot.json())["metrics"]:
    name = metric.get("config", {}).get("column")
    if name and isinstance(metric["value"], (int, float)):
        values[name] = metric["value"]
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": time.time() - started, "gb": used.ru_maxrss / 1e6, "psi": values}))
"""


def compare(bundle: Bundle, log: Path, folder: Path, rows: int) -> dict[str, Any]:
    """Measure `credit monitor` on the log and, with `rows`, both on so many of its decisions."""
    found: dict[str, Any] = {"log": _monitor(bundle, log, folder / "monitor.html")}
    if rows:
        small = folder / f"log-{rows}"
        found["same_rows"] = rows
        found["credit_monitor"] = _monitor(bundle, small, folder / "small.html")
        found["evidently"] = _evidently(bundle, small, folder)
        found["times_faster"] = round(found["evidently"]["seconds"] / found["credit_monitor"]["seconds"], 1)
    return found


def _monitor(bundle: Bundle, log: Path, out: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "cli.main", "monitor", str(log), "--bundle", str(bundle.path), "--out", str(out)]
    timed = ["/usr/bin/env", "time", "-f", "%e %M", *command]
    done = subprocess.run(timed, capture_output=True, text=True, check=False)  # noqa: S603 - a command of this file
    seconds, kilobytes = done.stderr.strip().splitlines()[-1].split()
    ranking = json.loads(out.with_suffix(".json").read_text())["drift"]["ranking"]
    values = [f for f in ranking if f["kind"] == "values"]
    first = [f["name"] for f in sorted(values, key=lambda f: -f["psi"])[:3]]
    return {"seconds": float(seconds), "gb": int(kilobytes) / 1e6, "exit": done.returncode, "first_by_psi": first}


def _evidently(bundle: Bundle, log: Path, folder: Path) -> dict[str, Any]:
    python = folder / "evidently-venv/bin/python"
    if not python.exists():
        _run([sys.executable, "-m", "venv", str(folder / "evidently-venv")])
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES])
    window = pl.concat(list(frames(log, bundle_id=bundle.bundle_id))).select(pl.col("^feature:.*$").name.map(_plain))
    window.write_parquet(folder / "window.parquet")
    (folder / "run_evidently.py").write_text(_SCRIPT)
    parts = [folder / name for name in ("run_evidently.py", "reference.parquet", "window.parquet", "evidently.html")]
    started = time.monotonic()
    done = subprocess.run([str(python), *map(str, parts)], capture_output=True, text=True, check=True)  # noqa: S603
    said = json.loads(done.stdout.splitlines()[-1])
    first = sorted(said["psi"], key=lambda name: -said["psi"][name])[:3]
    return {"seconds": round(time.monotonic() - started, 2), "gb": said["gb"], "first_by_psi": first}


def _plain(name: str) -> str:
    return name.removeprefix("feature:")


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)  # noqa: S603 - commands of this file
