"""Run `credit monitor` and Evidently as processes, each timed with its peak memory, on the same decisions."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from receipts.log.read import frames
from scoring.bundle.bins import place
from scoring.bundle.folder import Bundle
from scoring.bundle.reference import read_reference

PACKAGES = ("evidently==0.7.23", "pandas<3", "pyarrow")  # it imports what pandas 3 took out
_SCRIPT = """
import json, resource, sys, time
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset
def psi(current, reference, page=None):
    snapshot = Report([DataDriftPreset(num_method="psi", cat_method="psi")]).run(current, reference)
    if page:
        snapshot.save_html(page)
    metrics = [(m.get("config", {}).get("column"), m["value"]) for m in json.loads(snapshot.json())["metrics"]]
    return {name: value for name, value in metrics if name and isinstance(value, (int, float))}
started = time.time()
reference, current = pd.read_parquet(sys.argv[1]), pd.read_parquet(sys.argv[2])
values = psi(current, reference, sys.argv[3])
seconds, used = time.time() - started, resource.getrusage(resource.RUSAGE_SELF)
same = psi(pd.read_parquet(sys.argv[5]), pd.read_parquet(sys.argv[4]))  # the same rows as bins of the bundle
print(json.dumps({"seconds": seconds, "gb": used.ru_maxrss / 1e6, "psi": values, "psi_in_frozen_bins": same}))
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
    measured = {"seconds": float(seconds), "gb": int(kilobytes) / 1e6, "exit": done.returncode}
    return {**measured, "first": [f["name"] for f in values[:3]], "first_by_psi": first, "psi": _whole(out, first)}


def _whole(out: Path, names: list[str]) -> dict[str, float]:
    """Return the PSI of these features in the whole window, from shares by bin without missing values."""
    courses = {c["name"]: c for c in json.loads(out.with_suffix(".json").read_text())["drift"]["courses"]}
    return {name: round(_psi(courses[name]["reference"][:-1], courses[name]["window"][:-1]), 4) for name in names}


def _psi(reference: list[float], window: list[float]) -> float:
    p, q = (np.maximum(np.array(shares), 1e-9) / sum(shares) for shares in (reference, window))
    return float(((q - p) * np.log(q / p)).sum())


def _evidently(bundle: Bundle, log: Path, folder: Path) -> dict[str, Any]:
    python = folder / "evidently-venv/bin/python"
    if not python.exists():
        _run([sys.executable, "-m", "venv", str(folder / "evidently-venv")])
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES])
    window = pl.concat(list(frames(log, bundle_id=bundle.bundle_id))).select(pl.col("^feature:.*$").name.map(_plain))
    window.write_parquet(folder / "window.parquet")
    _in_bins(pl.read_parquet(folder / "reference.parquet"), bundle).write_parquet(folder / "reference-bins.parquet")
    _in_bins(window, bundle).write_parquet(folder / "window-bins.parquet")
    (folder / "run_evidently.py").write_text(_SCRIPT)
    names = ("run_evidently.py", "reference.parquet", "window.parquet", "evidently.html")
    parts = [folder / name for name in (*names, "reference-bins.parquet", "window-bins.parquet")]
    done = subprocess.run([str(python), *map(str, parts)], capture_output=True, text=True, check=True)  # noqa: S603
    said = json.loads(done.stdout.splitlines()[-1])
    return {
        "seconds": round(said["seconds"], 2),  # without its imports
        "gb": said["gb"],
        "first_by_psi": _first(said["psi"]),
        "first_in_frozen_bins": _first(said["psi_in_frozen_bins"]),
    }


def _first(values: dict[str, float]) -> dict[str, float]:
    return {name: round(values[name], 4) for name in sorted(values, key=lambda name: -values[name])[:3]}


def _in_bins(rows: pl.DataFrame, bundle: Bundle) -> pl.DataFrame:
    """Return the bins of the bundle's reference as texts, so that both sides count the same; missing stays null."""
    columns = [rows[name].to_numpy() for name in rows.columns]
    found = {}
    for item in read_reference(bundle).items:
        places = place(item, columns)
        found[item.name] = pl.Series(places).replace(len(item.counts), None).cast(pl.String)
    return pl.DataFrame(found)


def _plain(name: str) -> str:
    return name.removeprefix("feature:")


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)  # noqa: S603 - commands of this file
