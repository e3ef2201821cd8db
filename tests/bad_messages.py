"""Every kind of message that cannot be scored, with the code and the place that it is refused with."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

Bad = tuple[bytes, str, str]
GOOD = {"occurred_at": "2026-08-01", "kind": "purchase", "amount": 1}


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def changed(example: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**example, **fields}


def event(**fields: Any) -> list[dict[str, Any]]:
    good = {"occurred_at": "2026-08-01T09:30:00Z", "kind": "purchase", "amount": "-34.50"}
    return [good, {**good, **fields}]


def bad_messages(example: dict[str, Any]) -> Iterator[Bad]:
    """Every kind of message that cannot be scored, with the code and the place that it is refused with."""
    yield from _no_messages(example)
    yield from _wrong_fields(example)
    yield from _wrong_values(example)


def _no_messages(example: dict[str, Any]) -> Iterator[Bad]:
    whole, good = encoded(example), GOOD
    for junk in (b"", b" ", b"{", b"{]", whole + b"x", whole[:-1], b"x" * 1_000_000):
        yield junk, "message_not_json", ""
    yield b"\xef\xbb\xbf" + whole, "message_bom", ""
    yield gzip.compress(whole), "message_gzip", ""
    yield b"\0\0\0\x01\x07" + whole, "message_framed", ""
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
    yield (
        whole.replace(b'"attributes": {', b'"attributes": {"months_employed": ' + b"[" * 100_000),
        "message_too_deep",
        "",
    )
    yield encoded(changed(example, schema_version=2)), "message_version_unknown", "/schema_version"
    yield encoded(changed(example, surprise=1)), "field_unknown", ""
    yield encoded(changed(example, history={"partition": 0, "offset": 0})), "history_unexpected", "/history"
    yield encoded(changed(example, attributes={"surprise": 1})), "field_unknown", "/attributes"
    yield encoded(changed(example, events=[{**good, "surprise": 1}])), "field_unknown", "/events/0"


def _wrong_fields(example: dict[str, Any]) -> Iterator[Bad]:
    whole, good = encoded(example), GOOD
    for name in ("application_id", "customer_id", "as_of", "attributes", "events"):
        yield encoded({k: v for k, v in example.items() if k != name}), "field_missing", ""
        yield encoded(changed(example, **{name: 5})), "field_wrong_type", f"/{name}"
        yield whole.replace(b"{", b'{"%s": null, ' % name.encode(), 1), *_twice(name)
    for name in ("occurred_at", "kind", "amount"):
        rest = {k: v for k, v in good.items() if k != name}
        yield encoded(changed(example, events=[good, rest])), "field_missing", "/events/1"
    for wrong_type in (True, [1], {"a": 1}):
        yield (
            encoded(changed(example, attributes={"months_employed": wrong_type})),
            "field_wrong_type",
            "/attributes/months_employed",
        )
        for name in ("occurred_at", "kind", "amount", "recorded_at"):
            yield encoded(changed(example, events=event(**{name: wrong_type}))), "field_wrong_type", f"/events/1/{name}"
    yield whole.replace(b'"kind"', b'"kind": "salary", "k\\u0069nd"'), "field_repeated", ""
    yield whole.replace(b'"months_employed"', b'"months_employed": 5, "months_employed"'), "field_repeated", ""
    yield whole.replace(b'"amount"', b'"amount": 5, "amount"'), "field_repeated", ""


def _wrong_values(example: dict[str, Any]) -> Iterator[Bad]:
    whole = encoded(example)
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
