"""The benchmark of directions runs at a small size: prices, reasons and the sweep."""

import pytest

from benchmarks.directions import main
from training.fit.fit import ModelKind


def test_it_prices_and_sweeps(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("synthetic", 70, 5_000, (ModelKind.DECISION_TREE,)) >= 5_000
    said = capsys.readouterr().out
    for text in ("cost of directions: log loss", "contradicting", "0 against a direction"):
        assert text in said
