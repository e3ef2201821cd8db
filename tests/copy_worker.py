"""A worker that copies: the loop and its delivery contract without a model. Run as a process of its own by the tests.

A message that begins with `bad` is refused; `hang` hangs, `slow` takes 5 s and `fault` fails, as a client library or a
model might.
"""

import faulthandler
import logging
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from features.errors import CreditError
from scoring.message.decoder import Refusal
from scoring.message.message_scorer import Answer
from serving.watchdog import Watchdog
from stream.service import Control, run_worker
from stream.settings.settings import StreamSettings, load_settings

REFUSAL = Refusal(code="refused", pointer="/x", expected="a message that does not begin with bad")


def copy(messages: Sequence[bytes]) -> list[Answer]:
    if b"hang" in messages:
        time.sleep(600)
    if b"slow" in messages:
        logging.getLogger(__name__).info("slow: they are in hand")
        time.sleep(5)
    if b"fault" in messages:
        raise ValueError("a value of the message")
    return [
        Answer(refusal=REFUSAL) if m.startswith(b"bad") else Answer(decision=m, credit_class="Good") for m in messages
    ]


def main() -> None:
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    flags = dict(argument.removeprefix("--").split("=", 1) for argument in sys.argv[1:])
    try:
        named = {name.replace("-", "_"): value for name, value in flags.items()}
        settings = load_settings(StreamSettings, {"bundle": Path(), **named}, None)
        control = Control(Watchdog(settings.deadline_s))
        signal.signal(signal.SIGTERM, lambda *_: control.stop())
        run_worker(settings, copy, "0" * 64, control)
    except CreditError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
