"""The benchmark against plain models runs at a hundredth of its size, and its verdict is what the figures say."""

from dataclasses import replace

import pytest

from benchmarks.against_plain import Row, main


@pytest.mark.slow
def test_the_benchmark_runs_at_a_hundredth(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = main(None, only="few defaults, stepped", size=0.01, folds=2)
    assert 200 <= row.rows < 300
    assert row.holds == (row.line().split(" | ")[-1] == "yes |")
    assert "few defaults, stepped | 2" in capsys.readouterr().out


def test_a_loss_beyond_the_noise_does_not_hold() -> None:
    good = Row(
        name="a",
        rows=100,
        rarer=20,
        before=(0.7, 0.5),
        plain=(0.8, 0.4),
        best_plain="logistic",
        now=(0.798, 0.402),
        difference={"gain": 0.002, "low": 0.001, "high": 0.003},
        auc_interval=(-0.003, -0.001),
        seconds=1,
    )
    assert good.holds, "within 0.003"
    assert replace(good, now=(0.79, 0.402), auc_interval=(-0.02, 0.001)).holds, "within the interval"
    assert not replace(good, now=(0.79, 0.402), auc_interval=(-0.02, -0.001)).holds
    assert not replace(good, now=(0.798, 0.41), difference={"gain": 0.01, "low": 0.004, "high": 0.02}).holds
    assert replace(good, now=(0.798, 0.41), difference={"gain": 0.01, "low": -0.004, "high": 0.02}).holds
