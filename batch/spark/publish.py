"""The output of a run on a cluster: part files, which count from the moment that the run manifest names them.

In a folder:

1. begin    tasks write into a hidden folder within the output; nobody reads it
2. publish  part files move beside those of the run before, under names of their own; then rejects; then the manifest,
            in one step: it names the files that are the output
3. tidy     files that the manifest does not name are removed; a run that is killed before leaves that to the next

In an object store or a Delta table as `storage.remote.publication` says, by the same commit as a run of one machine.
"""

import json
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from batch.job import only_run
from batch.spark.stages import FolderStage, Produce, StoreStage
from features.errors import DeliveryError, SettingsError
from scoring.bundle import sha256
from storage.durable import Replacement, delivering, flush, replace_files
from storage.remote.addresses import Address, address_of
from storage.remote.publication import DataFile, Publication, Spread, publication
from storage.table_writer import encode
from storage.targets import prepare_folder

MANIFEST = "_run.json"
_FAILED = "_rejects.csv.failed"
_STAGE = ".run-"
_PART = re.compile(r"(part-\d{5,}|_rejects)-[0-9a-f]{12}\.(parquet|csv)")


Manifest = Callable[[dict[Path, str]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class PartFile:
    """Decisions that a task wrote into the stage."""

    name: str
    rows: int
    size: int
    sha256: str


@contextmanager
def output_of(out: Path, schema: pl.Schema) -> "Iterator[OutputFolder | OutputStore]":
    """Begin an output with the columns of `schema`, and end it with the block, published or not.

    Raises:
        DeliveryError: nothing can be written there, or another run is writing it.
        SettingsError: its name is that of a CSV file.

    """
    address = address_of(out)
    if address is not None:
        if address.url.lower().endswith(".csv"):
            raise SettingsError(f"{address.text}: decisions on Spark are Parquet files. Let the name not end in .csv.")
        with publication(address) as there, there.written():
            yield OutputStore(there, schema)
        return
    prepare_folder(out / "part")
    with only_run(out):
        output = OutputFolder(out.absolute(), schema)
        output.begin()
        try:
            yield output
        finally:
            output.end()


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """The folder of one run. `run`: in the names of its files."""

    path: Path
    schema: pl.Schema
    run: str = field(default_factory=lambda: secrets.token_hex(6))

    @property
    def work(self) -> Path:
        """Where this process lays what it needs meanwhile."""
        return self._stage / "results"

    @property
    def stage(self) -> FolderStage:
        """Where tasks write."""
        return FolderStage(self._stage)

    @property
    def _stage(self) -> Path:
        return self.path / f"{_STAGE}{self.run}"

    @property
    def failed(self) -> Path:
        """Where the rejects of a run go that must not replace the previous output."""
        return self.path / _FAILED

    def begin(self) -> None:
        """Make the folders, and remove what killed runs left.

        Raises:
            DeliveryError: it cannot be made, or holds what is no output of a run.

        """
        with delivering(self.path):
            self.path.mkdir(exist_ok=True)
            foreign = [p.name for p in self.path.iterdir() if not (p.name[0] in "._" or _PART.fullmatch(p.name))]
            if foreign:
                raise DeliveryError(
                    f"{self.path}: holds {min(foreign)}, which no run on Spark wrote. Choose another folder."
                )
            self._tidy(self._named())
            self._stage.mkdir()

    def publish(self, parts: Sequence[PartFile], rejects: Produce, manifest: Manifest) -> dict[str, Any]:
        """Put everything in place; `parts` lie in the stage. Return the manifest, made of the SHA-256 of each file.

        Where there is no part, one without rows says the columns.

        Raises:
            DeliveryError: it could not be written; the previous output is as it was.

        """
        with Replacement() as replacement, delivering(self.path):
            path = self.path / f"_rejects-{self.run}.csv"
            digests = {path: replacement.write(path, rejects)}
            for number, part in enumerate(parts or [_without_rows(self.stage, self.schema)]):
                name = f"part-{number:05}-{self.run}.parquet"
                (self._stage / part.name).rename(self.path / name)
                digests[self.path / name] = part.sha256
            made = manifest(digests)
            content = json.dumps(made, indent=2, ensure_ascii=False).encode() + b"\n"
            replacement.write(self.path / MANIFEST, lambda file: file.write(content))
            flush(self.path)
            replacement.commit()
        self._tidy(set(made["outputs"]))
        return made

    def refuse(self, rejects: Produce) -> None:
        """Keep the rejects of a run that must not replace the previous output."""
        FolderStage(self.path).write(_FAILED, rejects)

    def end(self) -> None:
        """Remove what was not published."""
        shutil.rmtree(self._stage, ignore_errors=True)
        self._tidy(self._named())

    def _named(self) -> set[str]:
        """Return the files of the output that is there."""
        try:
            return set(json.loads((self.path / MANIFEST).read_text())["outputs"])
        except FileNotFoundError:
            return set()
        except (ValueError, KeyError, TypeError) as error:
            raise DeliveryError(
                f"{self.path / MANIFEST}: is no run manifest. Choose another folder for the output."
            ) from error

    def _tidy(self, named: set[str]) -> None:
        for path in self.path.iterdir():
            if path.name.startswith(_STAGE) and path != self._stage:
                shutil.rmtree(path, ignore_errors=True)
            elif _PART.fullmatch(path.name) and path.name not in named:
                path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class OutputStore:
    """The same in an object store or a Delta table."""

    there: Publication
    schema: pl.Schema

    @property
    def work(self) -> Path:
        """Where this process lays what it needs meanwhile."""
        return self.there.path.with_name(".results")

    @property
    def stage(self) -> StoreStage:
        """Where tasks write."""
        address = self.there.address
        return StoreStage(Address(address.url, delta=False), self.there.parts)

    @property
    def failed(self) -> Path:
        """Where the rejects of a run go that must not replace the previous output."""
        return self.there.rejects.with_name(f"{self.there.rejects.name}.failed")

    def publish(self, parts: Sequence[PartFile], rejects: Produce, manifest: Manifest) -> dict[str, Any]:
        """Deliver; see `OutputFolder.publish`.

        Raises:
            DeliveryError: it was not possible, or another run delivered meanwhile; what was there before stands.

        """
        digest = self._write(self.there.rejects, rejects)
        found = parts or [_without_rows(self.stage, self.schema)]
        files = [DataFile(f"{self.there.parts}/{part.name}", part.rows, part.size, part.sha256) for part in found]
        content = json.dumps(manifest({self.there.rejects: digest})).encode()
        replace_files({self.there.manifest: content})
        return self.there.deliver(Spread(self.schema, files))

    def refuse(self, rejects: Produce) -> None:
        """Keep the rejects of a run that must not replace the previous output."""
        self._write(self.failed, rejects)

    def _write(self, path: Path, produce: Produce) -> str:
        return FolderStage(path.parent).write(path.name, produce)[0]


Output = OutputFolder | OutputStore


def _without_rows(stage: FolderStage | StoreStage, schema: pl.Schema) -> PartFile:
    content = encode(pl.DataFrame(schema=schema), ".parquet")
    name = "part-none.parquet"
    stage.write(name, lambda file: file.write(content))
    return PartFile(name, 0, len(content), sha256(content))
