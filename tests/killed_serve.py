"""`credit serve` whose workers die: many by SIGKILL when a round's receipts are durable and nobody has answered.

`python -m tests.killed_serve serve ...` runs the command; each worker that dies so leaves a file in $MARKS before.
The product knows nothing of this: the workers import this module as their main one, which wraps `Outbox.append`.
"""

import os
import random
import signal
from collections.abc import Sequence
from pathlib import Path

from cli.main import main
from receipts.outbox.outbox import Outbox

_real = Outbox.append
_left = random.Random(os.getpid()).randint(5, 200)  # noqa: S311


def append(self: Outbox, lines: Sequence[bytes]) -> None:
    global _left  # noqa: PLW0603 - one a process
    _real(self, lines)
    _left -= 1
    if _left == 0:
        (Path(os.environ["MARKS"]) / str(os.getpid())).touch()
        os.kill(os.getpid(), signal.SIGKILL)


Outbox.append = append  # type: ignore[method-assign]

if __name__ == "__main__":
    main()
