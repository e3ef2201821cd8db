"""Settings of `credit serve`: flags before environment (CREDIT_API_*) before defaults."""

import ipaddress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from api.extra_headers import RESERVED, check_origins
from features.carried_headers import DEFAULT, check_names, listed
from features.errors import SettingsError


class Framework(StrEnum):
    """What the door is built with; the interface is the same."""

    FASTAPI = "fastapi"
    FLASK = "flask"


class Receipts(StrEnum):
    """When an answer may go out."""

    DURABLE = "durable"
    RELAXED = "relaxed"


class Settings(BaseSettings):
    """Everything that can be set. Seconds, bytes and counts are per worker process."""

    model_config = SettingsConfigDict(env_prefix="CREDIT_API_", extra="ignore", frozen=True)

    bundle: Path = Field(description="The bundle's folder, or a link to it, which the door follows.")
    trust: Path | None = Field(
        None, description="Keys, .toml or a folder of them: only a bundle that one of them signed is served."
    )
    challenger: Annotated[list[Path], NoDecode, BeforeValidator(listed)] = Field(
        default=[], description="Other bundles, with commas, which decide the same applications without effect."
    )
    challenger_share: float = Field(1.0, ge=0, le=1, description="For this share of the customers.")
    framework: Framework = Field(Framework.FASTAPI, description="fastapi (with uvicorn) or flask (with waitress).")
    host: str = Field("127.0.0.1", description="Address to listen on. Other machines reach 0.0.0.0.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one and prints it.")
    workers: int = Field(1, ge=1, le=256, description="Worker processes; one that dies is started again.")
    keys: Path = Field(Path("credit-keys.json"), description="File of API keys, as `credit key new` writes it.")
    no_auth: bool = Field(default=False, description="Serve without keys; on loopback only.")
    rate_limit: float = Field(
        5000, ge=0, description="Applications a second for each key and worker, those of batches too; 0: no limit."
    )
    log: Path | None = Field(
        None, description="Decision log: a folder where each decision leaves a receipt; none: no receipts."
    )
    receipts: Receipts = Field(
        Receipts.DURABLE, description="An answer goes out when its receipt is: durable (on the disk) or relaxed (with "
        "the operating system: a crash of the machine may lose the last receipts, one of the process none).",
    )  # fmt: skip
    pii_key: Path | None = Field(
        None, description="Key file of what the spec declares as pii, which the log stores keyed."
    )
    history: str = Field(
        "", description="History store, as `credit history init` makes it: a folder, or postgresql://... Applications "
        "may come without `events`, and get those of the store; empty: each must carry them.",
    )  # fmt: skip
    history_max_age: float = Field(
        30, gt=0, description="A store whose consumer was last alive so many seconds ago is behind: 503."
    )
    history_wait_ms: float = Field(
        0, ge=0, le=10_000, description="How long an application waits for the event that its `history` names."
    )
    seal_seconds: float = Field(60, ge=1, le=86_400, description="Receipts are sealed into the log after so long.")
    carry_headers: Annotated[
        list[str], NoDecode, BeforeValidator(listed), AfterValidator(lambda names: list(check_names(names, RESERVED)))
    ] = Field(
        default=list(DEFAULT),
        description="Names of headers, with commas, that go from a request to its receipt and response; at most 16, "
        "values of at most 1,024 characters.",
    )
    cors_origins: Annotated[list[str], NoDecode, BeforeValidator(listed), AfterValidator(check_origins)] = Field(
        default=[], description="Origins, with commas, whose pages may ask from a browser; none: no page of another."
    )
    max_body_bytes: int = Field(1 << 20, ge=1024, description="Largest body of one application.")
    max_batch_bytes: int = Field(16 << 20, ge=1024, description="Largest body of a batch.")
    max_bytes_in_flight: int = Field(64 << 20, ge=1024, description="All bodies being read or waiting; more get 503.")
    max_waiting: int = Field(128, ge=1, le=4096, description="Requests that wait for the scorer; more get 503.")
    round_size: int = Field(256, ge=1, le=10_000, description="Most applications scored together; 1: no coalescing.")
    max_connections: int = Field(1000, ge=1, le=100_000, description="Open connections; more are closed at once.")
    deadline_seconds: float = Field(2, gt=0, le=600, description="From the whole request to its answer; then 503.")
    body_seconds: float = Field(10, gt=0, le=600, description="For the body to arrive; then 408.")
    header_seconds: float = Field(5, gt=0, le=600, description="For the headers to arrive; then closed.")
    idle_seconds: float = Field(65, gt=0, le=3600, description="A kept connection without a request; then closed.")
    drift_window: int = Field(
        5000, ge=500, le=10_000_000, description="Drift of live metrics is that of so many last decisions."
    )
    stop_seconds: float = Field(5, gt=0, le=600, description="For requests in flight after SIGTERM.")


def make_settings(**given: object) -> Settings:
    """Complete what was given from the environment and the defaults.

    Raises:
        SettingsError: a value cannot be used; names the setting.

    """
    try:
        settings = Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors()]
        raise SettingsError(f"{'; '.join(problems)}. See docs/rest.md for each setting.") from error
    if settings.no_auth and not is_loopback(settings.host):
        raise SettingsError(
            f"no_auth: serves everyone, and host {settings.host} is not loopback. Use keys (`credit key new`), "
            "or --host 127.0.0.1."
        )
    return settings


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
