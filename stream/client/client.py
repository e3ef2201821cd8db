"""The only file that imports confluent_kafka: its classes as the rest knows them, clients built, errors translated."""

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka import Message as ClientMessage
from confluent_kafka.admin import (  # type: ignore[attr-defined] # its public names
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from features.errors import SettingsError
from stream.client.client_names import TOKEN_CALLBACK
from stream.client.client_refusals import refusal
from stream.client.errors import translated
from stream.client.records import Message
from stream.client.tokens import TokenFunction

__all__ = [
    "AdminClient",
    "ClientMessage",
    "Config",
    "Consumer",
    "IsolationLevel",
    "KafkaError",
    "KafkaException",
    "NewTopic",
    "Notes",
    "OffsetSpec",
    "Producer",
    "TopicCollection",
    "TopicPartition",
    "build",
    "library_log",
    "newest_versions",
    "positions",
    "to_message",
    "topic_settings",
    "translate",
]

log = logging.getLogger(__name__)

Config = Mapping[str, Any]
_QUIET_S = 5.0
_API = re.compile(r"ApiKey (\w+) \(\d+\) Versions \d+\.\.(\d+)")
_OF_OTHERS = " property and will be ignored by this "  # a consumer's setting with a producer beside it, and so on


@contextmanager
def translate(doing: str, cause: Callable[[KafkaError], KafkaError] = lambda error: error) -> Iterator[None]:
    """Raise our error for one of the client's, or for its `cause`; `doing` says what was tried."""
    try:
        yield
    except KafkaException as error:
        raise translated(cause(error.args[0]), doing) from error


class Notes:
    """Logs what a client says before it goes on by itself; the same again only after some seconds."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._said: dict[str, float] = {}

    def __call__(self, error: KafkaError) -> None:
        """Take note of an error."""
        now = time.monotonic()
        if now - self._said.get(error.name(), -_QUIET_S) >= _QUIET_S:
            self._said[error.name()] = now
            log.warning("broker: %s (%s)", error.name(), error.str())


class _Aside(logging.Filter):
    """Lets lines of the client library pass as debug lines: what matters in them is raised, or told by `Notes`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a line is logged; settings that have no effect are."""
        if isinstance(record.args, tuple) and record.args[:1] == ("CONFWARN",):
            return _OF_OTHERS not in record.getMessage()
        record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        return log.isEnabledFor(logging.DEBUG)


def library_log() -> logging.Logger:
    """Return the logger to which the client library's own lines go."""
    logger = logging.getLogger(f"{__name__}.library")
    if not logger.filters:
        logger.addFilter(_Aside())
    return logger


def build(kind: Callable[..., Any], config: Config, logger: logging.Logger | None = None) -> Any:
    """Build a client.

    Raises:
        SettingsError: it does not know a setting or refuses its value; names the setting and why, never its value.
        DeliveryError: no token came for it.

    """
    name = config.get(TOKEN_CALLBACK)
    token = None if name is None else TokenFunction(name)
    callback = {} if token is None else {TOKEN_CALLBACK: token}
    try:
        return kind({"error_cb": Notes(), **config, **callback}, logger=library_log() if logger is None else logger)
    except KafkaException as error:
        if token is not None and "token" in error.args[0].str():
            raise token.no_token() from None
        raise SettingsError(f"client settings: {refusal(error.args[0].str(), config)}.") from None


def newest_versions(config: Config, seconds: float) -> dict[str, int]:
    """Return by API the newest version that all brokers know which were heard of within so many seconds.

    No call of the client library tells, but its log does, whatever the connection's security.
    """
    lines, logger = _Lines(), logging.getLogger(f"{__name__}.versions")
    logger.handlers, logger.propagate = [lines], False
    logger.setLevel(logging.DEBUG)
    settings = {**config, "error_cb": lambda _error: None, "debug": "feature", "log_level": 7}
    client: AdminClient = build(AdminClient, settings, logger)
    end = time.monotonic() + seconds
    with translate("ask the brokers for their versions"):
        client.list_topics(timeout=seconds)
    while not lines.newest and time.monotonic() < end:
        client.poll(0.05)
    client.poll(0)
    return lines.newest


class _Lines(logging.Handler):
    """Reads versions of APIs from the client library's log."""

    def __init__(self) -> None:
        super().__init__()
        self.newest: dict[str, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        for name, newest in _API.findall(record.getMessage()):
            self.newest[name] = min(int(newest), self.newest.get(name, int(newest)))


def positions(topic: str, offsets: Mapping[int, int], marks: Mapping[int, str] | None = None) -> list[TopicPartition]:
    """Return offsets by partition in the client's form, with the texts that are to be kept with them."""
    return [TopicPartition(topic, p, offset, (marks or {}).get(p, "")) for p, offset in offsets.items()]


def topic_settings(topic: str) -> ConfigResource:
    """Name the settings of a topic in the client's form."""
    return ConfigResource(ResourceType.TOPIC, topic)


def to_message(m: ClientMessage, most_headers: int | None = None) -> Message:
    """Return a message of the client as ours, with so many of its headers at most."""
    headers: Any = m.headers() or ()
    kept = headers[:most_headers]
    place, left_out = (m.topic() or "", m.partition() or 0, m.offset() or 0), len(headers) - len(kept)
    return Message(*place, m.key(), m.value(), kept, m.timestamp()[1], left_out)
