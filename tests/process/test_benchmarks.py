"""Benchmarks run at a hundredth of their size, so that none breaks unseen. What they measure is no matter here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT

pytestmark = [pytest.mark.process, pytest.mark.slow]


def test_all_speed_benchmarks_run_and_their_outputs_agree(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "hundredth", f"--folder={tmp_path}", f"--results={tmp_path}"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "hundredth.json").read_text())
    assert result["score"]["equal_applications"] == result["score"]["decisions"] > 9_000
    assert done.stdout == (tmp_path / "hundredth.md").read_text()
