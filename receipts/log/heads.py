"""The heads of the chains, as files list them, so that an end that was cut or added to shows."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from features.errors import InputError
from receipts.log.folder import HEADS
from receipts.log.manifest import NOTHING_BEFORE
from scoring.bundle import canonical_json
from storage.durable import put


@dataclass(frozen=True, slots=True)
class Head:
    """The last segment of a writer. Whoever keeps `hash` elsewhere can prove later that nothing before it changed."""

    writer: str
    number: int
    hash: str
    rows: int = 0


@dataclass(frozen=True, slots=True)
class ListedHead:
    """The head of a writer as its file lists it, and the hashes that were being sealed when it was written."""

    writer: str
    number: int = 0
    hash: str = NOTHING_BEFORE
    sealing: tuple[str, ...] = ()

    def agrees(self, head: Head) -> bool:
        """Tell whether a chain may end so: at the listed head or at one that was being sealed behind it."""
        allowed = (self.hash, *self.sealing)
        return 0 <= head.number - self.number < len(allowed) and allowed[head.number - self.number] == head.hash


def read_head(log: Path, writer: str) -> ListedHead:
    """Read the listed head of a writer; a writer that sealed nothing has none.

    Raises:
        InputError: the file is damaged.

    """
    path = log / HEADS / f"{writer}.json"
    try:
        content = path.read_bytes()
        values = json.loads(content)
        listed = ListedHead(writer, int(values["number"]), str(values["hash"]), tuple(values["sealing"]))
        if content == canonical_json(asdict(listed)):
            return listed
    except FileNotFoundError:
        return ListedHead(writer)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: not readable as the head of a writer. Restore it from a copy.") from error
    raise InputError(f"{path}: changed since it was written. Restore it from a copy.")


def write_head(log: Path, head: Head, sealing: list[str]) -> None:
    """List a head, and the hashes that are about to be sealed behind it."""
    listed = ListedHead(head.writer, head.number, head.hash, tuple(sealing))
    put(log / HEADS / f"{head.writer}.json", canonical_json(asdict(listed)))
