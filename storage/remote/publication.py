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
from storage.remote.addresses import Address
from storage.remote.fetching import Brought
from storage.remote.runs import manifest_name, outputs_of, runs_folder

if TYPE_CHECKING:
    from storage.remote.objects import Listed

__all__ = ["publication"]

SUFFIXES = (".csv", ".parquet")
IN_FOLDER = "decisions.parquet"  # what an output is called of which the folder is named
FAILED = ".failed"
BEGUN = "begun"  # the mark of a run that did not end
DELTA_RUNS = "_credit"


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

    def deliver(self, local_manifest: Path) -> dict[str, Any]:
        """Deliver the files that were written; return the manifest that says so.

        Raises:
            DeliveryError: it was not possible, or another run delivered meanwhile; what was there before stands.

        """
        manifest: dict[str, Any] = json.loads(local_manifest.read_text())
        manifest["run"] = self._run
        manifest["outputs"] = {self._name(name): digest for name, digest in manifest["outputs"].items()}
        content = json.dumps(manifest, indent=2, ensure_ascii=False).encode() + b"\n"
        files = [file for file in sorted(self.path.parent.iterdir()) if not file.name.startswith(".")]
        try:
            for file in files:
                if file != local_manifest:
                    self._store.put(self._name(file.name), file)
            left = [*self._left(), f"{self._folder}/{BEGUN}"]
            if not self._commit(content):
                raise DeliveryError(self._lost())  # noqa: TRY301
        except BaseException:
            self._remove_own()
            raise
        with suppress(CreditError):  # the next run does it
            self._store.remove(left)
        rejects = next(file.name for file in files if file.name.endswith(".rejects.csv"))
        return manifest | {"places": self._places(rejects)}

    def _left(self) -> list[str]:
        """List what no manifest names: its writer saw another manifest than the one to be, so it cannot commit."""
        return [item.name for item in self._items() if str(PurePosixPath(item.name).parent) not in self._kept]

    def _commit(self, content: bytes) -> bool:
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

    def _places(self, rejects: str) -> dict[str, str]:
        names = {
            "decisions": self._name(self.path.name),
            "rejects": self._name(rejects),
            "run manifest": self._manifest,
        }
        return {what: (self._store.address / name).text for what, name in names.items()}


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

    def _commit(self, content: bytes) -> bool:
        self._store.put_if(self._manifest, content, None)
        return self._delta.commit(self._store, self.path, self._name(self.path.name), self._run, self._version)

    def _committed(self) -> bool:
        return self._delta.committed(self._store, self._run)

    def _remove_own(self) -> None:
        super()._remove_own()
        with suppress(CreditError):
            if not self._committed():
                self._store.remove([_data_file(self._run)])

    def _left(self) -> list[str]:
        """List what runs left that did not end and did not commit."""
        items = [item.name for item in self._items()]
        begun = {PurePosixPath(name).parent.name for name in items if name.endswith(f"/{BEGUN}")} - {self._run}
        ended = {run for run in begun if self._delta.committed(self._store, run)}
        left = [name for name in items if PurePosixPath(name).parent.name in begun - ended]
        return [
            *left,
            *[f"{DELTA_RUNS}/{run}/{BEGUN}" for run in sorted(ended)],
            *[_data_file(run) for run in sorted(begun - ended)],
        ]


def _data_file(run: str) -> str:
    return f"credit-{run}.parquet"


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
