"""Each kind of hostile input ends as docs/hostile-input.md says: decided, rejected or refused; never a crash."""

from pathlib import Path

import pytest

from scoring.scorer import Scorer
from tests.conftest import PROJECT
from tests.hostile import Case, cases, escaped, outcome

pytestmark = pytest.mark.slow

DOCUMENT = (PROJECT / "docs/hostile-input.md").read_text()
ALL = list(cases())
PARTS = 24


@pytest.mark.parametrize("part", range(PARTS))
def test_hostile_input_ends_as_documented(part: int, scorer: Scorer, tmp_path: Path) -> None:
    for number, case in enumerate(ALL[part::PARTS]):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert row(case, outcome(case, scorer, folder)) in DOCUMENT, case


def row(case: Case, result: str) -> str:
    return f"\n| {escaped(case.name)} | {escaped(result)} |\n"


def test_the_battery_is_as_large_as_the_document_says() -> None:
    assert len(ALL) >= 300
    assert f"What becomes of {len(ALL)} kinds" in DOCUMENT
    assert DOCUMENT.count("\n| ") - 2 * DOCUMENT.count("\n| --- |") == len(ALL)
