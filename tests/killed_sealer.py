"""Seal the same outboxes again and again, each time killed two steps later: at open, flush, rename and remove.

`python -m tests.killed_sealer LOG` prints, per step, what was about to happen and how many receipts were in the log
after a sealer that was not killed went over what was left; the last run is not killed. Each run is a fork.
"""

import os
import shutil
import sys
from pathlib import Path

from receipts.log.read import segments
from receipts.outbox.sealer import seal_outboxes
from tests.killed_run import KILLED, Killer


def run(log: Path, at: int) -> int:
    child = os.fork()
    if child == 0:
        if at:
            Killer(os.path.realpath(log), at)
        failures: list[object] = []
        seal_outboxes(log, None, lambda _head: None, lambda *failure: failures.append(failure))
        os._exit(len(failures))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(original: Path) -> None:
    for at in range(1, 500, 2):
        log = original.with_name(f"killed-{at}")
        shutil.copytree(original, log)
        code = run(log, at)
        again = run(log, 0)
        left = [path.name for path in (log / "outbox").rglob("*") if path.is_file() and path.name != ".lock"]
        rows = ",".join(str(segment.rows) for segment in segments(log))
        sys.stdout.write(f"{'end' if code == 0 else ''} {code} {again} {rows} {len(left)}\n")
        sys.stdout.flush()
        if code != KILLED:
            return
        shutil.rmtree(log)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
