"""Bad messages: each refused by a code and a place, and none spoils another."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.spec import Spec
from scoring.message_codes import CODES, MESSAGE_EXPECTED
from scoring.message_decoder import MessageDecoder, Refusal
from scoring.messages import MessageScorer
from scoring.schema import example_application
from scoring.scorer import Scorer
from tests.conftest import PROJECT
from tests.message_parts import changed, encoded, event


@pytest.fixture(scope="module")
def door(scorer: Scorer) -> MessageScorer:
    return MessageScorer(scorer)


@pytest.fixture(scope="module")
def example(spec: Spec) -> dict[str, Any]:
    return example_application(spec)


def bad_messages(example: dict[str, Any]) -> Iterator[tuple[bytes, str, str]]:
    """Every kind of message that cannot be scored, with the code and the place that it is refused with."""
    whole, good = encoded(example), {"occurred_at": "2026-08-01", "kind": "purchase", "amount": 1}
    for junk in (b"", b" ", b"{", b"{]", whole + b"x", whole[:-1], b"\xef\xbb\xbf" + whole, b"x" * 1_000_000):
        yield junk, "message_not_json", ""
    for wrong in (b"null", b"[]", b"5", b'"text"', b"[" + whole + b"]", b"[" * 100_000):
        yield wrong, "field_wrong_type", ""
    yield whole.replace(b"A-1001", b"A-\xff"), "message_not_utf8", ""
    yield whole.replace(b"A-1001", b"A-\xed\xa0\x80"), "message_not_utf8", ""
    yield whole.replace(b"A-1001", b"A-\\ud800"), "message_not_json", ""
    yield whole.replace(b"A-1001", b"A-\x00"), "message_not_json", ""
    yield whole.replace(b"A-1001", b"A-\\u0000"), "message_nul_character", ""
    yield whole.replace(b'"clerk"', b'"cl\\u0000erk"').replace(b'"other"', b'"\\u0000"'), "message_nul_character", ""
    for number in (b"NaN", b"Infinity", b"-Infinity", b"01", b"+1", b".5", b"1.", b"0x10"):
        yield whole.replace(b'"-34.50"', number), "message_not_json", ""
    yield whole.replace(b'"-34.50"', b"9" * 5000), "field_wrong_type", "/events/0/amount"
    yield whole.replace(b'"attributes": {', b'"attributes": {"age": ' + b"[" * 100_000), "message_too_deep", ""
    yield encoded(changed(example, schema_version=2)), "message_version_unknown", "/schema_version"
    yield encoded(changed(example, surprise=1)), "field_unknown", ""
    yield encoded(changed(example, attributes={"surprise": 1})), "field_unknown", "/attributes"
    yield encoded(changed(example, events=[{**good, "surprise": 1}])), "field_unknown", "/events/0"
    for name in ("application_id", "customer_id", "as_of", "attributes", "events"):
        yield encoded({k: v for k, v in example.items() if k != name}), "field_missing", ""
        yield encoded(changed(example, **{name: 5})), "field_wrong_type", f"/{name}"
        yield whole.replace(b"{", b'{"%s": null, ' % name.encode(), 1), *_twice(name)
    for name in ("occurred_at", "kind", "amount"):
        rest = {k: v for k, v in good.items() if k != name}
        yield encoded(changed(example, events=[good, rest])), "field_missing", "/events/1"
    for wrong_type in (True, [1], {"a": 1}):
        yield encoded(changed(example, attributes={"age": wrong_type})), "field_wrong_type", "/attributes/age"
        for name in ("occurred_at", "kind", "amount", "recorded_at"):
            yield encoded(changed(example, events=event(**{name: wrong_type}))), "field_wrong_type", f"/events/1/{name}"
    yield whole.replace(b'"kind"', b'"kind": "salary", "k\\u0069nd"'), "field_repeated", ""
    yield whole.replace(b'"age"', b'"age": 5, "age"'), "field_repeated", ""
    yield whole.replace(b'"amount"', b'"amount": 5, "amount"'), "field_repeated", ""
    identities: list[tuple[str, Any, str]] = [
        ("application_id", "", "application_id_missing"),
        ("application_id", None, "application_id_missing"),
        ("application_id", "x" * 257, "application_id_unusable"),
        ("customer_id", "a\u0001b", "customer_id_unusable"),
        ("as_of", "yesterday", "as_of_unreadable"),
        ("as_of", "2026-02-30", "as_of_unreadable"),
        ("as_of", "1969-12-31", "as_of_out_of_range"),
        ("as_of", None, "as_of_missing"),
    ]
    for name, value, code in identities:
        yield encoded(changed(example, **{name: value})), code, f"/{name}"
    events: list[tuple[str, Any, str]] = [
        ("occurred_at", "2026-13-01", "event_occurred_at_unreadable"),
        ("occurred_at", None, "event_occurred_at_missing"),
        ("occurred_at", "2200-01-01", "event_occurred_at_out_of_range"),
        ("kind", "gift", "event_kind_unknown_category"),
        ("kind", None, "event_kind_missing"),
        ("amount", "12,50", "event_amount_unreadable"),
        ("amount", None, "event_amount_missing"),
        ("amount", 0.001, "event_amount_too_many_decimals"),
        ("amount", 10**30, "event_amount_out_of_range"),
        ("recorded_at", "soon", "event_recorded_at_unreadable"),
    ]
    for field, value, code in events:
        yield encoded(changed(example, events=event(**{field: value}))), code, f"/events/1/{field}"
    yield whole.replace(b'"-34.50"', b"12.340000000000000001"), "event_amount_too_many_decimals", "/events/0/amount"
    yield whole.replace(b'"-34.50"', b"1e400"), "event_amount_out_of_range", "/events/0/amount"


def _twice(name: str) -> tuple[str, str]:
    return ("field_wrong_type", f"/{name}") if name in ("attributes", "events") else ("field_repeated", "")


def test_every_kind_of_bad_message_is_refused_by_code_and_place_and_spoils_no_other(
    door: MessageScorer, example: dict[str, Any]
) -> None:
    bad, good = list(bad_messages(example)), encoded(example)
    answers = door.answer([m for message, _, _ in bad for m in (message, good)])
    (alone,) = door.answer([good])
    assert alone.decision
    for (message, code, pointer), answer in zip(bad, answers[::2], strict=True):
        assert answer.refusal == Refusal(code=code, pointer=pointer, expected=CODES[code]), message[:1000]
    assert all(answer == alone for answer in answers[1::2])
    assert {code for _, code, _ in bad} >= MESSAGE_EXPECTED.keys() - {"events_too_many"}


def test_a_required_attribute_is_pointed_at(door: MessageScorer, example: dict[str, Any]) -> None:
    for attribute in door.scorer.bundle.spec.attributes:
        (answer,) = door.answer([encoded(changed(example, attributes={attribute.name: "?"}))])
        assert (answer.decision is None) == attribute.required


def test_a_message_with_too_many_events_is_refused_alone(
    door: MessageScorer, example: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.windows.MOST_EVENTS", 3)
    crowd = encoded(changed(example, events=event() * 2))
    answers = door.answer([encoded(example), crowd, encoded(example)])
    assert [a.refusal and a.refusal.code for a in answers] == [None, "events_too_many", None]


texts = st.sampled_from(["", ":", '"', '\\"x":', "2026-08-01T00:00:00Z", "\u00e9:\u2028", "x"])
names = ("application_id", "customer_id", "as_of")
styles = st.sampled_from(["", "escaped", " ", "\t", "\r\n "])


fields = st.tuples(st.sampled_from(names), texts, styles)


def written(name: str, text: str, style: str) -> str:
    """A field: each letter of its name may be an escape, which means the same, and white space may stand behind it."""
    quoted = '"' + "".join(f"\\u{ord(c):04x}" for c in name) + '"' if style == "escaped" else json.dumps(name) + style
    return f"{quoted}:{json.dumps(text)}"


@given(st.lists(fields, max_size=3), st.tuples(styles, styles, styles))
def test_repeated_fields_are_found_whatever_stands_in_them(
    spec: Spec, extra: list[tuple[str, str, str]], usual: tuple[str, str, str]
) -> None:
    identity = [(name, "x", style) for name, style in zip(names, usual, strict=True)]
    body = ",".join(written(*field) for field in [*extra, *identity])
    message = f'{{{body},"attributes":{{}},"events":[]}}'.encode()
    (place,) = MessageDecoder(spec).decode([message]).places
    assert (place == Refusal.of("field_repeated")) == (len(extra) > 0)


values = st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists)


@given(st.binary(max_size=200) | values.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_whatever_raise(spec: Spec, message: bytes) -> None:
    (place,) = MessageDecoder(spec).decode([message]).places
    assert isinstance(place, Refusal)


def test_a_refusal_never_repeats_what_was_sent(door: MessageScorer, example: dict[str, Any]) -> None:
    marker = "Zq7Marker"
    for message, _, _ in bad_messages(example):
        planted = message.replace(b"A-1001", marker.encode()).replace(b"surprise", marker.encode())
        (answer,) = door.answer([planted])
        assert marker not in str(answer.refusal)


def test_the_documented_codes_are_those_of_the_product() -> None:
    table = "".join(f"| `{code}` | {text} |\n" for code, text in MESSAGE_EXPECTED.items())
    assert (PROJECT / "docs/messages.md").read_text().endswith("| code | expected |\n| --- | --- |\n" + table)


def test_depth_that_a_repeated_field_hides_is_refused_at_every_number_of_levels(
    door: MessageScorer, example: dict[str, Any]
) -> None:
    whole, hidden = encoded(example), b'{"attributes": {"age": %b%b},'
    messages = [whole.replace(b"{", hidden % (b"[" * n, b"]" * n), 1) for n in range(500, 1001)]
    codes = {answer.refusal.code for answer in door.answer(messages) if answer.refusal}
    assert codes == {"field_repeated", "message_too_deep"}
