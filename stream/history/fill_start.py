"""Before a store is filled from a topic: does the topic hold a history, and is it the one that the store knows?"""

from collections.abc import Mapping

import msgspec

from features.errors import SettingsError
from features.spec.contract import MICROSECONDS_PER_DAY
from history import HistoryStore, State
from stream.client.cluster import Admin
from stream.client.errors import OffsetGoneError, PersonNeededError
from stream.client.topic_reader import TopicReader

_DAY_MS = MICROSECONDS_PER_DAY // 1000
Extents = Mapping[int, tuple[int, int]]


def begin(store: HistoryStore, admin: Admin, reader: TopicReader, complete_since: int | None = None) -> State:
    """Return the state from which filling goes on.

    Raises:
        SettingsError: the topic is compacted, keeps less than the store, or is another than the store was filled from.
        PersonNeededError: the topic was made anew, or what the store lacks is gone from it.

    """
    state, topic = store.state(), reader.topic
    topic_id = reader.cluster_id if reader.cluster_id.startswith("mockCluster") else admin.topic_id(topic)
    if state.topic and state.topic != topic:
        raise SettingsError(
            f"{store.where}: was filled from topic {state.topic}, not {topic}. Use that, or make another store."
        )
    if state.topic_id and state.topic_id != topic_id:
        raise PersonNeededError(
            f"{topic}: was made anew since {store.where} was filled from it, so that its offsets mean other events. "
            "Make a new store: `credit history init`, `load` with what the old topic held, then consume."
        )
    extents = reader.extents()
    known = any(name.isdecimal() for name in state.positions)
    if not reader.cluster_id.startswith("mockCluster"):
        _check_topic(store, admin, topic, filled=state.complete_since is not None or complete_since is not None)
    if not known and state.complete_since is None and complete_since is None:
        _check_whole(topic, extents)
    positions = {**{str(p): low for p, (low, _) in extents.items()}, **state.positions}
    _check_there(store.where, topic, positions, extents)
    since = state.complete_since if complete_since is None else complete_since
    return msgspec.structs.replace(state, topic=topic, topic_id=topic_id, positions=positions, complete_since=since)


def _check_topic(store: HistoryStore, admin: Admin, topic: str, *, filled: bool) -> None:
    if admin.compacted(topic):
        raise SettingsError(
            f"{topic}: is compacted, so it keeps one event of each customer and loses the others. Expected "
            "cleanup.policy=delete; let the producers write to such a topic."
        )
    kept, days = admin.retention_ms(topic), store.settings.retention_days
    if 0 <= kept < days * _DAY_MS and not filled:
        raise SettingsError(
            f"{topic}: keeps records for {kept // _DAY_MS} days, the store needs {days}. Set retention.ms to "
            f"{days * _DAY_MS} or more, or fill the store first with `credit history load FILE --until OFFSETS`."
        )


def _check_whole(topic: str, extents: Extents) -> None:
    cut = [p for p, (low, _) in extents.items() if low > 0]
    if cut:
        raise PersonNeededError(
            f"{topic} partition {cut[0]}: its first events are gone, so a store filled from it would lack them. Fill "
            "it first with `credit history load FILE --until OFFSETS`; or say from when on the topic is complete with "
            "--complete-since."
        )


def _check_there(where: str, topic: str, positions: Mapping[str, int], extents: Extents) -> None:
    for p, (low, high) in extents.items():
        at = positions[str(p)]
        if not low <= at <= high:
            raise OffsetGoneError(
                f"{topic} partition {p}: {where} goes on at offset {at}, but the topic holds {low} to {high}. Events "
                "are lost (retention), or the topic was made anew. Restore a newer copy of the store, or make a new "
                "one: `credit history init`, `load`, then consume."
            )
