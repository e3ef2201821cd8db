"""The settings of a worker: flags over environment over file, one table. Those of the client, as TLS, pass through."""

import os
import re
import socket
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import (
    SettingsError as SourceError,
)

from features.carried_headers import DEFAULT as DEFAULT_HEADERS
from features.carried_headers import listed
from features.errors import SettingsError
from stream.client.client_values import client_settings
from stream.client.patience import DEFAULT_S, Times
from stream.settings.setting_values import addresses, header_names

__all__ = [
    "FILE_VARIABLE",
    "PREFIX",
    "ConnectionSettings",
    "DeliveryMode",
    "StreamSettings",
    "TopicSettings",
    "load_settings",
]

PREFIX = "CREDIT_STREAM_"
FILE_VARIABLE = PREFIX + "SETTINGS"
MAX_POLL_S = 120
_SEE = "See the table in docs/stream.md, or --help."


class DeliveryMode(StrEnum):
    """How often a message may be decided."""

    EXACTLY_ONCE = "exactly-once"
    AT_LEAST_ONCE = "at-least-once"


class GroupProtocol(StrEnum):
    """How workers share partitions."""

    AUTO = "auto"
    CONSUMER = "consumer"
    CLASSIC = "classic"


class MissingOffsets(StrEnum):
    """What to do where the group's next offset is unknown or gone."""

    STOP = "stop"
    EARLIEST = "earliest"


class ConnectionSettings(BaseSettings):
    """How to reach the brokers."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, validate_default=True)

    brokers: Annotated[str, AfterValidator(addresses)] = Field(
        min_length=1, description="Bootstrap brokers, HOST:PORT, separated by commas."
    )
    client: Annotated[dict[str, str], BeforeValidator(client_settings)] = Field(
        default_factory=dict,
        repr=False,
        description="Settings passed to the Kafka client, such as security.protocol or sasl.password. Put secrets into "
        "the file or the environment (there as one JSON object), not on the command line.",
    )

    @property
    def connection(self) -> dict[str, str]:
        """What every client of the library needs."""
        return {"bootstrap.servers": self.brokers, **self.client}

    def kafka(self, tool: str, rest: str) -> str:
        """Return a command of one of Kafka's own tools, to be pasted; client settings stand in a file for them."""
        secured = " --command-config client.properties" if self.client else ""
        return f"{tool} --bootstrap-server {self.brokers}{secured} {rest}"


class TopicSettings(ConnectionSettings):
    """Where applications come from and where records go."""

    input: str = Field("credit.applications", description="Topic to read applications from.")
    output: str = Field("credit.decisions", description="Topic for decisions.")
    dead_letters: str = Field("credit.dead-letters", description="Topic for messages that were refused.")
    receipts: str = Field("", description="Topic for the receipts of decisions, such as credit.receipts; empty: none.")
    group: str = Field("credit-scorer", description="Consumer group; workers of one group share the partitions.")

    @property
    def targets(self) -> tuple[str, ...]:
        """The topics that are written to: decisions, dead letters and, if there are any, receipts."""
        return (self.output, self.dead_letters, *([self.receipts] if self.receipts else []))


class StreamSettings(TopicSettings):
    """One field per row of the table in docs/stream.md."""

    model_config = SettingsConfigDict(extra="forbid")

    bundle: Path = Field(description="The bundle's folder, or a link to it.")
    trust: Path | None = Field(
        None, description="Keys, .toml or a folder of them: only a bundle that one of them signed decides."
    )
    challenger: Annotated[list[Path], NoDecode, BeforeValidator(listed)] = Field(
        default=[], description="Other bundles, with commas, which decide the same applications without effect."
    )
    challenger_share: float = Field(1.0, ge=0, le=1, description="For this share of the customers.")
    challenger_wait_ms: float = Field(
        50,
        ge=0,
        le=10_000,
        description="A batch waits for challengers, all together, for as long as it was scored and this; what is "
        "not there by then is left out and counted.",
    )
    instance: str = Field(
        "",
        description="Stable name of this host among the group's hosts; empty: the host's own name. Several workers of "
        "one host may bear the same.",
    )
    delivery: DeliveryMode = Field(
        DeliveryMode.EXACTLY_ONCE, description="exactly-once needs transactions; at-least-once is for brokers without."
    )
    group_protocol: GroupProtocol = Field(
        GroupProtocol.AUTO, description="consumer for brokers from 4.0 on, classic for older ones; auto asks them."
    )
    framed_json: bool = Field(
        default=False,
        description="Take the frame of a schema registry (a zero byte and a schema id, as Confluent's JSON serializer "
        "writes it) off messages that have one.",
    )
    carry_headers: Annotated[list[str], NoDecode, BeforeValidator(listed), AfterValidator(header_names)] = Field(
        default=list(DEFAULT_HEADERS),
        description="Names of headers, with commas, that go from a message to its decision and receipt; at most 16, "
        "values of at most 1,024 bytes. Dead letters have all headers of their message.",
    )
    max_messages: int = Field(2000, ge=1, le=100_000, description="Most messages in one transaction.")
    max_seconds: float = Field(
        1.0,
        gt=0,
        le=30,
        description="Batches shrink when their messages take longer than this, whatever a commit costs.",
    )
    missing_offsets: MissingOffsets = Field(
        MissingOffsets.STOP, description="Where an offset is missing though decisions exist, or is gone: stop with "
        "instructions, or begin at the earliest message that is there.",
    )  # fmt: skip
    history: str = Field(
        "", description="History store, a folder or postgresql://...: applications may come without `events`."
    )
    history_max_age: float = Field(
        30, gt=0, description="A store whose consumer was last alive so many seconds ago is behind: the worker waits."
    )
    history_wait_ms: float = Field(
        0, ge=0, le=10_000, description="How long an application waits for the event that its `history` names."
    )
    reject_window: int = Field(200, ge=200, description="The circuit breaker looks at so many last messages.")
    max_reject_share: float = Field(0.5, gt=0, le=1, description="A larger share of refused ones among them stops it.")
    accept_rejects: int = Field(0, ge=0, description="Let so many more refused messages pass the circuit breaker.")
    retry_seconds: float = Field(
        DEFAULT_S,
        gt=0,
        description="The patience: the longest outage of the brokers that is waited for. All other times are derived "
        "from it.",
    )
    deadline_seconds: float | None = Field(
        None,
        gt=0,
        le=MAX_POLL_S,
        description="The watchdog ends a step that takes longer; empty: twice `retry_seconds`, at most 90.",
    )
    stop_when_idle: float | None = Field(
        None, ge=0, description="End when all is read and nothing has arrived for so many seconds."
    )
    drift_window: int = Field(
        5000, ge=500, le=10_000_000, description="Drift of live metrics is that of so many last decisions."
    )
    health_host: str = Field("127.0.0.1", description="Where /healthz, /readyz and /metrics listen.")
    health_port: int = Field(
        0, ge=0, le=65_535, description="Their port for the first worker of a host, one more for each further one. 0: "
        "a free port, named in the log.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.retry_seconds >= self.deadline_s:
            raise ValueError("retry_seconds must be below deadline_seconds")
        return self

    @property
    def times(self) -> Times:
        """What is derived from the patience."""
        return Times(self.retry_seconds)

    @property
    def deadline_s(self) -> float:
        """When the watchdog ends a step."""
        return self.times.deadline_s if self.deadline_seconds is None else self.deadline_seconds

    @property
    def host(self) -> str:
        """The instance, or the host's name."""
        return self.instance or socket.gethostname()


Settings = TypeVar("Settings", bound=ConnectionSettings)


def load_settings(kind: type[Settings], flags: Mapping[str, Any], file: Path | None) -> Settings:
    """Read settings: flags (None: not given) over the environment over a TOML file.

    Raises:
        SettingsError: a setting is unknown, missing or out of range; its name is said, never its value.

    """
    path = file or (Path(os.environ[FILE_VARIABLE]) if os.environ.get(FILE_VARIABLE) else None)
    known = {FILE_VARIABLE, *(PREFIX + name.upper() for name in StreamSettings.model_fields)}
    strangers = sorted(n for n in os.environ if n.upper().startswith(PREFIX) and n.upper() not in known)
    if strangers:
        raise SettingsError(f"environment: {', '.join(strangers)} is no setting. {_SEE}")
    if path is not None and not path.is_file():
        raise SettingsError(f"{path}: no such settings file. Expected TOML. {_SEE}")
    try:
        return _with_file(kind, path)(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"][:1]) or "settings"
        raise SettingsError(f"{name}: {first['msg'].removeprefix('Value error, ')}. {_SEE}") from None
    except ValueError as error:  # the sources: not TOML, not JSON
        raise SettingsError(f"{_unreadable(error, path)}. {_SEE}") from None


def _unreadable(error: ValueError, path: Path | None) -> str:
    """Say where settings cannot be read, never what stands there."""
    if isinstance(error, SourceError):
        field = re.search(r'field "(\w+)"', str(error))
        name = PREFIX + field[1].upper() if field else "environment"
        return f'{name}: expected one JSON object, such as {{"security.protocol": "SASL_SSL"}}'
    place = re.search(r"line \d+, column \d+", str(error))
    return f"{path}: not readable as TOML in UTF-8{f' at {place[0]}' if place else ''}"


def _with_file(kind: type[Settings], path: Path | None) -> type[Settings]:
    class WithFile(kind):  # type: ignore[valid-type, misc]
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            **_others: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            file = () if path is None else (TomlConfigSettingsSource(settings_cls, path),)
            return (init_settings, env_settings, *file)

    return WithFile
