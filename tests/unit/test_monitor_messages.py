"""Dirt in messages: stream and REST count none in their receipts, so `credit monitor LOG` reads a sample again."""

import json
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest

from receipts.lines import line_head, receipt_frames, receipt_line
from receipts.log.chain import Chain
from recipes.dataset import Dataset
from recipes.synthetic import synthetic
from scoring.message.from_tables import to_messages
from scoring.message.message_scorer import MessageScorer
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.monitored import changed

Door = Literal["rest", "stream"]
SOURCES: dict[Door, bytes] = {
    "rest": b'{"request_id":"r","row":1}',
    "stream": b'{"topic":"applications","partition":0,"offset":1}',
}


def log_of_messages(
    scorer: Scorer, night: Dataset, applications: pl.DataFrame, log: Path, door: Literal["rest", "stream"]
) -> Path:
    """Decide messages and seal their receipts, as the doors for messages do."""
    bodies = [m.body for m in to_messages(applications, night.events, scorer.bundle.spec)]
    head = line_head(door, 1.8e9)
    pairs = zip(bodies, MessageScorer(scorer).answer(bodies), strict=True)
    lines = [receipt_line(head, SOURCES[door], body, answer) for body, answer in pairs if answer.refusal is None]
    assert len(lines) > 1000
    with Chain.open(log, f"{door}-test") as chain:
        for _, frame in receipt_frames(lines, lambda _id: scorer.bundle.spec):
            chain.seal(frame)
    return log


def monitored(credit: Credit, log: Path, bundle: Path) -> tuple[int, list[dict[str, Any]]]:
    done = credit("monitor", log, "--bundle", bundle, "--out", log.parent / "m.html")
    found = json.loads((log.parent / "m.json").read_text())
    return done.returncode, found["drift"]["ranking"]


@pytest.fixture(scope="module")
def night() -> Dataset:
    return synthetic(700, seed=44)


@pytest.mark.parametrize("planted", [("rest", "-900", "out_of_range"), ("stream", "about 3000", "unreadable")])
@pytest.mark.slow
def test_dirt_in_messages_is_ranked_first_with_its_cause(
    planted: tuple[Door, str, str], scorer: Scorer, night: Dataset, credit: Credit, tmp_path: Path
) -> None:
    door, cell, cause = planted
    applications = changed(night, 0.08, outstanding_debt=pl.lit(cell))
    log = log_of_messages(scorer, night, applications, tmp_path / "log", door)
    code, ranking = monitored(credit, log, scorer.bundle.path)
    first = ranking[0]
    assert code == 8
    assert (first["kind"], first["name"], first["detail"]) == ("dirt", "outstanding_debt", cause)
    assert first["share"] - first["reference_share"] == pytest.approx(0.08, abs=0.03)


@pytest.mark.slow
def test_clean_messages_raise_no_alarm(scorer: Scorer, night: Dataset, credit: Credit, tmp_path: Path) -> None:
    log = log_of_messages(scorer, night, night.applications, tmp_path / "log", "rest")
    code, ranking = monitored(credit, log, scorer.bundle.path)
    assert code == 0
    assert [f["alarm"] for f in ranking if f["kind"] == "dirt"], "dirt was looked at"
