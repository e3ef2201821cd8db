"""Options that the commands of the decision log share."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from features.errors import SettingsError

Log = Annotated[Path, typer.Argument(help="The decision log's folder.", show_default=False)]
PiiKey = Annotated[
    Path | None,
    typer.Option(
        "--pii-key", envvar="CREDIT_PII_KEY", help="Key file of personal data stored keyed.", show_default=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class ReceiptContent(StrEnum):
    """What a receipt of the batch holds beside the decision."""

    FEATURES = "features"
    FULL = "full"


def read_pii_key(path: Path | None) -> bytes | None:
    """Read the key of personal data, if one is given.

    Raises:
        SettingsError: it cannot be read, or is too short.

    """
    from receipts.pii import read_key

    return None if path is None else read_key(path)


def instant(option: str, text: str) -> datetime:
    """Read an instant or date of an option; without an offset it is UTC.

    Raises:
        SettingsError: it is none.

    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(
            f"{option}: expected a date or instant, as in 2026-11-24 or 2026-11-24T09:30:00Z."
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
