"""What an interrupted publish left in a topic: its messages say which run sent them, and which row each is."""

import hashlib
import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from features.errors import InputError
from stream.client.client import Config
from stream.client.cluster import read_records
from stream.client.records import Headers, number
from stream.position.group import Group
from stream.settings.client_settings import member_config

RUN, ROW = "publish_run", "publish_row"
_DIGEST_BYTES = 16
_SETTLE_S = 2.0  # what a killed process had on its way arrives meanwhile

Rows = dict[int, bytes]  # by number of the row: a digest of its message


def row_headers(run: str, row: int) -> Headers:
    """Return the headers of a message that say which run sent it, and which row it is, from 1."""
    return ((RUN, run.encode()), (ROW, str(row).encode()))


@dataclass(frozen=True, slots=True)
class Arrived:
    """Rows that have arrived, by run, the run that wrote last at the end."""

    runs: Mapping[str, Rows]

    def last_of(self, pairs: Sequence[tuple[str | None, bytes]]) -> tuple[str, set[int]]:
        """Return the last run that sent messages of these, and which rows of it have arrived; a new run if none did.

        Raises:
            InputError: a run sent some of these, and others in their places: the tables were changed.

        """
        own = [_digest(*pair) for pair in pairs]
        known = set(own)
        for run, rows in reversed(list(self.runs.items())):
            if all(row <= len(own) and own[row - 1] == digest for row, digest in rows.items()):
                return run, set(rows)
            if not known.isdisjoint(rows.values()):
                raise InputError(
                    "the run that was interrupted sent other messages: these tables, or the options, are not those of "
                    "then. Expected the same; or publish what is missing as tables of their own, without --resume."
                )
        return new_run(), set()


def new_run() -> str:
    """Return a name for a run."""
    return secrets.token_hex(8)


def arrived_rows(
    config: Config, topic: str, partitions: int, sleep: Callable[[float], None], settle_s: float = _SETTLE_S
) -> Arrived:
    """Read which rows have arrived in a topic, from all of its messages that are still there.

    Raises:
        DeliveryError: the topic cannot be read.

    """
    found: defaultdict[str, Rows] = defaultdict(dict)
    last: dict[str, int] = {}
    group = Group(member_config(config, "none"), topic)
    begin = {p: group.watermarks(topic, p)[0] for p in range(partitions)}
    for wait_s in (0.0, settle_s):
        sleep(wait_s)
        ends = {p: group.watermarks(topic, p)[1] for p in begin}
        starts = {p: offset for p, offset in begin.items() if offset < ends[p]}
        for m in read_records(config, topic, starts, ends, "read_uncommitted") if starts else ():
            headers = dict(m.headers[-2:])
            run, row = ((headers.get(name) or b"").decode(errors="replace") for name in (RUN, ROW))
            at = number(row) if run else None
            if at is not None:
                found[run][at] = _digest(None if m.key is None else m.key.decode(errors="replace"), m.value or b"")
                last[run] = max(last.get(run, 0), m.timestamp_ms)
        begin = ends
    group.close()
    return Arrived({run: found[run] for run in sorted(found, key=lambda run: last[run])})


def _digest(customer: str | None, message: bytes) -> bytes:
    key = "-" if customer is None else f"{len(customer)}:{customer}"
    return hashlib.blake2b(key.encode() + message, digest_size=_DIGEST_BYTES).digest()
