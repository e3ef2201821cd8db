"""Stored events as text again: as a message carries them, and as a table for a night batch. Both read back the same."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from history.records import NEVER, Customer, Records

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant_text(microseconds: int) -> str:
    """Write an instant as RFC 3339 in UTC."""
    moment = _EPOCH + timedelta(microseconds=microseconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def amount_text(minor_units: int, digits: int, point: str = ".") -> str:
    """Write minor units as a decimal number."""
    if not digits:
        return str(minor_units)
    whole, part = divmod(abs(minor_units), 10**digits)
    return f"{'-' if minor_units < 0 else ''}{whole}{point}{part:0{digits}d}"


def message_events(records: Records, kinds: Sequence[str], digits: int) -> bytes:
    """Return events as the list `events` of a message; of usable ones, in their order."""
    events = []
    for _, _, occurred_at, recorded_at, amount, kind in records.tolist():
        event: dict[str, Any] = {
            "occurred_at": instant_text(occurred_at),
            "kind": kinds[kind],
            "amount": msgspec.Raw(amount_text(amount, digits).encode()),
        }
        if recorded_at != NEVER:
            event["recorded_at"] = instant_text(recorded_at)
        events.append(event)
    return msgspec.json.encode(events)


def rows(name: str, customer: Customer, kinds: Sequence[str], digits: int, point: str) -> Iterator[dict[str, Any]]:
    """Yield a customer's events as rows of a canonical table, in the order of their places, each with its place."""
    found = [
        (
            (partition, offset),
            {
                "occurred_at": instant_text(occurred_at),
                "kind": kinds[kind],
                "amount": amount_text(amount, digits, point),
                "recorded_at": None if recorded_at == NEVER else instant_text(recorded_at),
            },
        )
        for partition, offset, occurred_at, recorded_at, amount, kind in customer.records.tolist()
    ]
    found += [((m.partition, m.offset), {"recorded_at": None, **m.cells}) for m in customer.notes.unusable]
    for (partition, offset), cells in sorted(found, key=lambda pair: pair[0]):
        yield {"customer_id": name, **cells, "partition": partition, "offset": offset}
