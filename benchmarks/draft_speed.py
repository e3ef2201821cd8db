"""How long `credit spec draft` takes, and how much memory: a table of text columns of every kind, as a CSV file.

`python -m benchmarks.draft_speed ROWS COLUMNS` prints one line of JSON: rows, columns, bytes, seconds, processor
seconds, mebibytes (the last three of the command alone; on a busy machine the processor seconds are what compares).
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

_SEED = 3
# The peak is asked for from within: what the kernel says of a child begins with the memory of the process that made it.
_RUN = """
import sys
from pathlib import Path
from cli.main import main
out = Path(sys.argv.pop(1))
try:
    main()
finally:
    status = Path("/proc/self/status").read_text().splitlines()
    out.write_text(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


def make_table(rows: int, columns: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Make applications with so many text columns, of ten kinds in turn, and labels."""
    generator = np.random.default_rng(_SEED)
    ids = pl.Series([f"A{i:08d}" for i in range(rows)])
    table = pl.DataFrame({"application_id": ids, "customer_id": ids}).with_columns(as_of=pl.lit("2026-01-15"))
    table = table.with_columns(_column(i, rows, generator) for i in range(columns))
    labels = pl.DataFrame({"application_id": ids, "credit_class": generator.choice([0, 1], rows, p=[0.8, 0.2])})
    return table, labels


def _column(number: int, rows: int, generator: np.random.Generator) -> pl.Series:
    whole, money = pl.Series(generator.integers(0, 80, rows)), pl.Series(generator.lognormal(9, 1, rows).round(2))
    counts = pl.Series(np.where(generator.random(rows) < 0.01, 98, generator.poisson(0.1, rows)))
    text = (
        whole.cast(pl.String),
        money.cast(pl.String),
        counts.cast(pl.String),
        money.cast(pl.String) + "%",
        whole.cast(pl.String) + " months",
        pl.Series(generator.choice(["Y", "N"], rows)),
        pl.Series(generator.choice(["own", "rent", "mortgage", ""], rows)),
        "$" + money.cast(pl.String),
        pl.Series(generator.integers(0, 9000, rows)).cast(pl.Date).cast(pl.String),
        pl.Series(generator.choice(["600-649", "650-699", "700+"], rows)),
    )
    return text[number % len(text)].rename(f"measure_{number}")


def measure(rows: int, columns: int) -> dict[str, Any]:
    """Draft once in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table, labels = make_table(rows, columns)
        table.write_csv(folder / "applications.csv")
        labels.write_csv(folder / "labels.csv")
        del table
        tables = ("--applications", folder / "applications.csv", "--labels", folder / "labels.csv")
        command = [
            *(sys.executable, "-c", _RUN, str(folder / "peak")),
            *("spec", "draft", *map(str, tables), "--out", str(folder / "spec.toml")),
        ]
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
        _, status, used = os.wait4(process.pid, 0)  # of this child alone, not of all that this process ever had
        seconds, process.returncode = time.monotonic() - began, os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        return {
            "rows": rows,
            "columns": columns,
            "bytes": (folder / "applications.csv").stat().st_size,
            "seconds": round(seconds, 1),
            "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
            "mebibytes": int((folder / "peak").read_text()) >> 10,
            "cores": len(os.sched_getaffinity(0)),
        }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))  # noqa: T201 - the result
