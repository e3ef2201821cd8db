"""Options that several commands share, and what they say together."""

import re
from pathlib import Path
from typing import Annotated

import typer

from features.dialect import Dialect, declared
from features.errors import SettingsError, SpecError

BundleOption = Annotated[
    Path,
    typer.Option(
        "--bundle", help="The bundle's folder, or a link to it; `credit score`: or a URL.", show_default=False
    ),
]
Applications = Annotated[
    Path,
    typer.Option(
        "--applications", help="CSV or Parquet file, a folder of part files, or a URL (s3://...).", show_default=False
    ),
]
Events = Annotated[
    Path | None,
    typer.Option(
        "--events",
        help="CSV or Parquet file, a folder of part files, or a URL; not needed by a spec without RFM groups.",
        show_default=False,
    ),
]
Separator = Annotated[
    str | None,
    typer.Option(
        "--separator", help='Between the fields of CSV files: ";", "tab"; else as the spec says.', show_default=False
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding", help="Of CSV files: latin-1, cp1252, utf-16; else as the spec says.", show_default=False
    ),
]
DictionaryOption = Annotated[
    Path | None,
    typer.Option("--dictionary", help="Texts of the reasons in another language, .toml.", show_default=False),
]


def csv_dialect(separator: str | None, encoding: str | None, otherwise: Dialect | None = None) -> Dialect:
    """Return how CSV files are written: as the options say, else as the spec does.

    Raises:
        SettingsError: there is no such separator or encoding.

    """
    try:
        return declared(separator, encoding, otherwise or Dialect())
    except SpecError as error:
        raise SettingsError(f"--{error}") from error


MaxRejectShare = Annotated[
    float, typer.Option(min=0, max=1, help="More rejected applications than this share end the run with code 3.")
]


def _bytes(text: str) -> int:
    """Read an amount of memory."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None or not float(found[1]):
        raise typer.BadParameter(f"{text!r} is no amount of memory. Expected a number with MB or GB, as in 1GB.")
    return round(float(found[1]) * _UNITS[found[2].upper()])


_UNITS = {"MB": 10**6, "GB": 10**9}
_AMOUNT = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?(MB|GB)", re.IGNORECASE)
Memory = Annotated[
    int | None,
    typer.Option(
        "--memory",
        parser=_bytes,
        metavar="AMOUNT",
        help="How much memory the run may use, as in 1GB; tables for which there is no room lie on disk for its time. "
        "Not given: half of what is free, at most 4 GB.",
        show_default=False,
    ),
]
SpreadsheetSafe = Annotated[
    bool, typer.Option("--spreadsheet-safe", help="Keep ids that begin with = + - @ from being formulas in CSV.")
]
AllowEmptyEvents = Annotated[bool, typer.Option("--allow-empty-events", help="Score although nobody has an event.")]
MinMatched = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="A smaller share of applications with a usable event ends the run with code 3.",
        show_default=False,
    ),
]
AllowDegraded = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-degraded",
        help="Score although this column, which the model relies on, is gone; may be repeated.",
        show_default=False,
    ),
]
