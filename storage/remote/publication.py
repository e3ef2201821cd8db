"""An output that lies in an object store: it appears whole, by one commit, or not at all.

1. begin    what is delivered now is looked up, by its ETag; the run works in a folder of this machine
2. put      the whole files, below a name that only this run has: no reader knows them yet
3. commit   the run manifest, if there still is what was there at 1; a reader goes by it. Of two runs at once one wins
4. clean    what no manifest named when it was listed before 3: its writer can no longer commit, for the manifest is
            another one than it saw. What the manifest before names is kept for those who read it now
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from features.errors import CreditError, DeliveryError
from storage.remote.addresses import Address, address_of
from storage.remote.fetching import Brought
from storage.remote.runs import manifest_name, outputs_of, runs_folder

if TYPE_CHECKING:
    from storage.remote.objects import Listed, Store

__all__ = ["publication"]

SUFFIXES = (".csv", ".parquet")
IN_FOLDER = "decisions.parquet"  # what an output is called of which the folder is named
FAILED = ".failed"


class Publication:
    """Where one run writes, and how it is delivered. `path` is the output as a file of this machine."""

    def __init__(self, address: Address, folder: Path) -> None:
        """Look up what is delivered now.

        Raises:
            DeliveryError: the store does not answer, or does not permit it.

        """
        from storage.remote import objects  # noqa: PLC0415 - loads the extra `cloud`

        around, name = _split(address)
        self.path, self._stem = folder / name, PurePosixPath(name).stem
        self._run = secrets.token_hex(8)
        self._store: Store = objects.Store(around, DeliveryError)
        self._place = Brought(folder, around.text)
        self._before: Listed | None = self._store.head(manifest_name(self._stem))
        named = outputs_of(self._store.read(self._before)) if self._before else []
        self._kept = {str(PurePosixPath(one).parent) for one in named} | {self._folder}
        self._items()
        self._begun = folder / "begun"
        self._begun.touch()
        self._store.put(f"{self._folder}/{self._begun.name}", self._begun)  # before any work is done in vain

    @property
    def _folder(self) -> str:
        return f"{runs_folder(self._stem)}/{self._run}"

    @contextmanager
    def written(self) -> Iterator[None]:
        """Write files beside `path` within this block; errors name their place in the store.

        The rejects of a run that was refused are put there.
        """
        with self._place.said():
            try:
                yield
            except BaseException:
                with suppress(CreditError):
                    for file in self.path.parent.glob(f"*{FAILED}"):
                        self._store.put(file.name, file)
                self._remove_own()
                raise

    def deliver(self, local_manifest: Path) -> dict[str, Any]:
        """Deliver the files that were written; return the manifest that says so.

        Raises:
            DeliveryError: it was not possible, or another run delivered meanwhile; what was there before stands.

        """
        files = [file for file in sorted(self.path.parent.iterdir()) if not file.name.startswith(".")]
        manifest: dict[str, Any] = json.loads(local_manifest.read_text())
        manifest["run"] = self._run
        manifest["outputs"] = {f"{self._folder}/{name}": digest for name, digest in manifest["outputs"].items()}
        content = json.dumps(manifest, indent=2, ensure_ascii=False).encode() + b"\n"
        try:
            for file in files:
                if file not in {local_manifest, self._begun}:
                    self._store.put(f"{self._folder}/{file.name}", file)
            left = [item.name for item in self._items() if str(PurePosixPath(item.name).parent) not in self._kept]
            left.append(f"{self._folder}/{self._begun.name}")
            self._commit(content)
        except BaseException:
            self._remove_own()
            raise
        with suppress(CreditError):  # the next run does it
            self._store.remove(left)
        return manifest | {"places": self._places(files)}

    def _commit(self, content: bytes) -> None:
        if self._store.put_if(manifest_name(self._stem), content, self._before):
            return
        where = self._store.address / manifest_name(self._stem)
        raise DeliveryError(
            f"{where.text}: another run delivered this output while this one worked. That output stands, and nothing "
            "of this run was delivered. Look at its manifest; start again if this run shall replace it."
        )

    def _remove_own(self) -> None:
        with suppress(CreditError):
            if not self._committed():
                self._store.remove([item.name for item in self._items() if item.name.startswith(f"{self._folder}/")])

    def _committed(self) -> bool:
        """Tell whether the manifest is this run's after all: the answer may have been lost."""
        now = self._store.head(manifest_name(self._stem))
        return now is not None and any(self._folder in one for one in outputs_of(self._store.read(now)))

    def _items(self) -> "list[Listed]":
        folder = runs_folder(self._stem)
        return [item for item in self._store.items(folder) if item.name.startswith(f"{folder}/")]

    def _places(self, files: list[Path]) -> dict[str, str]:
        rejects = next(file.name for file in files if file.name.endswith(".rejects.csv"))
        names = {"decisions": self.path.name, "rejects": rejects}
        places = {what: (self._store.address / f"{self._folder}/{name}").text for what, name in names.items()}
        return places | {"run manifest": (self._store.address / manifest_name(self._stem)).text}


def _split(address: Address) -> tuple[Address, str]:
    around, name = address.url.rsplit("/", 1)
    if PurePosixPath(name).suffix.lower() in SUFFIXES:
        return Address(around, address.delta), name
    return address, IN_FOLDER


@contextmanager
def publication(out: Path) -> Iterator[Publication]:
    """Begin a delivery to an address.

    Raises:
        SettingsError: the address is not supported.
        DeliveryError: the store does not answer, does not permit it, or no folder can be made here.

    """
    from storage.remote.scratch import scratch  # noqa: PLC0415

    address = address_of(out)
    if address is None:
        raise AssertionError
    with scratch() as folder:
        yield Publication(address, folder)
