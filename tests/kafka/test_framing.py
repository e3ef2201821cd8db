"""Messages that something stands in front of: the frame of a schema registry, taken off where the worker is told so."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.message.framing import is_framed, unframed
from scoring.message.message_scorer import MessageScorer
from scoring.scorer import Scorer
from tests.kafka_broker import read_topic
from tests.stage import Stage

FRAME = b"\0\0\0\x30\x39"  # schema 12345


@given(st.integers(0, 2**28), st.binary(min_size=1))
def test_a_frame_is_taken_off_and_nothing_else_is(schema: int, body: bytes) -> None:
    assert unframed(b"\0" + schema.to_bytes(4, "big") + body) == body
    assert unframed(b"{" + body) == b"{" + body


def test_text_of_two_bytes_a_character_is_no_frame() -> None:
    assert not is_framed('{"application_id": 1}'.encode("utf-16-be"))
    assert not is_framed(FRAME), "a frame without a body"


def test_a_framed_message_is_refused_by_its_code_and_decided_as_ever_without_its_frame(
    scorer: Scorer, good: bytes
) -> None:
    door = MessageScorer(scorer)
    framed, plain = door.answer([FRAME + good, good])
    assert framed.refusal is not None
    assert framed.refusal.code == "message_framed"
    assert "--framed-json" in framed.refusal.expected
    assert door.answer([unframed(FRAME + good)]) == [plain]


@pytest.mark.process
@pytest.mark.parametrize("told", [True, False])
def test_a_worker_takes_frames_off_only_where_it_is_told_so(stage: Stage, told: bool) -> None:  # noqa: FBT001
    receipts = f"receipts-{stage.name}"
    stage.server.create(receipts, largest_message=2_000_000)
    plain, framed = b'{"good": 1}', FRAME + b'{"good": 2}'
    stage.publish(plain, framed)
    stage.worker(receipts=receipts, stop_when_idle=1, framed_json=told).ended()
    decided = [r.value for r in read_topic(stage.address, stage.topics[1])]
    assert decided == [plain, framed[5:] if told else framed], "the copying worker refuses nothing by itself"
    kept = (
        [json.loads((r.value or b"").replace(b"\0", b"")) for r in read_topic(stage.address, receipts)] if told else []
    )
    assert [r["application"] for r in kept] == ([{"good": 1}, {"good": 2}] if told else [])


@pytest.mark.process
def test_a_tombstone_is_a_dead_letter_without_a_value(stage: Stage) -> None:
    stage.publish(None, b"", partition=1)
    stage.worker(stop_when_idle=1).ended()
    (letter,) = read_topic(stage.address, stage.topics[2])
    assert (letter.offset, letter.value) == (0, None)
    assert letter.headers["__connect.errors.code"] == b"message_tombstone"
