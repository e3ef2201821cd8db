"""Work on a decision log again and again, killed one step later each time: at every open, flush, rename, removal.

`python -m tests.killed_log ACTION TEMPLATE WORK ARGUMENT` copies the folder TEMPLATE into WORK and runs ACTION on it
in a fork that is killed, then once more; what is left after each is printed as a line of JSON. The last is not killed.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from batch.job import BatchJob, run_batch
from batch.receipts import LogSettings
from receipts.log.audit import audit
from receipts.log.read import frames
from receipts.log.removal import erase, expire
from scoring.scorer import Scorer

KILLED = 9
NOW = datetime(2026, 11, 25, tzinfo=UTC)


class Killer:
    """Ends the process at a step that concerns a file within a folder."""

    def __init__(self, folder: Path, at: int) -> None:
        self.folder, self.at, self.seen = str(folder), at, 0
        sys.addaudithook(self._audit)
        self._flush = os.fsync
        setattr(os, "fsync", self._fsync)  # noqa: B010 - for mypy a function is no variable

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and not int(arguments[2]) & (os.O_WRONLY | os.O_RDWR):
            return
        if event in ("open", "os.rename", "os.remove", "os.mkdir") and str(arguments[0]).startswith(self.folder):
            self._step(event)

    def _fsync(self, descriptor: int) -> None:
        self._step("fsync")
        self._flush(descriptor)

    def _step(self, what: str) -> None:
        self.seen += 1
        if self.seen == self.at:
            sys.stdout.write(json.dumps(what) + "\n")
            sys.stdout.flush()
            os._exit(KILLED)


def score(work: Path, bundle: str) -> None:
    settings = LogSettings(log=work / "log", clock=lambda: NOW, full=True)
    job = BatchJob(
        applications=work / "applications.csv",
        events=work / "events.csv",
        out=work / "decisions.csv",
        partition_bytes=60_000,
        log=settings,
    )
    run_batch(job, Scorer.open(Path(bundle)))


def erase_one(work: Path, customer: str) -> None:
    erase(work / "log", [customer], NOW)


def expire_old(work: Path, before: str) -> None:
    expire(work / "log", datetime.fromisoformat(before), NOW)


ACTIONS: dict[str, Callable[[Path, str], None]] = {"score": score, "erase": erase_one, "expire": expire_old}


def look(work: Path) -> dict[str, Any]:
    """What a reader finds: problems, receipts by customer, and decisions that lack one."""
    log, out = work / "log", work / "decisions.csv"
    found: list[pl.DataFrame] = (
        list(frames(log, columns=["decision_id", "customer_id"])) if (log / "log.json").exists() else []
    )
    receipts = pl.concat(found) if found else pl.DataFrame(schema={"decision_id": pl.String, "customer_id": pl.String})
    delivered = pl.read_csv(out)["decision_id"] if out.exists() else pl.Series([], dtype=pl.String)
    return {
        "problems": audit(log).problems if (log / "log.json").exists() else [],
        "receipts": receipts.height,
        "customers": sorted(receipts["customer_id"].unique()),
        "delivered": len(delivered),
        "lacking": len(set(delivered) - set(receipts["decision_id"])),
    }


def in_a_fork(run: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            run()
            code = 0
        finally:  # whatever happened: the parent's threads do not exist here, so nothing can end in order
            sys.stdout.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(action: str, template: str, folder: str, argument: str) -> None:
    work = Path(folder).resolve() / "work"

    def act(at: int = 0) -> None:
        if at:
            Killer(work, at)
        ACTIONS[action](work, argument)

    def say(step: int) -> None:
        sys.stdout.write(json.dumps({"step": step, **look(work)}) + "\n")

    for at in range(1, 1000):
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(template, work)
        code = in_a_fork(lambda at=at: act(at))  # type: ignore[misc]
        in_a_fork(lambda at=at: say(at))  # type: ignore[misc]
        if code != KILLED:
            break
        if in_a_fork(act) != 0:
            raise SystemExit(f"step {at}: what was killed could not be run again")
        in_a_fork(lambda at=at: say(-at))  # type: ignore[misc]


if __name__ == "__main__":
    main(*sys.argv[1:])
