"""Logs as one JSON object a line, without personal data: no body, no query, no address, no header but X-Request-ID."""

import logging
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

import msgspec

__all__ = ["JsonLog", "redirect_library_logs", "where"]

Clock = Callable[[], float]


class JsonLog:
    """Writes events. `clock` gives seconds since 1970; lines are written whole.

    Where they cannot be, as on a full disk, the door goes on, and once they can be again, `log_failed` says how many.
    """

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        """Take the stream, which is flushed after each line."""
        self._stream = stream
        self._clock = clock
        self._failed = 0

    def write(self, event: str, **fields: object) -> None:
        """Write one event; fields must not hold personal data."""
        line = self._line(event, fields)
        if self._failed:
            line = "\n" + self._line("log_failed", {"lines": self._failed}) + line  # the first of them may be cut
        try:
            self._stream.write(line)
            self._stream.flush()
        except OSError:
            self._failed += 1
        else:
            self._failed = 0

    def _line(self, event: str, fields: dict[str, object]) -> str:
        time = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")
        return msgspec.json.encode({"time": time, "event": event, **fields}).decode() + "\n"


def where(error: BaseException) -> str:
    """Say where an error was raised, without its text, which may hold a customer's value."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""


class RedactingHandler(logging.Handler):
    """Turns what libraries log into events: where, and the kind of error; no text, which may hold values."""

    def __init__(self, log: JsonLog) -> None:
        """Take the log to write to."""
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write where the record was made, without its message."""
        fields = {"logger": record.name, "level": record.levelname.lower(), "at": f"{record.module}:{record.lineno}"}
        if record.exc_info and record.exc_info[1]:
            fields |= {"error": type(record.exc_info[1]).__name__, "where": where(record.exc_info[1])}
        self._log.write("library", **fields)


def redirect_library_logs(log: JsonLog) -> None:
    """Let everything that libraries log go to `log`, redacted."""
    root = logging.getLogger()
    root.handlers = [RedactingHandler(log)]
    root.setLevel(logging.WARNING)
