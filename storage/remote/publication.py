"""An output that lies in an object store: it appears whole, by one commit, or not at all.

1. begin    what is delivered now is looked up, by its ETag; the run works in a folder of this machine
2. put      the whole files, below a name that only this run has: no reader knows them yet
3. commit   the run manifest, if there still is what was there at 1; a reader goes by it. Of two runs at once one wins
4. clean    what no manifest named when it was listed before 3: its writer can no longer commit, for the manifest is
            another one than it saw. What the manifest before names is kept for those who read it now
"""

import json
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import polars as pl

from features.errors import CreditError, DeliveryError
from storage.remote.addresses import Address
from storage.remote.fetching import Brought
from storage.remote.runs import manifest_name, outputs_of, rejects_name, runs_folder

if TYPE_CHECKING:
    from storage.remote.objects import Listed

__all__ = ["DataFile", "Publication", "Spread", "publication"]

SUFFIXES = (".csv", ".parquet")
IN_FOLDER = "decisions.parquet"  # what an output is called of which the folder is named
FAILED = ".failed"
BEGUN = "begun"  # the mark of a run that did not end
DELTA_RUNS = "_credit"


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file of decisions in the store: its name below the store's address."""

    name: str
    rows: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Spread:
    """Decisions that several machines put there: each a file with these columns, below `Publication.parts`."""

    schema: pl.Schema
    files: list[DataFile]


class Publication:
    """Where one run writes, and how it is delivered. `path` is the output as a file of this machine."""

    def __init__(self, address: Address, folder: Path) -> None:
        """Look up what is delivered now, then put the mark of this run, before any work is done in vain.

        Raises:
            DeliveryError: the store does not answer, or does not permit it.

        """
        from storage.remote import objects  # noqa: PLC0415 - loads the extra `cloud`

        around, name = _split(address)
        self.path, self._stem = folder / name, PurePosixPath(name).stem
        self._run = secrets.token_hex(8)
        self._store = objects.Store(around, DeliveryError)
        self._place = Brought(folder, around.text)
        self._look_up()
        mark = folder / f".{BEGUN}"
        mark.touch()
        self._store.put(f"{self._folder}/{BEGUN}", mark)

    @property
    def _runs(self) -> str:
        return runs_folder(self._stem)

    @property
    def _folder(self) -> str:
        return f"{self._runs}/{self._run}"

    @property
    def _manifest(self) -> str:
        return manifest_name(self._stem)

    @property
    def address(self) -> Address:
        """Where names of objects begin."""
        return self._store.address

    @property
    def parts(self) -> str:
        """The name below which other machines put what they decided."""
        return self._folder

    @property
    def manifest(self) -> Path:
        """The run manifest as a file of this machine."""
        return self.path.with_name(manifest_name(self._stem))

    @property
    def rejects(self) -> Path:
        """The rejects as a file of this machine."""
        return self.path.with_name(rejects_name(self._stem))

    def _name(self, file: str) -> str:
        """Return what a file of the run is called in the store."""
        return f"{self._folder}/{file}"

    def _look_up(self) -> None:
        self._items()  # who may not list ends here, and not when the work is done
        self._before: Listed | None = self._store.head(self._manifest)
        named = outputs_of(self._store.read(self._before)) if self._before else []
        self._kept = {str(PurePosixPath(one).parent) for one in named} | {self._folder}

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

    def deliver(self, spread: Spread | None = None) -> dict[str, Any]:
        """Deliver the files that were written, and what other machines put there; return the manifest that says so.

        Raises:
            DeliveryError: it was not possible, or another run delivered meanwhile; what was there before stands.

        """
        manifest: dict[str, Any] = json.loads(self.manifest.read_text())
        manifest["run"] = self._run
        own = {self._name(name): digest for name, digest in manifest["outputs"].items()}
        manifest["outputs"] = {file.name: file.sha256 for file in (spread.files if spread else ())} | own
        content = json.dumps(manifest, indent=2, ensure_ascii=False).encode() + b"\n"
        files = [file for file in sorted(self.path.parent.iterdir()) if not file.name.startswith(".")]
        try:
            for file in files:
                if file != self.manifest:
                    self._store.put(self._name(file.name), file)
            mark = f"{self._folder}/{BEGUN}"
            left = [*self._left(), mark, *self._unnamed(spread, {*manifest["outputs"], mark})]
            if not self._commit(content, spread):
                raise DeliveryError(self._lost())  # noqa: TRY301
        except BaseException:
            self._remove_own()
            raise
        with suppress(CreditError):  # the next run does it
            self._store.remove(left)
        return manifest | {"places": self._places(spread)}

    def _left(self) -> list[str]:
        """List what no manifest names: its writer saw another manifest than the one to be, so it cannot commit."""
        return [item.name for item in self._items() if str(PurePosixPath(item.name).parent) not in self._kept]

    def _unnamed(self, spread: Spread | None, named: Collection[str]) -> list[str]:
        """List what tasks put there for this process, and of those that died and were done again."""
        if spread is None:
            return []
        there = [item.name for item in self._store.items(self.parts) if item.name.startswith(f"{self.parts}/")]
        return [name for name in there if name not in named]

    def _commit(self, content: bytes, _spread: Spread | None) -> bool:
        return self._store.put_if(self._manifest, content, self._before)

    def _lost(self) -> str:
        return (
            f"{self._store.address.text}: another run delivered this output while this one worked. That output stands, "
            "and nothing of this run was delivered. Look at its run manifest; start again if this run shall replace it."
        )

    def _remove_own(self) -> None:
        with suppress(CreditError):
            if not self._committed():
                self._store.remove([item.name for item in self._items() if self._run in item.name])

    def _committed(self) -> bool:
        """Tell whether the manifest is this run's after all: the answer may have been lost."""
        now = self._store.head(self._manifest)
        return now is not None and any(self._folder in one for one in outputs_of(self._store.read(now)))

    def _items(self) -> "list[Listed]":
        return [item for item in self._store.items(self._runs) if item.name.startswith(f"{self._runs}/")]

    def _places(self, spread: Spread | None) -> dict[str, str]:
        decisions = self._name(self.path.name) if spread is None else self.parts
        names = {"decisions": decisions, "rejects": self._name(self.rejects.name), "run manifest": self._manifest}
        places = {what: (self._store.address / name).text for what, name in names.items()}
        return (
            places
            if spread is None
            else places | {"decisions": f"{places['decisions']}, {len(spread.files):,} part files"}
        )


class DeltaPublication(Publication):
    """The same, delivered by a commit to a Delta table: the table's log is what a reader goes by.

    Decisions lie among the table's files, all else in `_credit/RUN/`, which stays as long as the version may be read.
    """

    def _look_up(self) -> None:
        from storage.remote import delta  # noqa: PLC0415 - loads the extra `cloud`

        self._delta = delta
        self._version = delta.version(self._store)

    @property
    def _runs(self) -> str:
        return DELTA_RUNS

    @property
    def _manifest(self) -> str:
        return f"{self._folder}/{manifest_name(self._stem)}"

    def _name(self, file: str) -> str:
        return _data_file(self._run) if file == self.path.name else f"{self._folder}/{file}"

    @property
    def parts(self) -> str:
        """The name below which other machines put what they decided: it lies in the table."""
        return _data_folder(self._run)

    def _commit(self, content: bytes, spread: Spread | None) -> bool:
        self._store.put_if(self._manifest, content, None)
        return self._delta.commit(self._store, spread or self._whole(), self._run, self._version)

    def _whole(self) -> Spread:
        rows = pl.scan_parquet(self.path).select(pl.len()).collect().item()
        file = DataFile(self._name(self.path.name), rows, self.path.stat().st_size, "")
        return Spread(pl.Schema(pl.read_parquet_schema(self.path)), [file])

    def _committed(self) -> bool:
        return self._delta.committed(self._store, self._run)

    def _remove_own(self) -> None:
        super()._remove_own()
        with suppress(CreditError):
            if not self._committed():
                self._store.remove([_data_file(self._run), *self._parts_of(self._run)])

    def _parts_of(self, run: str) -> list[str]:
        folder = _data_folder(run)
        return [item.name for item in self._store.items(folder) if item.name.startswith(f"{folder}/")]

    def _left(self) -> list[str]:
        """List what runs left that did not end and did not commit."""
        items = [item.name for item in self._items()]
        begun = {PurePosixPath(name).parent.name for name in items if name.endswith(f"/{BEGUN}")} - {self._run}
        ended = {run for run in begun if self._delta.committed(self._store, run)}
        left = [name for name in items if PurePosixPath(name).parent.name in begun - ended]
        return [
            *left,
            *[f"{DELTA_RUNS}/{run}/{BEGUN}" for run in sorted(ended)],
            *[name for run in sorted(begun - ended) for name in (_data_file(run), *self._parts_of(run))],
        ]


def _data_file(run: str) -> str:
    return f"credit-{run}.parquet"


def _data_folder(run: str) -> str:
    return f"credit-{run}"


def _split(address: Address) -> tuple[Address, str]:
    around, name = address.url.rsplit("/", 1)
    if PurePosixPath(name).suffix.lower() in SUFFIXES and not address.delta:
        return Address(around, address.delta), name
    return address, IN_FOLDER


@contextmanager
def publication(address: Address) -> Iterator[Publication]:
    """Begin a delivery to an address.

    Raises:
        DeliveryError: the store does not answer, does not permit it, or no folder can be made here.

    """
    from storage.remote.scratch import scratch  # noqa: PLC0415

    with scratch() as folder:
        yield (DeltaPublication if address.delta else Publication)(address, folder)
