"""An input that lies elsewhere, brought to this machine as it was when it was listed, and read there as any other.

The reading of files has one way, for local files. What is brought keeps the names of its folders, and its errors name
the URL. It is brought whole; or, where several machines share the work, each object where it is read.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from features.errors import CreditError, InputError
from storage.locks import Lock
from storage.remote.addresses import Address, address_of

if TYPE_CHECKING:
    from storage.remote.objects import Listed, Store

__all__ = ["Brought", "brought", "listed"]

_AT_A_TIME = 4
_HEAD_BYTES = 16 << 20
_Bring = Callable[["Store", "Listed", Path], object]


@dataclass(frozen=True, slots=True)
class Brought:
    """A path of this machine, and the text that names where it comes from; `version`: of a Delta table.

    `objects`: those that were listed and are not here yet, by their paths below `path`, or the one that `path` is. For
    each of them an empty file of its size is here, where they were listed.
    """

    path: Path
    shown: str
    version: int | None = None
    objects: "Mapping[str, Listed]" = field(default_factory=dict)
    address: Address | None = None

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

    def stamp(self, path: Path) -> list[object]:
        """Return what changes when a file is replaced: of an object, what was listed."""
        item = self._object(path)
        if item is not None:
            return [item.size, item.tag]
        status = path.stat()
        return [status.st_size, status.st_mtime_ns]

    def bring_ends(self, path: Path) -> None:
        """Bring what a file says about itself: its first bytes, or the footer of a Parquet file. Its rest stays empty.

        Raises:
            InputError: it was replaced, is not there any more, or may not be read.
            DeliveryError: the store does not answer.

        """
        item = self._object(path)
        if item is not None:
            self._store().bring_ends(item, path, _HEAD_BYTES)

    @contextmanager
    def at_hand(self, path: Path, around: Path | None, *, keep: bool = False) -> Iterator[Path]:
        """Bring a file for the time of the block, if it is not here, into a folder within `around` (None: `TMPDIR`).

        `keep`: leave it there for others who read the same object.

        Raises:
            InputError: it was replaced, is not there any more, or may not be read.
            DeliveryError: the store does not answer.

        """
        item = self._object(path)
        if item is None:
            yield path
            return
        store = self._store()
        with tempfile.TemporaryDirectory(prefix="credit-object-", dir=around) as folder:
            here = Path(folder) / path.name
            if keep and around is not None:
                here = _kept(store, item, around, path.name)
            else:
                store.bring(item, here)
            with Brought(here, (store.address / item.name).text).said():
                yield here

    def _object(self, path: Path) -> "Listed | None":
        return self.objects.get(path.relative_to(self.path).as_posix()) if self.objects else None

    def _store(self) -> "Store":
        from storage.remote.objects import Store  # noqa: PLC0415 - loads the extra `cloud`

        if self.address is None:
            raise ValueError(self.shown)
        return Store(self.address)


def _kept(store: "Store", item: "Listed", around: Path, name: str) -> Path:
    """Bring an object once for all processes that share the folder `around`."""
    key = hashlib.sha256(f"{store.address.url}\n{item.name}\n{item.tag}\n{item.size}".encode()).hexdigest()
    folder = around / f"credit-object-{key[:32]}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with Lock(folder / ".lock", wait=True, passing=True):
        if not (folder / name).exists():
            part = folder / f".{name}.part"
            store.bring(item, part)
            os.replace(part, folder / name)  # noqa: PTH105
    return folder / name


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


@contextmanager
def listed(path: Path, what: str) -> Iterator[Brought]:
    """List a file or folder, for the time of the block; objects are brought where they are read, see `Brought`.

    Raises:
        SettingsError, InputError, DeliveryError: as `brought`.

    """
    address = address_of(path)
    if address is None:
        yield Brought(path, str(path))
        return
    from storage.remote.scratch import scratch  # noqa: PLC0415 - needed for an address alone

    with scratch() as folder:
        store, named, version = _named(address, what)
        found = _laid_out(store, named, folder, lambda _store, item, target: _reserve(target, item.size))
        around = PurePosixPath(address.url).name
        objects = {PurePosixPath(name).relative_to(around).as_posix(): item for name, item in found.items()}
        yield Brought(folder / around, address.text, version, objects, store.address)


def _reserve(target: Path, size: int) -> None:
    with target.open("wb") as file:
        file.truncate(size)


def _bring(address: Address, folder: Path, what: str) -> Brought:
    from storage.remote.scratch import check_room  # noqa: PLC0415

    store, named, version = _named(address, what)
    check_room(folder, sum(item.size for item in named.values()), address.text)
    _laid_out(store, named, folder, lambda store, item, target: store.bring(item, target))
    return Brought(folder / PurePosixPath(address.url).name, address.text, version)


def _named(address: Address, what: str) -> "tuple[Store, dict[str, Listed], int | None]":
    store, named, version = _found(address, what)
    if not named:
        raise InputError(f"{address.text}: nothing lies there. Expected the {what}.")
    if any(".." in PurePosixPath(name).parts for name in named):
        raise InputError(f"{address.text}: holds an object whose name has .. in it. Expected names of files.")
    return store, named, version


def _laid_out(store: "Store", named: "dict[str, Listed]", folder: Path, bring: _Bring) -> "dict[str, Listed]":
    """Make a file for each object and let `bring` fill it; of those whose names begin with . or _ the name is enough.

    Return those that were to be filled.
    """
    wanted = {
        name: item
        for name, item in named.items()
        if not any(p.startswith((".", "_")) for p in PurePosixPath(name).parts)
    }

    def make(name: str, item: "Listed") -> None:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name in wanted:
            bring(store, item, target)
        else:
            target.touch()

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        running = [pool.submit(make, name, item) for name, item in named.items()]
        try:
            for future in running:
                future.result()
        finally:
            for future in running:
                future.cancel()
    return wanted


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
    if len(found) > 1:
        return store, {f"{name}/{PurePosixPath(item.name).name}": item for item in found}, None
    return store, {name: found[0]} if found else {}, None
