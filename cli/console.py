"""What commands share: tables on standard output, progress on standard error, and reading of small files."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from features.errors import InputError
from features.reason_codes import translate
from features.spec import Spec
from features.spec_file import parse_spec

_PIPE_WIDTH = 140


def say(text: str = "") -> None:
    """Print a line of a command's result."""
    sys.stdout.write(text + "\n")


def warn(text: str) -> None:
    """Print a note that is not part of the result."""
    sys.stderr.write(text + "\n")


def say_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns; numbers to the right. Never shortens a cell."""
    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False, emoji=False, markup=False)
    table = Table(box=None, pad_edge=False, show_header=bool(header))
    for i in range(len(rows[0]) if rows else len(header)):
        numeric = bool(rows) and all(isinstance(row[i], (int, float)) for row in rows)
        title = header[i] if header else ""
        table.add_column(title, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row])
    console.print(table)


@contextmanager
def stages(title: str, count: int) -> Iterator[Callable[[str], None]]:
    """Show a bar over `count` stages on a terminal's standard error; quiet elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn(title), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=count)
        started = False

        def stage(name: str) -> None:
            nonlocal started
            progress.update(task, description=name, advance=1 if started else 0)
            started = True

        yield stage


def read_spec(path: Path) -> Spec:
    """Read a spec file.

    Raises:
        InputError: the file cannot be read.
        SpecError: the spec is wrong; names the key.

    """
    try:
        return parse_spec(path.read_bytes().decode(), str(path))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}). Expected a spec, as `credit dataset` writes."
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text. Save it as UTF-8.") from error


def read_dictionary(path: Path, spec: Spec) -> Spec:
    """Return the spec with the texts of a dictionary file.

    Raises:
        InputError: the file cannot be read.
        SpecError: it does not fit the spec; names the key.

    """
    try:
        return translate(spec, path.read_bytes().decode(), str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Expected a dictionary, .toml.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text. Save it as UTF-8.") from error


def metric_rows(evaluation: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Format metrics as rows: name, value, 95 % interval."""
    rows = []
    for name, figure in evaluation["metrics"].items():
        value, low, high = (figure[key] for key in ("value", "low", "high"))
        interval = "" if low is None else f"{low:.4f} to {high:.4f}"
        rows.append((name, "not defined" if value is None else f"{value:.4f}", interval))
    return rows
