"""What commands share: tables on standard output, and progress on standard error."""

import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

_PIPE_WIDTH = 140
_OUTPUT_FAILED = 4
_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class _Output(io.TextIOWrapper):
    """Standard output that goes on into nothing, and remembers why, once it cannot be written to."""

    failure: OSError | None = None

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.failure = error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def prepare_streams() -> None:
    """Make standard streams that can be written to, also where the caller closed them or names are no UTF-8."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - open until the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        line_buffering = sys.stdout.line_buffering
        sys.stdout = _Output(sys.stdout.detach(), "utf-8", "backslashreplace", line_buffering=line_buffering)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")


def deliver_stdout(code: str | int | None) -> str | int | None:
    """Hand over what a command printed and return its exit code; 4 if there is no room, as for any other output.

    A reader that left (`| head`) has what it wanted, so that is no error.
    """
    sys.stdout.flush()
    failure = getattr(sys.stdout, "failure", None)
    if failure is None or isinstance(failure, BrokenPipeError):
        return code
    warn(f"error: standard output could not be written ({failure.strerror}). Files that were to be written are there.")
    return _OUTPUT_FAILED


def visible(text: str, keep: str = "\n\t") -> str:
    r"""Return a text with `\u001b` and the like for each character that a terminal obeys instead of showing it.

    That are control characters, line and paragraph separators, and those that turn the direction of writing: ids and
    messages from outside may hold them. In JSON the text means the same as before.
    """
    return _OBEYED.sub(lambda found: found[0] if found[0] in keep else f"\\u{ord(found[0]):04x}", text)


def say(text: str = "") -> None:
    """Print a line of a command's result, nothing of which a terminal obeys."""
    sys.stdout.write(visible(text) + "\n")


def warn(text: str) -> None:
    """Print a note that is not part of the result."""
    sys.stderr.write(visible(text) + "\n")


def note(text: str) -> None:
    """Print what was noted about a table that was read."""
    warn(f"note: {text}")


def say_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns; numbers to the right. Never shortens a cell."""
    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False, emoji=False, markup=False)
    table = Table(box=None, pad_edge=False, show_header=bool(header))
    for i in range(len(rows[0]) if rows else len(header)):
        numeric = bool(rows) and all(isinstance(row[i], (int, float)) for row in rows)
        title = header[i] if header else ""
        table.add_column(title, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*[f"{cell:,}" if isinstance(cell, int) else visible(str(cell), keep="") for cell in row])
    console.print(table)


class Stages:
    """A bar over stages; call it with the name of each as it begins."""

    def __init__(self, progress: Progress, count: int) -> None:
        """Begin before the first stage."""
        self._progress, self._task, self._started = progress, progress.add_task("", total=count), False
        self._inner: TaskID | None = None

    def __call__(self, name: str) -> None:
        """Begin a stage; ends the one before."""
        if self._inner is not None:
            self._progress.remove_task(self._inner)
            self._inner = None
        self._progress.update(self._task, description=name, advance=1 if self._started else 0)
        self._started = True

    def within(self, done: int, total: int | None, text: str) -> None:
        """Show a second bar for the present stage; without a total it only moves."""
        if self._inner is None:
            self._inner = self._progress.add_task("", total=total)
        self._progress.update(self._inner, completed=done, description=text)


@contextmanager
def stages(title: str, count: int) -> Iterator[Stages]:
    """Show a bar over `count` stages on a terminal's standard error; quiet elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn(title), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        yield Stages(progress, count)
