"""Applications without their events: REST with a history store answers with the same bits as with them."""

import json
from pathlib import Path

import pytest

from recipes.dataset import Dataset
from scoring.message_codes import HISTORY_EXPECTED
from scoring.messages import MessageScorer
from scoring.publish import to_messages
from scoring.scorer import Scorer
from tests.conftest import PROJECT, Credit
from tests.rest_door import FRAMEWORKS, running


def bare(message: bytes) -> bytes:
    return json.dumps({k: v for k, v in json.loads(message).items() if k != "events"}).encode()


@pytest.fixture(scope="module")
def store(dataset: Dataset, training_folder: Path, credit: Credit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("history")
    dataset.events.write_parquet(folder / "events.parquet")
    made = credit("history", "init", "--spec", training_folder / "spec.toml", "--store", folder / "store")
    assert made.returncode == 0, made.stderr
    done = credit("history", "load", folder / "events.parquet", "--store", folder / "store")
    assert done.returncode == 0, done.stderr
    again = credit("history", "load", folder / "events.parquet", "--store", folder / "store")
    assert "0 written" in again.stdout
    return folder / "store"


@pytest.mark.process
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_rest_answers_without_events_as_with_them(
    framework: str, store: Path, dataset: Dataset, scorer: Scorer, tmp_path: Path
) -> None:
    messages = [m.body for m in to_messages(dataset.applications.head(40), dataset.events, scorer.bundle.spec)]
    expected = MessageScorer(scorer).answer(messages)
    assert any(answer.refusal for answer in expected)
    with running(scorer.bundle.path, tmp_path, framework, "--history", store) as door:
        assert door.ask("GET", "/readyz").status == 200
        for message, answer in zip(messages, expected, strict=True):
            for reply in (door.score(bare(message)), door.score(message)):
                refused = None if answer.refusal is None else answer.refusal.code
                assert reply.body == answer.decision or reply.json["code"] == refused


def test_without_a_store_events_are_required(good: bytes, scorer: Scorer) -> None:
    (answer,) = MessageScorer(scorer).answer([bare(good)])
    assert answer.refusal is not None
    assert answer.refusal.code == "field_missing"


def test_the_documented_codes_are_those_of_the_product() -> None:
    page = (PROJECT / "docs/history.md").read_text()
    assert all(f"| `{code}` | {text} |\n" in page for code, text in HISTORY_EXPECTED.items())
