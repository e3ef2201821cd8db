"""Applications to a topic: each under its customer as key, so that one customer's applications keep their order.

Each message says by two headers which run sent it and which row of the tables it is. A run that was interrupted goes on
with the rows that have not arrived: what is in the topic tells which have.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from features.errors import DeliveryError
from stream.arrived import arrived_rows, new_run, row_headers
from stream.client.cluster import Admin
from stream.client.errors import no_topic
from stream.client.producer import RecordProducer
from stream.client.records import Headers, Record
from stream.settings.client_settings import producer_config
from stream.settings.settings import ConnectionSettings

__all__ = ["Publishing", "publish"]

_BATCH = 500
_FAILOVER_MS = 120_000  # Kafka's own takes some 10 s, a rolling restart of brokers more
_SLACK_S = 5.0

Pair = tuple[str | None, bytes]


class Published(NamedTuple):
    """How many messages were sent, and how many had arrived before."""

    sent: int
    before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """How messages are sent: no faster than `per_second`, with these headers, after what an earlier run sent."""

    per_second: float | None = None
    headers: Headers = ()
    resume: bool = False
    sleep: Callable[[float], None] = time.sleep


def publish(
    settings: ConnectionSettings, topic: str, messages: Iterable[Pair], how: Publishing | None = None
) -> Published:
    """Publish (customer_id, message) pairs in order, and return how many once all have arrived.

    Raises:
        SettingsError: there is no such topic.
        InputError: the run to go on with sent other messages.
        DeliveryError: a message did not arrive; says how many did for certain.

    """
    how = how or Publishing()
    partitions = Admin(settings.connection).cluster(topic).partitions.get(topic)
    if not partitions:
        raise no_topic(topic)
    run, rows = new_run(), set[int]()
    if how.resume:
        messages = list(messages)
        run, rows = arrived_rows(settings.connection, topic, partitions, how.sleep).last_of(messages)
    left = ((row, pair) for row, pair in enumerate(messages, start=1) if row not in rows)
    return Published(_send(settings, topic, _records(topic, left, run, how.headers), how), len(rows))


def _send(settings: ConnectionSettings, topic: str, records: Iterator[Record], how: Publishing) -> int:
    config = {**producer_config(settings.connection), "delivery.timeout.ms": _FAILOVER_MS, **settings.connection}
    producer, arrived, began = RecordProducer(config), 0, time.monotonic()
    size = _BATCH if how.per_second is None else max(1, min(_BATCH, int(how.per_second / 20)))
    while batch := list(itertools.islice(records, size)):
        try:
            producer.send(batch)
            producer.flush(float(config["delivery.timeout.ms"]) / 1000 + _SLACK_S)
        except DeliveryError as error:
            raise type(error)(
                f"{topic}: {error}. Before these, {arrived} messages arrived. Run the same command with --resume: it "
                "leaves out what arrived."
            ) from error
        arrived += len(batch)
        if how.per_second is not None:
            how.sleep(max(0.0, began + arrived / how.per_second - time.monotonic()))
    return arrived


def _records(topic: str, left: Iterable[tuple[int, Pair]], run: str, headers: Headers) -> Iterator[Record]:
    for row, (customer, message) in left:
        key = None if customer is None else customer.encode()
        yield Record(topic, None, key, message, (*headers, *row_headers(run, row)))
