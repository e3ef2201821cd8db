"""Names of the client's settings: one for each thing, those that belong to the worker, and which need which."""

from collections.abc import Mapping

ALIASES = {  # the client library's second names, by the first that this product uses
    "metadata.broker.list": "bootstrap.servers",
    "request.required.acks": "acks",
    "max.in.flight.requests.per.connection": "max.in.flight",
    "queue.buffering.max.ms": "linger.ms",
    "message.send.max.retries": "retries",
    "compression.codec": "compression.type",
    "message.timeout.ms": "delivery.timeout.ms",
    "fetch.message.max.bytes": "max.partition.fetch.bytes",
    "sasl.mechanisms": "sasl.mechanism",
    "auto.commit.enable": "enable.auto.commit",
}
OWN = {  # what the delivery contract rests on
    *("acks", "enable.idempotence", "transactional.id", "message.max.bytes", "max.in.flight", "retries"),
    *("max.poll.interval.ms", "auto.offset.reset", "enable.auto.commit", "enable.auto.offset.store"),
    *("enable.partition.eof", "group.id", "isolation.level", "queuing.strategy", "delivery.report.only.error"),
    *("enable.gapless.guarantee", "default.topic.config", "offset.store.method", "produce.offset.report"),
}
ELSEWHERE = {"bootstrap.servers": "brokers", "group.protocol": "group_protocol"}  # settings of this product
TOKEN_CALLBACK = "oauth_cb"  # noqa: S105 - a name
CODE = {  # what only a program can give, not a settings file
    *("error_cb", "stats_cb", "throttle_cb", "logger", "log_cb", "on_commit", "on_delivery", "dr_cb", "dr_msg_cb"),
    *("event_cb", "rebalance_cb", "offset_commit_cb", "consume_cb", "background_event_cb", "socket_cb", "connect_cb"),
    *("closesocket_cb", "open_cb", "resolve_cb", "oauthbearer_token_refresh_cb", "opaque", "default_topic_conf"),
    *("interceptors", "partitioner_cb", "msg_order_cmp", "ssl.certificate.verify_cb", "ssl_ca", "ssl_certificate"),
    *("ssl_key", "ssl_engine_callback_data", "enabled_events", "key.serializer", "value.serializer"),
    *("key.deserializer", "value.deserializer"),
}
CHOICES = {
    "security.protocol": ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
    "sasl.mechanism": ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"),
    "sasl.oauthbearer.method": ("default", "oidc"),
    "compression.type": ("none", "gzip", "snappy", "lz4", "zstd"),
    "ssl.endpoint.identification.algorithm": ("none", "https"),
}


def first_names(client: Mapping[str, str]) -> dict[str, str]:
    """Return settings under the first names of what they set.

    Raises:
        ValueError: a setting is given twice, or belongs to the worker; says which and what to do.

    """
    named: dict[str, str] = {}
    given: dict[str, str] = {}
    for name, value in client.items():
        first = ALIASES.get(name, name)
        if first in named:
            raise ValueError(f"{given[first]} and {name} are two names of one setting: give one of them")
        _check_free(name, first)
        named[first], given[first] = value, name
    return named


def _check_free(name: str, first: str) -> None:
    if first in ELSEWHERE:
        raise ValueError(f"{name} is set by the setting {ELSEWHERE[first]}, not here")
    if first in OWN or first.startswith("test.mock."):
        raise ValueError(f"{name} belongs to the worker and cannot be changed")
    if first in CODE:
        raise ValueError(
            f"{name} cannot be set: only programs can give it. Of callbacks, {TOKEN_CALLBACK} can, as module:function"
        )
