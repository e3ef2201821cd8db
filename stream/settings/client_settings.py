"""The settings of the clients: what is tunable comes first, then what the user set, then what delivery rests on."""

from typing import Any

from stream.client.client import Config
from stream.client.patience import Times
from stream.settings.settings import MAX_POLL_S, GroupProtocol, StreamSettings

__all__ = ["member_config", "producer_config"]

_BATCH_BYTES = 1_000_000


def link_config(times: Times) -> dict[str, Any]:
    """Return how long a client waits for a broker, and for the next try to connect to one that is away."""
    return {
        "socket.timeout.ms": times.request_ms,
        "socket.connection.setup.timeout.ms": min(10_000, times.request_ms),
        "reconnect.backoff.max.ms": 1_000,
        "topic.metadata.refresh.interval.ms": 5_000,  # new leaders, too, where a frozen broker does not answer
    }


def consumer_config(settings: StreamSettings, name: str, *, embedded: bool) -> Config:
    """Return a worker's consumer settings; `name` is said to the brokers."""
    classic = settings.group_protocol is GroupProtocol.CLASSIC
    tunable = {
        **link_config(settings.times),
        "queued.max.messages.kbytes": 8_192,  # bounds memory
        "fetch.queue.backoff.ms": 5,  # else a full queue stops fetching for a second
        "check.crcs": True,
        "client.id": name,
        "fetch.wait.max.ms": 10 if embedded else 100,  # a fetch of the embedded broker does not wake up on data, and
        # nowhere does a fetch that waits hear of a partition that has just begun
        **({"partition.assignment.strategy": "cooperative-sticky"} if classic else {}),
    }
    return {
        **tunable,
        **member_config(settings.connection, settings.group),
        "group.protocol": (GroupProtocol.CLASSIC if classic else GroupProtocol.CONSUMER).value,
        "max.poll.interval.ms": MAX_POLL_S * 1_000,
        "enable.partition.eof": settings.stop_when_idle is not None,  # tells when all is read
    }


def member_config(connection: Config, group: str) -> Config:
    """Return the settings of whoever reads and moves a group's offsets."""
    return {
        **connection,
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",
        "allow.auto.create.topics": False,
    }


def producer_config(
    connection: Config,
    batch_bytes: int = _BATCH_BYTES,
    transactional_id: str | None = None,
    times: Times = Times(),  # noqa: B008 - it never changes
) -> dict[str, Any]:
    """Return a producer's settings. `batch_bytes`: the smallest size limit of the topics that are written to."""
    tunable: dict[str, Any] = {
        **link_config(times),
        "linger.ms": 5,
        "compression.type": "lz4",
        "retry.backoff.ms": 5,  # else each transaction that follows another waits out 100 ms
        "retry.backoff.max.ms": 100,
        "delivery.timeout.ms": times.transaction_ms,
        "batch.size": min(batch_bytes, _BATCH_BYTES),
        "partitioner": "murmur2_random",  # as Java clients do
    }
    own: dict[str, Any] = {"enable.idempotence": True, "message.max.bytes": 1_000_000_000}  # the topics' limits hold
    if transactional_id is not None:
        tunable["transaction.timeout.ms"] = times.transaction_ms  # an orphan blocks readers no longer than this
        own["transactional.id"] = transactional_id
    config = {**tunable, **connection, **own}
    if "socket.timeout.ms" not in connection and transactional_id is not None:  # the library refuses more
        config["socket.timeout.ms"] = min(config["socket.timeout.ms"], int(config["transaction.timeout.ms"]))
    return config
