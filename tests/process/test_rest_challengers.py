"""Challengers at the REST door: answers and receipts are as without, and what a challenger says lies apart."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from receipts.frame import SHADOW
from receipts.line_parts import ReceiptError
from receipts.lines import line_head, receipt_frames, receipt_line
from receipts.log import all_segments, audit, segments
from recipes.dataset import Dataset
from scoring.challengers import sampled
from scoring.message.from_tables import to_messages
from scoring.message.message_scorer import MessageScorer
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.rest_door import FRAMEWORKS, Door, running
from tests.variants import variant
from tests.waiting import wait_until

pytestmark = pytest.mark.process
COUNT = 40


@pytest.fixture(scope="module")
def bodies(dataset: Dataset, scorer: Scorer) -> dict[str, bytes]:
    applications = dataset.applications.head(2 * COUNT)
    made = {m.application_id or "": m.body for m in to_messages(applications, dataset.events, scorer.bundle.spec)}
    answers = zip(made.items(), MessageScorer(scorer).answer(list(made.values())), strict=True)
    return dict([pair for pair, answer in answers if answer.decision is not None][:COUNT])


@pytest.fixture(scope="module")
def strict(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A challenger that reads applications otherwise, so that it needs features of its own."""

    def narrower(text: str) -> str:
        return text.replace("range = [0, 150]", "range = [0, 20]", 1)

    return variant(bundle, tmp_path_factory.mktemp("strict"), spec=narrower)


@pytest.fixture
def three(bundle: Path, rival: Path, strict: Path) -> tuple[Path, Path, Path]:
    """The champion and two challengers."""
    return bundle, rival, strict


def asked(door: Door, bodies: dict[str, bytes]) -> list[bytes]:
    """Ask for each alone and for all in one batch; return what came back."""
    single = [door.score(body, X_Request_ID=f"of-{name}").body for name, body in bodies.items()]
    whole = b"[" + b",".join([*bodies.values(), b"{}"]) + b"]"
    return [*single, door.score(whole, "/v1/score/batch", X_Request_ID="batch").body]


def outcomes(door: Door, bundle: Path) -> dict[str, float]:
    found = door.metrics()
    start = f'credit_challenger_applications_total{{bundle_id="{bundle.name}",outcome="'
    return {name.removeprefix(start).rstrip('"}'): value for name, value in found.items() if name.startswith(start)}


def shadows(log: Path, bundle: Path) -> pl.DataFrame:
    frames = [s for s in all_segments(log) if s.shadow and s.bundle_id == bundle.name]
    return pl.concat([frame for segment in frames for frame in segment.frames()])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_answers_are_the_same_and_what_challengers_say_lies_apart(
    framework: str, three: tuple[Path, Path, Path], bodies: dict[str, bytes], tmp_path: Path, credit: Credit
) -> None:
    bundle, rival, strict = three
    with running(bundle, tmp_path / "plain", framework) as door:
        plain = asked(door, bodies)
    log = tmp_path / "log"
    beside = ("--challenger", rival, "--challenger", strict, "--challenger", bundle)
    with running(bundle, tmp_path / "door", framework, "--log", log, *beside) as door:
        found = asked(door, bodies)
        assert found == plain
        assert wait_until(lambda: sum(outcomes(door, rival).values()) == 2 * COUNT)
        assert wait_until(lambda: sum(outcomes(door, strict).values()) == 2 * COUNT)
        counts = outcomes(door, rival)
        left_out = [line for line in door.lines() if line["event"] == "challenger_left_out"]
    assert len(left_out) == 1, "the champion is no challenger of itself"
    decided = {one["application_id"]: one for one in map(json.loads, plain[:-1])}
    for path in (rival, strict):
        own = Scorer.open(path)
        made = shadows(log, path)
        assert made.height == 2 * COUNT
        alone = {one["application_id"]: one for one in _alone(own, bodies)}
        for row in made.iter_rows(named=True):
            assert row["decision_id"] == alone[row["application_id"]]["decision_id"]
            assert row["credit_class"] == alone[row["application_id"]]["credit_class"]
            assert row["kind"] == SHADOW
        batch = made.filter(request_id="batch").sort("row")
        assert batch["application_id"].to_list() == list(bodies)
        if path == rival:
            differ = sum(alone[name]["credit_class"] != one["credit_class"] for name, one in decided.items())
            assert counts == {"changed": 2 * differ, "decided": 2 * (COUNT - differ)}
            assert differ > 0
    _read_by_all(log, bundle, decided, credit)


def _alone(scorer: Scorer, bodies: dict[str, bytes]) -> list[dict[str, Any]]:
    return [json.loads(a.decision or b"") for a in MessageScorer(scorer).answer(list(bodies.values()))]


def _read_by_all(log: Path, bundle: Path, decided: dict[str, dict[str, Any]], credit: Credit) -> None:
    """Every reader of the log takes decisions for decisions, and nothing else."""
    found = audit(log)
    assert (found.problems, found.receipts, found.shadows) == ([], 2 * COUNT, 4 * COUNT)
    assert {segment.bundle_id for segment in segments(log)} == {bundle.name}
    name = next(iter(decided))
    receipts = json.loads(credit("log", "find", log, "--application-id", name, "--json").stdout)
    assert {r["decision"]["decision_id"] for r in receipts if "kind" not in r} == {decided[name]["decision_id"]}
    assert [r.get("kind") for r in receipts] == [None] * 2 + [SHADOW] * 4, "challengers come last, and marked"
    assert credit("log", "find", log, "--application-id", name).stdout.count("which had no effect") == 4
    replayed = credit("replay", log, "--bundles", bundle)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert f"Every bit of {2 * COUNT} decisions agrees." in replayed.stdout
    monitored = credit("monitor", log, "--bundle", bundle, "--out", log.parent / "page.html", "--fail-on", "none")
    assert f"{COUNT} repeated decisions" in monitored.stderr, monitored.stdout
    assert "of other bundles" not in monitored.stdout + monitored.stderr
    customer = decided[name]["customer_id"]
    gone = credit("log", "erase", log, "--customer-id", customer, "--json")
    own = sum(one["customer_id"] == customer for one in decided.values())
    assert json.loads(gone.stdout)["receipts"] == 6 * own, "those of challengers go with the others"
    assert audit(log).problems == []


def test_a_share_and_a_failure_and_no_log(
    bundle: Path, rival: Path, bodies: dict[str, bytes], scorer: Scorer, tmp_path: Path
) -> None:
    (tmp_path / "broken").mkdir()
    beside = ("--challenger", rival, "--challenger", tmp_path / "broken", "--challenger-share", "0.3")
    with running(bundle, tmp_path / "door", "fastapi", *beside) as door:
        asked(door, bodies)
        wanted = int(sampled([one["customer_id"] for one in _alone(scorer, bodies)], 0.3).sum())
        assert 0 < wanted < COUNT
        assert wait_until(lambda: sum(outcomes(door, rival).values()) == 2 * wanted)
        assert door.ask("GET", "/readyz").status == 200
    (said,) = [line for line in door.lines() if line["event"] == "challenger_left_out"]
    assert "manifest.json is missing" in said["message"]


def test_receipts_of_challengers_have_a_version_of_their_own(scorer: Scorer, good: bytes) -> None:
    """A `credit` that does not know them refuses them: it reads versions 1 and 2 and no field `kind`."""
    (answer,) = MessageScorer(scorer).answer([good])
    source = b'{"request_id":"r1","row":1}'
    lines = [receipt_line(line_head("rest", 1.8e9, shadow=shadow), source, good, answer) for shadow in (False, True)]
    frames = receipt_frames(lines, lambda _: scorer.bundle.spec)
    assert [frame.height for _, frame in frames] == [1, 1], "kinds never share a frame, also of one bundle"
    kinds = ["kind" in frame.columns for _, frame in frames]
    assert kinds == [False, True]
    assert lines[1].startswith(b'{"receipt_version":3,"kind":"shadow",')
    for forged in (
        lines[1].replace(b'"receipt_version":3', b'"receipt_version":2'),
        lines[1].replace(b'"kind":"shadow",', b""),
        lines[1].replace(b'"shadow"', b'"light"'),
    ):
        with pytest.raises(ReceiptError):
            receipt_frames([forged], lambda _: scorer.bundle.spec)
    assert all(a != b for a, b in pairwise(lines))
