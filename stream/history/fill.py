"""The topic of events to the history store, each event once: what is written and up to where is one transaction.

1. begin    where the store is; a topic that cannot hold a history, or is another than before, is refused (`fill_start`)
2. read     committed events and control messages: all that has arrived
3. aside    what cannot be used goes to the dead letters with a code, before the store knows of it: at least once
4. write    all of it and the positions, if the store is still where it was: a second writer is refused
5. beat     each second: up to when the store holds all that the topic held then. Doors refuse when that is long ago

While one transaction is written the client reads on, so the next one holds what came meanwhile: a few events where the
topic is quiet, many where the store is behind. What was read is written before more is asked for.

A kill anywhere leaves the store as of one transaction, from where reading goes on.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from history import CONTROL, Change, HistoryStore, State, clean
from scoring.message import Refusal
from serving.breaker import Breaker
from stream.client.client import Config
from stream.client.errors import CircuitOpenError
from stream.client.producer import RecordProducer
from stream.client.records import Message
from stream.client.topic_reader import TopicReader
from stream.dead_letters import dead_letter
from stream.history.event_messages import Controls, Events, Refused, read_controls, read_events
from stream.settings.client_settings import producer_config

log = logging.getLogger(__name__)

_WAIT_S = 0.05
_MOST = 50_000  # in one transaction
_APART_S = 0.02  # from one transaction to the next, at least: each takes a core some ms, however few events it holds
_BEAT_S = 1.0
_ARRIVE_S = 30.0
_YET = 1.0  # a heartbeat of long ago: someone fills the store, and has not caught up yet
Clock = Callable[[], float]


class Aside:
    """The topic for what cannot be used, as it came, with a code."""

    def __init__(self, connection: Config, topic: str, group: str) -> None:
        """Connect in the background; `group` is said in the headers."""
        self._topic, self._group = topic, group
        self._producer = RecordProducer(producer_config(connection))

    def take(self, refused: Refused) -> None:
        """Write them; when this returns they have arrived."""
        letters = [dead_letter(m, refusal, self._topic, self._group) for m, refusal in refused]
        self._producer.send([letter._replace(partition=None) for letter in letters])
        self._producer.flush(_ARRIVE_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What is read, where what is refused goes, and where the store's state begins."""

    events: TopicReader
    control: TopicReader | None
    aside: Aside
    begin: State
    breaker: Breaker


class Fill:
    """Moves events from a topic into a store."""

    def __init__(self, store: HistoryStore, sources: Sources, now: Clock = time.time) -> None:
        """`now`: seconds since 1970."""
        self._store, self._sources, self._now = store, sources, now
        self._spec, self._state, self._breaker = store.settings.spec, sources.begin, sources.breaker
        self._before = store.state()
        self._told: list[tuple[float, dict[int, int]]] = []  # when, and where the topic ended then
        self.written = 0

    def run(self, asked_to_stop: Callable[[], bool], stop_when_idle_s: float | None = None) -> None:
        """Work until asked to stop, or until all is read and nothing has come for so long.

        Raises:
            CircuitOpenError: too many events cannot be used, or one is of a newer version.
            StaleError: somebody else fills this store.
            DeliveryError: the brokers or the store fail.

        """
        self._read_from()
        busy, beat, now = time.monotonic(), 0.0, 0.0
        while not asked_to_stop():
            time.sleep(max(0.0, now + _APART_S - time.monotonic()))
            events, control, now = self._sources.events.take(_WAIT_S, _MOST), self._take_control(), time.monotonic()
            self._write(events, control)
            busy = now if events or control or not self._at_end() else busy
            if now - beat >= _BEAT_S:
                self._beat()
                beat = now
            if stop_when_idle_s is not None and now - busy > stop_when_idle_s:
                break
        self._beat()

    def _read_from(self) -> None:
        positions = self._state.positions
        self._sources.events.read_from({int(p): at for p, at in positions.items() if p.isdecimal()})
        if self._sources.control is not None:
            self._sources.control.read_from({0: positions.get(CONTROL, 0)})

    def _take_control(self) -> list[Message]:
        return [] if self._sources.control is None else self._sources.control.take(0)

    def _at_end(self) -> bool:
        return self._sources.events.at_end(range(self._sources.events.partitions))

    def _write(self, events: list[Message], control: list[Message]) -> None:
        if not (events or control):
            return
        read, controls = read_events(events, self._spec.decimal), read_controls(control)
        if read.newer:
            raise CircuitOpenError(_newer(read.newer[0]))
        cleaned = clean(read.table, read.places, self._spec, self._state.kinds)
        refused = [*read.refused, *_refused(read, cleaned.orphans), *controls.refused]
        refused += _refused(read, [(m.partition, m.offset, m.code) for _, m in cleaned.unusable])
        self._judge(events, refused)
        if refused:
            self._sources.aside.take(refused)
        positions = self._positions(events, control)
        after = msgspec.structs.replace(self._state, positions=positions, kinds=cleaned.kinds)
        self._apply(
            Change(
                before=self._before,
                after=after,
                events=cleaned.events,
                unusable=cleaned.unusable,
                voids=controls.voids,
                erasures=controls.erasures,
            ),
            controls,
        )
        self.written += len(events)

    def _apply(self, change: Change, controls: Controls) -> None:
        self._store.apply(change)
        self._before = self._state = change.after
        for _, erasure in controls.erasures:
            log.info("control message %s: a customer's events were erased; make a compacted copy", erasure.control)

    def _judge(self, events: list[Message], refused: Refused) -> None:
        places = {message.place for message, _ in refused}
        breaker = self._breaker.after([message.place in places for message in events])
        if breaker is None:
            first = refused[0]
            raise CircuitOpenError(
                f"circuit breaker: more than {self._breaker.max_share:.0%} of {self._breaker.window} events in a row "
                f"cannot be used (the first: {first[1].code}, partition {first[0].partition} offset "
                f"{first[0].offset}). A producer's release probably went wrong. Nothing of the last {len(events)} was "
                f"written. Correct the producer; then start again with --accept-rejects {len(refused)} or more."
            )
        self._breaker = breaker

    def _positions(self, events: list[Message], control: list[Message]) -> dict[str, int]:
        new = {str(m.partition): m.offset + 1 for m in events}
        if control:
            new[CONTROL] = control[-1].offset + 1
        return {**self._state.positions, **new}

    def _beat(self) -> None:
        """Note up to when the store holds all that the topic held."""
        now, ends = self._now(), self._sources.events.heard()
        self._told.append((now, ends))
        positions = self._state.positions
        reached = [at for at, end in self._told if all(positions.get(str(p), 0) >= o for p, o in end.items())]
        if self._at_end():
            reached.append(now)
        heartbeat = max([self._state.heartbeat, *reached]) or _YET
        self._told = [(at, end) for at, end in self._told if at > heartbeat][-3600:]
        state = msgspec.structs.replace(
            self._state, heartbeat=heartbeat, ends={str(p): at for p, at in sorted(ends.items())}
        )
        if reached and state.complete_since is None:
            state = msgspec.structs.replace(state, complete_since=0)
        if self._state.topic_id != self._before.topic_id or state.complete_since != self._before.complete_since:
            self._store.apply(Change(before=self._before, after=state))
        else:
            self._store.beat(state.heartbeat, state.ends)
        self._before = self._state = state


def _refused(read: Events, places: list[tuple[int, int, str]]) -> Refused:
    messages = {message.place: message for message in read.messages}
    return [(messages[p, o], Refusal.of(code)) for p, o, code in places]


def _newer(message: Message) -> str:
    return (
        f"{message.topic} partition {message.partition} offset {message.offset}: its schema_version is newer than this "
        "release reads. Nothing of it or behind it was written. Install the release that reads it."
    )
