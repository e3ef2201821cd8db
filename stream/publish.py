"""Applications to a topic: each under its customer as key, so that one customer's applications keep their order."""

import itertools
import time
from collections.abc import Callable, Iterable

from features.errors import DeliveryError, SettingsError
from stream.client_settings import producer_config
from stream.cluster import Admin
from stream.producer import RecordProducer
from stream.records import Record
from stream.settings import ConnectionSettings

_BATCH = 500
_ARRIVE_S = 60.0


def publish(
    settings: ConnectionSettings,
    topic: str,
    messages: Iterable[tuple[str | None, bytes]],
    per_second: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Publish (customer_id, message) pairs in order and return their number once all have arrived.

    `per_second`: no faster than this; None: as fast as the brokers take them.

    Raises:
        SettingsError: there is no such topic.
        DeliveryError: a message did not arrive; says how many did for certain.

    """
    if not Admin(settings.connection).cluster(topic).partitions.get(topic):
        raise SettingsError(f"topic {topic} does not exist. Create it, for example with `credit stream topics`.")
    producer, arrived = RecordProducer(producer_config(settings.connection)), 0
    pairs, began = iter(messages), time.monotonic()
    size = _BATCH if per_second is None else max(1, min(_BATCH, int(per_second / 20)))
    while batch := [_record(topic, *pair) for pair in itertools.islice(pairs, size)]:
        producer.send(batch)
        try:
            producer.flush(_ARRIVE_S)
        except DeliveryError as error:
            raise DeliveryError(f"{topic}: {error}. Before these, {arrived} messages arrived.") from error
        arrived += len(batch)
        if per_second is not None:
            sleep(max(0.0, began + arrived / per_second - time.monotonic()))
    return arrived


def _record(topic: str, customer: str | None, message: bytes) -> Record:
    return Record(topic, None, None if customer is None else customer.encode(), message, ())
