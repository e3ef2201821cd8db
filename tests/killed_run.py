"""Run a batch job again and again, each time killed one step later: at every open, write, flush, rename and remove.

`python -m tests.killed_run BUNDLE APPLICATIONS EVENTS OUT SIZES` prints, per step, what was about to happen, and the
SHA-256 of output and rejects afterwards; the last run is not killed. Each run is a fork, so that libraries load once.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from batch.job import BatchJob, run_batch
from scoring.scorer import Scorer

KILLED = 9


class Killer:
    """Ends the process at a step; a write is torn in the middle."""

    def __init__(self, folder: str, at: int) -> None:
        self.folder, self.at, self.seen = folder, at, 0
        sys.addaudithook(self._audit)
        for name in ("write", "pwrite", "fsync"):
            setattr(os, name, self._counted(name, getattr(os, name)))

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("open", "os.rename", "os.remove") and str(arguments[0]).startswith(self.folder + "/"):
            self._step(event, os.path.basename(str(arguments[0])))  # noqa: PTH119

    def _step(self, what: str, name: str) -> bool:
        if name.endswith((".csv", ".parquet")) and not name.startswith((".", "decisions")):
            return False  # an input
        self.seen += 1
        if self.seen != self.at:
            return False
        sys.stdout.write(f"{what} ")
        sys.stdout.flush()
        if what not in ("write", "pwrite"):
            os._exit(KILLED)
        return True

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(descriptor: int, *rest: Any) -> Any:
            if self._step(name, ""):
                real(descriptor, rest[0][: len(rest[0]) // 2], *rest[1:])
                os._exit(KILLED)
            return real(descriptor, *rest)

        return call


def main(bundle: str, applications: str, events: str, out: str, sizes: str) -> None:
    partition_bytes, memory = map(int, sizes.split(","))
    job = BatchJob(
        applications=Path(applications),
        events=Path(events),
        out=Path(out),
        partition_bytes=partition_bytes,
        memory=memory,
    )
    before = {path: path.read_bytes() for path in (job.out, job.rejects_path)}
    for at in range(1, 500):
        for path, content in before.items():
            path.write_bytes(content)
        child = os.fork()
        if child == 0:
            Killer(os.path.realpath(job.out.parent), at)
            run_batch(job, Scorer.open(Path(bundle)))
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in before]
        sys.stdout.write(f"{'end' if code == 0 else ''} {code} {' '.join(digests)}\n")
        sys.stdout.flush()
        if code != KILLED:
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
