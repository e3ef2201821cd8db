"""A worker that copies: the loop and its delivery contract without a model. Run as a process by the kill harness."""

import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from scoring.messages import Answer, Refusal
from stream.service import Control, run_worker
from stream.settings import StreamSettings, load_settings
from stream.watchdog import Watchdog


def copy(messages: Sequence[bytes]) -> list[Answer]:
    refusal = Refusal(code="refused", pointer="/x", expected="a message that does not begin with bad")
    return [Answer(refusal=refusal) if m.startswith(b"bad") else Answer(decision=m, credit_class="Good") for m in messages]


def main() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    flags = dict(argument.removeprefix("--").split("=", 1) for argument in sys.argv[1:])
    settings = load_settings(StreamSettings, {"bundle": Path(), **{k.replace("-", "_"): v for k, v in flags.items()}}, None)
    control = Control(Watchdog(settings.deadline_seconds))
    signal.signal(signal.SIGTERM, lambda *_: control.stop())
    run_worker(settings, copy, "0" * 64, control)


if __name__ == "__main__":
    main()
