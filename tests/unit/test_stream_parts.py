"""Parts of the stream that need no broker."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import BundleError
from scoring.message.decoder import Refusal
from scoring.message.message_scorer import Answer
from serving.breaker import Breaker
from stream.client.records import Batch, Message, Record
from stream.dead_letters import claims_of_redrive, dead_letter, redriven, take_apart
from stream.pace import LEAST, Pace
from stream.routes import Routes

REFUSAL = Refusal(code="c", pointer="/p", expected="e")
headers = st.lists(st.tuples(st.text(max_size=9), st.none() | st.binary(max_size=9)), max_size=4)


@given(key=st.none() | st.binary(), value=st.none() | st.binary(), own=headers, times=st.integers(1, 3))
def test_a_dead_letter_gives_back_the_message_however_often_it_failed(
    key: bytes | None, value: bytes | None, own: list[tuple[str, bytes | None]], times: int
) -> None:
    message = Message("in", 3, 7, key, value, own, 0)
    for _ in range(times):
        record = dead_letter(message, REFUSAL, "dead", "g")
        assert (record.topic, record.partition, record.key, record.value) == ("dead", 3, key, value)
        message = Message("dead", 3, 1, record.key, record.value, record.headers, 0)
    for _ in range(times):
        letter = take_apart(message)
        assert letter is not None
        message = message._replace(headers=letter.headers)
    assert list(message.headers) == own
    first = take_apart(Message("dead", 3, 1, key, value, dead_letter(message, REFUSAL, "dead", "g").headers, 0))
    assert first is not None
    assert (first.topic, first.offset, first.code, first.pointer, first.expected, first.group) == (
        "dead",
        1,
        "c",
        "/p",
        "e",
        "g",
    )


@given(st.lists(st.booleans(), max_size=60), st.lists(st.integers(1, 9), min_size=60, max_size=60))
def test_the_breaker_opens_as_if_it_saw_each_message_alone(outcomes: list[bool], sizes: list[int]) -> None:
    """Against the definition: any window of the last 10 with more than half refused; however batches are cut."""
    expected = any(sum(outcomes[i : i + 10]) > 5 for i in range(len(outcomes) - 9))
    breaker: Breaker | None = Breaker(window=10, max_share=0.5)
    at = 0
    for size in sizes:
        breaker = breaker.after(outcomes[at : at + size]) if breaker else None
        at += size
    assert (breaker is None) == expected


def test_accepted_refusals_are_not_counted_and_are_used_up() -> None:
    breaker = Breaker(window=10, max_share=0.5, accept=20).after([True] * 20)
    assert breaker is not None
    assert (breaker.accept, breaker.recent) == (0, ())
    assert breaker.after([True] * 10) is None


@pytest.mark.parametrize(("seconds", "most"), [(4.0, 250), (1.5, 666), (0.9, 1000), (0.1, 1000)])
def test_batches_shrink_when_one_takes_longer_than_the_ceiling(seconds: float, most: int) -> None:
    pace = Pace(1000, 1.0)
    pace.took(1000, seconds)
    assert pace.most == most


@pytest.mark.parametrize(
    ("fixed_s", "each_s", "at_least", "at_most"),
    [
        (0.0, 0.0001, 2000, 2000),
        (1.2, 0.0001, 2000, 2000),
        (1.2, 0.0, 2000, 2000),
        (10.0, 0.0002, 2000, 2000),
        (0.0, 0.004, 120, 260),
        (1.2, 0.004, 120, 260),
        (10.0, 0.004, 110, 300),
        (0.0, 0.5, LEAST, LEAST),
    ],
)
@pytest.mark.parametrize("backlog", [True, False])
def test_a_cost_that_no_smaller_batch_would_save_shrinks_none(
    fixed_s: float, each_s: float, at_least: int, at_most: int, *, backlog: bool
) -> None:
    """Simulated: 60 batches with all that may be taken, or first 60 of a few messages and then so."""
    pace, noise = Pace(2000, 1.0), random.Random(1)  # noqa: S311 - no secret
    for few in ([] if backlog else [noise.randint(1, 9) for _ in range(60)]) + [0] * 60:
        size = min(few or 2000, pace.most)
        pace.took(size, (fixed_s + each_s * size) * noise.uniform(0.95, 1.05))
    sizes = []
    for _ in range(20):
        sizes.append(pace.most)
        pace.took(pace.most, fixed_s + each_s * pace.most)
    assert at_least <= sorted(sizes)[10] <= at_most


def test_batches_grow_back_and_never_vanish() -> None:
    pace = Pace(1000, 1.0)
    pace.took(1, 50.0)
    assert pace.most == LEAST
    for _ in range(20):
        pace.took(pace.most, 0.01)
    assert pace.most == 1000


ROUTES = Routes(output="out", dead_letters="dead", bundle_id="b", group="g", receipts="receipts")


def half_of(answer: Answer, topic: str) -> Batch:
    """A message that is decided in half: `topic` has its record."""
    message = Message("in", 3, 7, b"k", b"{}", (), 0)
    (there,) = [r for r in ROUTES.records(Batch([message], None, {}), [answer], 0.0) if r.topic == topic]
    value = b"".join(there.parts) if there.parts else there.value
    return Batch([message], None, {}, {message.place: Message(topic, 3, 90, b"k", value, there.headers, 0)})


@pytest.mark.parametrize(("there", "written"), [("out", "receipts"), ("receipts", "out")])
def test_only_the_missing_half_of_a_decision_is_written_by_a_bundle_that_decides_the_same(
    there: str, written: str
) -> None:
    answer = Answer(decision=b'{"x":1}')
    assert [r.topic for r in ROUTES.records(half_of(answer, there), [answer], 1.0)] == [written]
    for other in (Answer(decision=b'{"x":2}'), Answer(refusal=REFUSAL)):
        with pytest.raises(BundleError, match=r"Start once with the bundle that made it, b;"):
            ROUTES.records(half_of(answer, there), [other], 1.0)


def test_the_largest_message_goes_back_without_the_header_that_would_not_fit() -> None:
    record, letter = Record("in", 0, b"k", b"x" * 10_000, (("own", b"1"),)), Message("dead", 0, 5, b"k", b"", (), 0)
    claim = claims_of_redrive("dead", "g")
    for largest, offset in ((20_000, 5), (10_100, None)):
        back = redriven(record, letter, "g", largest)
        assert list(back.headers)[-1] == ("own", b"1")
        found = claim(Message("in", 0, 1, back.key, back.value, back.headers, 0))
        assert (found and found.offset) == offset
    again = redriven(redriven(record, letter, "g", 20_000), letter._replace(offset=9), "g", 20_000)
    assert [name for name, _ in again.headers] == ["redriven_from", "own"]
