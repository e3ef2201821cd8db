"""Large messages: what is no cell is passed over, not built, and refused as in a small one."""

import json
import tracemalloc
from typing import Any

import pytest

from scoring.message.decoder import Refusal
from scoring.message.message_scorer import MessageScorer
from scoring.message.schema import example_application
from scoring.scorer import Scorer

LISTS: list[Any] = [[[]] * 1000] * 100
OBJECTS: dict[str, Any] = {str(i): {} for i in range(10_000)}


def messages(scorer: Scorer, cell: Any) -> dict[str, bytes]:
    """Return messages with something else in the place of a cell, by the place."""
    example = example_application(scorer.bundle.spec)
    event = example["events"][0]
    return {
        "/attributes/months_employed": json.dumps({**example, "attributes": {"months_employed": cell}}).encode(),
        "/events/1/amount": json.dumps({**example, "events": [event, {**event, "amount": cell}]}).encode(),
    }


@pytest.mark.parametrize("cell", [LISTS, OBJECTS, [1], {}], ids=["lists", "objects", "a list", "an object"])
def test_what_is_no_cell_is_refused_where_it_stands(scorer: Scorer, cell: Any) -> None:
    for pointer, message in messages(scorer, cell).items():
        (answer,) = MessageScorer(scorer).answer([message])
        assert answer.refusal == Refusal.of("field_wrong_type", pointer)


def test_what_is_no_cell_is_not_built(scorer: Scorer) -> None:
    """Lists in the place of a cell took sixteen times the memory of the message, and seventy times the time."""
    answer = MessageScorer(scorer).answer
    for message in messages(scorer, LISTS).values():
        answer([message])
        tracemalloc.start()
        try:
            answer([message])
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert most < 2 * len(message)


def test_a_large_message_is_decided_as_its_cells_say(scorer: Scorer) -> None:
    example = example_application(scorer.bundle.spec)
    padded = json.dumps(example).replace('"events"', " " * 20_000 + '"events"').encode()
    small, large = MessageScorer(scorer).answer([json.dumps(example).encode(), padded])
    assert small.decision is not None
    assert small == large
