"""docs/in-production.md holds: the table of exit codes, the unit, and the YAML are what they say."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cli.exit_codes import ENDINGS, epilog, exit_table
from features.errors import CreditError
from stream.client import errors
from tests.conftest import PROJECT, Credit

PAGE = (PROJECT / "docs/in-production.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def codes(kind: type[CreditError]) -> set[int]:
    return {kind.exit_code}.union(*(codes(heir) for heir in kind.__subclasses__()))


def test_one_table_of_exit_codes_for_help_and_both_pages(credit: Credit) -> None:
    assert exit_table() in PAGE
    assert exit_table() in (PROJECT / "README.md").read_text()
    assert epilog() in " ".join(credit("--help").stdout.replace("│", " ").split())


def test_each_code_that_errors_bear_is_in_the_table() -> None:
    assert errors.PersonNeededError.exit_code == 9
    assert codes(CreditError) <= {ending.code for ending in ENDINGS}


def test_the_unit_prevents_restarts_for_codes_that_a_restart_does_not_change() -> None:
    (unit,) = blocks("ini")
    prevented = set(map(int, re.findall(r"RestartPreventExitStatus=([0-9 ]+)", unit)[0].split()))
    safe = {ending.code for ending in ENDINGS if "safe" in ending.again}
    assert safe == {4, 5}
    assert not prevented & safe
    assert {2, 6, 9} <= prevented


@pytest.mark.process
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on this machine")
    (unit,) = blocks("ini")
    path = tmp_path / "credit-stream@.service"
    path.write_text(unit.replace("/srv/credit/venv/bin/credit", shutil.which("true") or "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
    own = [line for line in done.stderr.splitlines() if path.name in line]
    assert (done.returncode, own) == (0, []), done.stderr
    path.write_text(path.read_text().replace("RestartPreventExitStatus=1", "RestartPreventExitStatus=one"))
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
    assert "Failed to parse" in done.stderr, "it would tell"
