"""A stream worker on an embedded broker, applications whose income has shifted, and what /metrics of a door says."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from features.spec.contract import Spec
from recipes.dataset import Dataset
from scoring.message.from_tables import to_messages
from tests.conftest import PROJECT
from tests.waiting import PATIENCE_S, wait_until

SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
SHIFTED = "annual_income"


class Metrics:
    """The text of /metrics, by name and labels."""

    def __init__(self, text: str) -> None:
        self.values = {(name, labels): float(value) for name, labels, value in SAMPLE.findall(text)}

    def __getitem__(self, name: str) -> float:
        return self.values[name, ""]

    def by(self, name: str, label: str) -> dict[str, float]:
        found = re.compile(rf'{label}="([^"]*)"')
        return {found.findall(labels)[0]: value for (own, labels), value in self.values.items() if own == name}


def shift(dataset: Dataset, spec: Spec) -> list[bytes]:
    """Return the applications of a data set with three times the income; nothing else has changed."""
    income = pl.col(SHIFTED)
    dearer = (income.str.strip_chars("_").cast(pl.Float64, strict=False) * 3).round(2).cast(pl.String)
    changed = dataset.applications.with_columns(pl.coalesce(dearer, income).alias(SHIFTED))
    return [m.body for m in to_messages(changed, dataset.events, spec)]


@contextmanager
def worker(brokers: str, port: int, bundle: Path, folder: Path, **settings: object) -> Iterator[None]:
    flags = {"bundle": bundle, "brokers": brokers, "delivery": "at-least-once", "health_port": port, **settings}
    command = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "TMPDIR": str(folder)}
    with (folder / "worker.log").open("w") as said:
        started = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "stream", "run", *command], stderr=said, env=environment, cwd=PROJECT
        )
    try:
        assert wait_until(lambda: "health at" in (folder / "worker.log").read_text())
        yield
    finally:
        started.terminate()
        assert started.wait(PATIENCE_S) == 0
