"""Is the store what the topic says? All events up to the store's positions are read again, and compared by customer."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import msgspec

from history import CONTROL, Change, Customer, HistoryStore, State, clean, visible
from stream.client.client import Config
from stream.client.cluster import read_records
from stream.client.records import Message
from stream.client.topic_reader import TopicReader
from stream.history.event_messages import read_controls, read_events

_MOST = 50_000


@dataclass(frozen=True, slots=True)
class Verified:
    """What differs, in events, usable and unusable; `read`: how many messages of the topic were read again."""

    read: int
    customers: int
    lost: int
    doubled: int


def verify(store: HistoryStore, again: HistoryStore, config: Config, reader: TopicReader, control: str) -> Verified:
    """Fill the empty store `again` from the topic, up to where `store` is, and compare both.

    Events that are older than the topic's first offset, or that came from a file, cannot be read again.

    Raises:
        DeliveryError: the brokers or a store fail.

    """
    state, extents = store.state(), reader.extents()
    starts = {p: low for p, (low, _) in extents.items() if low < state.positions.get(str(p), 0)}
    ends = {p: state.positions[str(p)] for p in starts}
    count = _fill(again, config, reader.topic, starts, ends)
    _fill_control(again, config, control, state.positions.get(CONTROL, 0))
    since, kinds = state.complete_since or 0, (state.kinds, again.state().kinds)
    customers = lost = doubled = 0
    theirs = dict(again.everybody())
    for name, customer in store.everybody():
        mine, other = (
            _events(customer, kinds[0], starts, since),
            _events(theirs.pop(name, None), kinds[1], starts, since),
        )
        customers += 1
        lost += sum(1 for event in other if event not in set(mine))
        doubled += len(mine) - len(set(mine)) + sum(1 for event in set(mine) if event not in set(other))
    lost += sum(len(_events(customer, kinds[1], starts, since)) for customer in theirs.values())
    return Verified(count, customers, lost, doubled)


def _fill(again: HistoryStore, config: Config, topic: str, starts: dict[int, int], ends: dict[int, int]) -> int:
    spec, state, count = again.settings.spec, again.state(), 0
    for part in _parts(read_records(config, topic, starts, ends) if starts else iter(())):
        read = read_events(part, spec.decimal)
        cleaned = clean(read.table, read.places, spec, state.kinds)
        after = msgspec.structs.replace(state, positions={"read": count + len(part)}, kinds=cleaned.kinds)
        again.apply(Change(before=state, after=after, events=cleaned.events, unusable=cleaned.unusable))
        state, count = after, count + len(part)
    return count


def _parts(messages: Iterator[Message]) -> Iterator[list[Message]]:
    return iter(lambda: list(islice(messages, _MOST)), [])


def _fill_control(again: HistoryStore, config: Config, control: str, end: int) -> None:
    state: State = again.state()
    for part in _parts(read_records(config, control, {0: 0}, {0: end}) if control and end else iter(())):
        controls = read_controls(part)
        again.apply(Change(before=state, after=state, voids=controls.voids, erasures=controls.erasures))


def _events(
    customer: Customer | None, kinds: tuple[str, ...], starts: dict[int, int], since: int
) -> list[tuple[object, ...]]:
    return [] if customer is None else list(_iterate(visible(customer, None), kinds, starts, since))


def _iterate(
    customer: Customer, kinds: tuple[str, ...], starts: dict[int, int], since: int
) -> Iterator[tuple[object, ...]]:
    for partition, offset, occurred_at, recorded_at, amount, kind in customer.records.tolist():
        if offset >= starts.get(partition, 2**63) and occurred_at >= since:
            yield partition, offset, occurred_at, recorded_at, amount, kinds[kind]
    for event in customer.notes.unusable:
        if event.offset >= starts.get(event.partition, 2**63) and event.at >= since:
            yield event.partition, event.offset, event.code
