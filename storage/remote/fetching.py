"""An input that lies elsewhere, brought to this machine as it was when it was listed, and read there as any other.

The reading of files has one way, for local files. What is brought keeps the names of its folders, and its errors name
the URL.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from features.errors import CreditError, InputError
from storage.remote.addresses import Address, address_of

if TYPE_CHECKING:
    from storage.remote.objects import Listed, Store

__all__ = ["Brought", "brought"]

_AT_A_TIME = 4


@dataclass(frozen=True, slots=True)
class Brought:
    """A path of this machine, and the text that names where it comes from; `version`: of a Delta table."""

    path: Path
    shown: str
    version: int | None = None

    def say(self, text: str) -> str:
        """Return a text with the place that a path of this machine stands for."""
        return text if self.shown == str(self.path) else text.replace(str(self.path), self.shown)

    @contextmanager
    def said(self) -> Iterator[None]:
        """Let errors within the block name where it comes from."""
        try:
            yield
        except CreditError as error:
            said = self.say(str(error))
            if said == str(error):
                raise
            raise type(error)(said) from error


@contextmanager
def brought(path: Path, what: str) -> Iterator[Brought]:
    """Bring a file or folder to this machine for the time of the block; a path of this machine stays what it is.

    Raises:
        SettingsError: the address is not supported.
        InputError: nothing is there, it may not be read, or it was replaced while it was read.
        DeliveryError: the store does not answer, or there is no room here.

    """
    address = address_of(path)
    if address is None:
        yield Brought(path, str(path))
        return
    from storage.remote.scratch import scratch  # noqa: PLC0415 - needed for an address alone

    with scratch() as folder:
        yield _bring(address, folder, what)


def _bring(address: Address, folder: Path, what: str) -> Brought:
    from storage.remote.objects import Listed  # noqa: PLC0415 - loads the extra `cloud`
    from storage.remote.scratch import check_room  # noqa: PLC0415

    store, named, version = _found(address, what)
    if not named:
        raise InputError(f"{address.text}: nothing lies there. Expected the {what}.")
    check_room(folder, sum(item.size for item in named.values()), address.text)

    def bring(name: str, item: Listed) -> None:
        parts = PurePosixPath(name).parts
        if ".." in parts:
            raise InputError(f"{address.text}: holds an object whose name has .. in it. Expected names of files.")
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if any(part.startswith((".", "_")) for part in parts):
            target.touch()  # its name says something, its content is not read
        else:
            store.bring(item, target)

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        running = [pool.submit(bring, name, item) for name, item in named.items()]
        try:
            for future in running:
                future.result()
        finally:
            for future in running:
                future.cancel()
    return Brought(folder / PurePosixPath(address.url).name, address.text, version)


def _found(address: Address, what: str) -> "tuple[Store, dict[str, Listed], int | None]":
    """Return the objects of a table, each with the name that it gets on this machine, below the table's own."""
    from storage.remote.objects import Store  # noqa: PLC0415
    from storage.remote.runs import delivered, delivered_as  # noqa: PLC0415

    around, name = address.url.rsplit("/", 1)
    store = Store(address)
    if address.delta:
        from storage.remote.delta import snapshot  # noqa: PLC0415

        table = snapshot(store, what)
        return store, {f"{name}/{own}": file for own, file in table.files.items()}, table.version
    items = [item for item in store.items() if item.name]
    if items:
        run = delivered(store, items)
        if run is not None:
            return store, {f"{name}/{PurePosixPath(item.name).name}": item for item in run}, None
        return store, {f"{name}/{item.name}": item for item in items}, None
    if around.endswith("/"):  # a bucket
        return store, {}, None
    store = Store(Address(around, address.delta))
    one = store.head(name)
    found = [one] if one else delivered_as(store, name)
    return store, {name: found[0]} if found else {}, None
