"""How a group stands, seen from outside: what lies ahead, who works on it, and what holds it up."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from features.errors import DeliveryError
from stream.client.cluster import Admin, read_records
from stream.client.errors import RetriableError, no_topic
from stream.client.patience import Patience
from stream.client.records import Message, Target
from stream.position.group import Group
from stream.settings.client_settings import member_config
from stream.settings.settings import TopicSettings

__all__ = ["Look", "Status"]

_Messages = dict[int, Message]
_PATIENCE_S = 20.0  # with a coordinator that moves or loads
_ALL = "read_uncommitted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A worker of the group: the name it gave, its host, and the partitions that it has."""

    name: str
    host: str
    partitions: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One partition of the input. `lag`: messages ahead; `lag_seconds`: age of the first of them, None if unknown.

    `waits_for`: what holds it up, empty if nothing does. `offset` None: the group has none yet, or it is being decided.
    """

    partition: int
    member: str
    offset: int | None
    end: int
    lag: int
    lag_seconds: float | None
    waits_for: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTransaction:
    """A transaction that nobody has ended: readers of committed records wait before `offset`.

    `seconds`: age of its first record; `records`: how many lie from there on. `ask`, `end`: Kafka's commands that say
    who wrote it, and end it where its writer is gone.
    """

    topic: str
    partition: int
    offset: int
    records: int
    seconds: float | None
    ask: str
    end: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The whole."""

    group: str
    state: str
    members: Sequence[Member]
    partitions: Sequence[Standing]
    open_transactions: Sequence[OpenTransaction]

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it, with sums."""
        ages = [p.lag_seconds for p in self.partitions if p.lag_seconds is not None]
        return {**asdict(self), "lag": sum(p.lag for p in self.partitions), "lag_seconds": max(ages, default=0.0)}


class Look:
    """One look at a group; `now`: seconds since 1970."""

    def __init__(self, settings: TopicSettings, now: float) -> None:
        """Connect.

        Raises:
            SettingsError: the input topic is not there.
            DeliveryError: the brokers do not answer.

        """
        self._settings, self._now, self._admin = settings, now, Admin(settings.connection)
        counts = self._admin.cluster(settings.input).partitions
        self._partitions = range(counts.get(settings.input, 0))
        if not self._partitions:
            raise no_topic(settings.input)
        targets = [t for t in settings.targets if counts.get(t)]
        self._targets = [(t, p) for t in (settings.input, *targets) for p in range(counts[t])]

    def status(self) -> Status:
        """Return how the group stands.

        Raises:
            DeliveryError: the brokers do not answer, or refuse.

        """
        found: list[Status] = []
        try:
            Patience(_PATIENCE_S).retry(lambda: found.append(self._status()))
        except DeliveryError as error:
            raise error.__cause__ or error from None
        return found[0]

    def _status(self) -> Status:
        state, members = self._members()
        opened = list(self._open())
        held = {(o.topic, o.partition): o for o in opened}
        return Status(
            group=self._settings.group,
            state=state,
            members=members,
            partitions=list(self._standings(members, held)),
            open_transactions=opened,
        )

    def _members(self) -> tuple[str, list[Member]]:
        state, found = self._admin.members(self._settings.group, self._settings.input)
        return state, [Member(name=n, host=h, partitions=sorted(p)) for n, h, p in sorted(found)]

    def _open(self) -> Iterator[OpenTransaction]:
        ends = self._admin.ends(self._targets, committed=False)
        committed = self._admin.ends(self._targets, committed=True)
        for (topic, p), offset in committed.items():
            if offset < ends.get((topic, p), offset):  # a leader may be away between the two questions
                at = f"--topic {topic} --partition {p}"
                yield OpenTransaction(
                    topic=topic,
                    partition=p,
                    offset=offset,
                    records=ends[topic, p] - offset,
                    seconds=self._age(self._first(topic, {p: offset}, {p: ends[topic, p]}, _ALL).get(p)),
                    ask=self._settings.kafka("kafka-transactions", f"describe-producers {at}"),
                    end=self._settings.kafka("kafka-transactions", f"abort {at} --start-offset {offset}"),
                )

    def _first(self, topic: str, starts: Mapping[int, int], ends: Mapping[int, int], level: str) -> _Messages:
        """Return by partition the first record from an offset on; a transaction's marker is none."""
        config = self._settings.connection
        ahead = {p: offset for p, offset in starts.items() if offset < ends[p]}
        following = {p: offset + 1 for p, offset in ahead.items()}
        found = {m.partition: m for m in read_records(config, topic, ahead, following, level)} if ahead else {}
        for p in ahead.keys() - found.keys():
            later = read_records(config, topic, {p: ahead[p]}, ends, level)
            found.update((m.partition, m) for m in islice(later, 1))
        return found

    def _age(self, message: Message | None) -> float | None:
        if message is None or not message.timestamp_ms:
            return None
        return round(max(0.0, self._now - message.timestamp_ms / 1000), 3)

    def _standings(self, members: Sequence[Member], held: Mapping[Target, OpenTransaction]) -> Iterator[Standing]:
        source, owner = self._settings.input, {p: m.name for m in members for p in m.partitions}
        group = Group(member_config(self._settings.connection, self._settings.group), source)
        marks = {p: group.watermarks(source, p) for p in self._partitions}
        ends = {p: high for p, (_, high) in marks.items()}
        committed = {p: _committed(group, p) for p in self._partitions}
        group.close()
        begins = {p: max(marks[p][0], offset or 0) for p, (offset, _) in committed.items()}
        first = self._first(source, begins, ends, "read_committed")
        open_ = {p: begins[p] for p in begins.keys() - first.keys() if (source, p) in held}
        first |= self._first(source, open_, ends, _ALL)
        for p, (offset, undecided) in committed.items():
            lag = ends[p] - begins[p] if p in first else 0
            yield Standing(
                partition=p,
                member=owner.get(p, ""),
                offset=offset,
                end=ends[p],
                lag=lag,
                lag_seconds=self._age(first.get(p)),
                waits_for=undecided or self._waits(p, begins[p], lag, owner, held),
            )

    def _waits(
        self, partition: int, begin: int, lag: int, owner: Mapping[int, str], held: Mapping[Target, OpenTransaction]
    ) -> str:
        upstream = held.get((self._settings.input, partition))
        if upstream is not None and begin >= upstream.offset:
            return f"a producer's open transaction in {upstream.topic} from offset {upstream.offset} on"
        if not lag:
            return ""
        if partition not in owner:
            return "a member: nobody has this partition"
        own = [o for (topic, p), o in held.items() if p == partition and topic != self._settings.input]
        return f"an open transaction in {own[0].topic} from offset {own[0].offset} on" if own else ""


def _committed(group: Group, partition: int) -> tuple[int | None, str]:
    try:
        return group.committed([partition])[partition], ""
    except RetriableError:
        return None, "an open transaction that is to move the group's offset"
