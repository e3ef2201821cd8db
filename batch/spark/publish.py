"""The output of a run on a cluster: a folder of part files, which counts from the moment its run manifest lies in it.

1. begin    tasks write into a hidden folder within the output; nobody reads it
2. publish  part files move beside those of the run before, under names of their own; then rejects; then the manifest,
            in one step: it names the files that are the output
3. tidy     files that the manifest does not name are removed; a run that is killed before leaves that to the next
"""

import json
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from features.errors import DeliveryError
from storage.durable import Replacement, delivering, flush

MANIFEST = "_run.json"
_FAILED = "_rejects.csv.failed"
_STAGE = ".run-"
_PART = re.compile(r"(part-\d{5,}|_rejects)-[0-9a-f]{12}\.(parquet|csv)")


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """The folder of one run. `run`: in the names of its files."""

    path: Path
    run: str = field(default_factory=lambda: secrets.token_hex(6))

    @property
    def stage(self) -> Path:
        """Where tasks write."""
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
            self.stage.mkdir()

    def publish(
        self,
        parts: Iterable[Mapping[str, Any]],
        rejects: Callable[[IO[bytes]], object],
        manifest: Callable[[dict[Path, str]], dict[str, Any]],
    ) -> dict[str, Any]:
        """Put everything in place; `parts` lie in the stage. Return the manifest, made of the SHA-256 of each file.

        Raises:
            DeliveryError: it could not be written; the previous output is as it was.

        """
        with Replacement() as replacement, delivering(self.path):
            path = self.path / f"_rejects-{self.run}.csv"
            digests = {path: replacement.write(path, rejects)}
            for number, part in enumerate(parts):
                name = f"part-{number:05}-{self.run}.parquet"
                (self.stage / part["name"]).rename(self.path / name)
                digests[self.path / name] = part["sha256"]
            made = manifest(digests)
            content = json.dumps(made, indent=2, ensure_ascii=False).encode() + b"\n"
            replacement.write(self.path / MANIFEST, lambda file: file.write(content))
            flush(self.path)
            replacement.commit()
        self._tidy(set(made["outputs"]))
        return made

    def refuse(self, rejects: Callable[[IO[bytes]], object]) -> None:
        """Keep the rejects of a run that must not replace the previous output."""
        with Replacement() as replacement:
            replacement.write(self.failed, rejects)
            replacement.commit()

    def end(self) -> None:
        """Remove what was not published."""
        shutil.rmtree(self.stage, ignore_errors=True)
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
            if path.name.startswith(_STAGE) and path != self.stage:
                shutil.rmtree(path, ignore_errors=True)
            elif _PART.fullmatch(path.name) and path.name not in named:
                path.unlink(missing_ok=True)
