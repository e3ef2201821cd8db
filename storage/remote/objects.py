"""One object store by obstore: what lies there, brought and put whole or not at all; errors say what to do.

An error of the library may repeat the answer of the server, and that may repeat a key: only its code is passed on.
"""

import configparser
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore import exceptions
from obstore.store import from_url

from features.errors import CreditError, DeliveryError, InputError
from storage.remote.addresses import Address

__all__ = ["Listed", "Store", "aws_profile"]

_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,60})</Code>")
_STATUS = re.compile(r"status code[\s\S]{0,60}?\b(\d{3}) [A-Z]")
_CHUNK = 8 << 20
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}


@dataclass(frozen=True, slots=True)
class Listed:
    """An object: its name below the store's address, its size, and what changes when it is replaced."""

    name: str
    size: int
    tag: str | None


class Store:
    """What lies at and below an address. `kind` is the error of what is not there or may not be touched."""

    def __init__(self, address: Address, kind: type[CreditError] = InputError) -> None:
        """Open it with the rights that the cloud's environment variables, profile or machine give.

        Raises:
            InputError, DeliveryError: the address or its settings cannot be used.

        """
        self.address, self._kind = address, kind
        with self._said(""):
            self._store: Any = from_url(
                address.url,
                config=aws_profile() if address.url.startswith("s3:") else None,  # type: ignore[call-overload]
                retry_config={"max_retries": 4, "retry_timeout": timedelta(seconds=60)},
            )

    def items(self, below: str = "") -> list[Listed]:
        """Return the objects below a name, in order of their names."""
        with self._said(below):
            found = [one for batch in obstore.list(self._store, below or None) for one in batch]
        return sorted((Listed(one["path"], one["size"], one["e_tag"]) for one in found), key=lambda item: item.name)

    def head(self, name: str) -> Listed | None:
        """Return what is known of an object; None where there is none."""
        with self._said(name):
            try:
                found = obstore.head(self._store, name)
            except (FileNotFoundError, exceptions.NotFoundError):
                return None
        return Listed(name, found["size"], found["e_tag"])

    def bring(self, item: Listed, target: Path) -> None:
        """Write an object to a file, chunk by chunk; it must be the one that was listed."""
        with self._said(item.name):
            answer = obstore.get(self._store, item.name, options={"if_match": item.tag} if item.tag else {})
            with target.open("wb") as file:
                for chunk in answer.stream(min_chunk_size=_CHUNK):
                    file.write(chunk)
        if target.stat().st_size != item.size:
            raise self._changed(item.name)

    def bring_ends(self, item: Listed, target: Path, head: int) -> None:
        """Write the first bytes of an object, and the footer of a Parquet file, into a file of the object's size."""
        spans = [(0, min(head, item.size))]
        if target.suffix == ".parquet" and item.size > spans[0][1] + 8:
            length = int.from_bytes(self._span(item, item.size - 8, 4), "little")
            spans.append((max(0, item.size - 8 - length), min(length + 8, item.size)))
        with target.open("r+b") as file:
            for start, length in spans:
                file.seek(start)
                file.write(self._span(item, start, length) if length else b"")

    def _span(self, item: Listed, start: int, length: int) -> bytes:
        with self._said(item.name):
            options: Any = {"range": (start, start + length)} | ({"if_match": item.tag} if item.tag else {})
            return bytes(obstore.get(self._store, item.name, options=options).bytes())

    def read(self, item: Listed) -> bytes:
        """Return a small object, which must be the one that was listed."""
        with self._said(item.name):
            answer = obstore.get(self._store, item.name, options={"if_match": item.tag} if item.tag else {})
            return bytes(answer.bytes())

    def put(self, name: str, file: Path) -> None:
        """Put a file, in parts where it is large."""
        with self._said(name):
            obstore.put(self._store, name, file, chunk_size=_CHUNK, max_concurrency=4)

    def put_if(self, name: str, content: bytes, before: Listed | None) -> bool:
        """Put a small object where there is still what was there before; say whether it was.

        An answer that got lost leaves the question who won: what lies there answers it.
        """
        mode: Any = "create" if before is None else {"e_tag": before.tag}
        try:
            with self._said(name):
                try:
                    obstore.put(self._store, name, content, mode=mode, use_multipart=False)
                except (exceptions.AlreadyExistsError, exceptions.PreconditionError, exceptions.NotFoundError):
                    return self._holds(name, content)
        except CreditError:
            if self._holds(name, content):
                return True
            raise
        return True

    def _holds(self, name: str, content: bytes) -> bool:
        try:
            found = self.head(name)
            return found is not None and found.size == len(content) and self.read(found) == content
        except CreditError:
            return False

    def remove(self, names: list[str]) -> None:
        """Delete objects."""
        with self._said(names[0] if names else ""):
            obstore.delete(self._store, names)

    @contextmanager
    def _said(self, name: str) -> Iterator[None]:
        """Turn the library's errors into ours."""
        try:
            yield
        except CreditError:
            raise
        except (exceptions.BaseError, OSError, ValueError) as error:
            raise self.error(error, name) from None

    def error(self, error: Exception, name: str = "") -> CreditError:
        """Return our error for one of a library that speaks to the store."""
        where = (self.address / name).text
        if isinstance(error, exceptions.PreconditionError):
            return self._changed(name)
        if isinstance(error, OSError) and error.filename:
            return DeliveryError(f"{error.filename}: cannot be written ({error.strerror}).")
        return self._said_by_store(where, *_answer(error))

    def _said_by_store(self, where: str, status: str, code: str) -> CreditError:
        if code == "NoSuchBucket":
            return self._kind(f"{where}: there is no such bucket. Check the address and the region.")
        if status == "404":
            return self._kind(f"{where}: nothing lies there, or not any more. Check the address.")
        if status in {"401", "403"} and code not in _EXPIRED:
            return self._refused(where, code)
        return self._failed(where, code)

    def _refused(self, where: str, code: str) -> CreditError:
        return self._kind(
            f"{where}: the store does not permit it{_brackets(code)}. Expected the right to list, read"
            f"{', write and delete' if self._kind is DeliveryError else ''} there; check the role or key of this run."
        )

    def _failed(self, where: str, code: str) -> CreditError:
        if code in _EXPIRED:
            return DeliveryError(
                f"{where}: the credentials of this run expired ({code}). Nothing was delivered. Start it again with "
                "new ones that live longer than a run, or with a role that renews them."
            )
        return DeliveryError(
            f"{where}: the store gave no usable answer{_brackets(code)}. Nothing was delivered. Check network, region "
            "and credentials, then start again."
        )

    def _changed(self, name: str) -> InputError:
        return InputError(
            f"{(self.address / name).text}: was replaced while it was read. Start the run when the table is complete."
        )


def aws_profile() -> dict[str, str] | None:
    """Return what the AWS profile files say, where the environment holds no key; None where they say nothing."""
    if "AWS_ACCESS_KEY_ID" in os.environ or "AWS_WEB_IDENTITY_TOKEN_FILE" in os.environ:
        return None
    name, home = os.environ.get("AWS_PROFILE", "default"), Path.home() / ".aws"
    files = configparser.ConfigParser(interpolation=None)
    files.read(
        [
            os.environ.get("AWS_SHARED_CREDENTIALS_FILE", home / "credentials"),
            os.environ.get("AWS_CONFIG_FILE", home / "config"),
        ]
    )
    wanted = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "region", "endpoint_url")
    found: dict[str, str] = {}
    for section in (f"profile {name}", name):
        if files.has_section(section):
            found |= {key: value for key, value in files.items(section) if key in wanted}
    return {f"aws_{key.removeprefix('aws_')}": value for key, value in found.items()} or None


def _answer(error: Exception) -> tuple[str, str]:
    """Return the status and the code of the server's answer, as far as the library's text holds them."""
    text = str(error)
    status, code = _STATUS.search(text), _CODE.search(text)
    missing = isinstance(error, (FileNotFoundError, exceptions.NotFoundError))
    return "404" if missing else status[1] if status else "", code[1] if code else ""


def _brackets(code: str) -> str:
    return f" ({code})" if code else ""
