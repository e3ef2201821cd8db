"""Options that the commands of the history store share."""

import re
from typing import Annotated

import typer

from features.cells.instants import read_instant
from features.errors import SettingsError

StoreOption = Annotated[
    str,
    typer.Option(
        "--store", help="The history store: a folder on a local disk, or postgresql://...", show_default=False
    ),
]
_OFFSETS = re.compile(r"[0-9]{1,9}:[0-9]{1,18}(,[0-9]{1,9}:[0-9]{1,18})*")


def positions_option(text: str | None, option: str) -> dict[str, int]:
    """Read offsets by partition.

    Raises:
        SettingsError: they are none.

    """
    if text is None:
        return {}
    if not _OFFSETS.fullmatch(text):
        raise SettingsError(f"{option}: expected PARTITION:OFFSET,..., such as 0:1234,1:567.")
    return {str(int(pair.split(":")[0])): int(pair.split(":")[1]) for pair in text.split(",")}


def customer_option(text: str) -> str:
    """Read a customer's id as the store has it.

    Raises:
        SettingsError: no customer can have it.

    """
    from history import kept_as

    name = kept_as(text)
    if not name:
        raise SettingsError("--customer-id: expected 1 to 256 bytes of UTF-8 without control characters.")
    return name


def instant_option(text: str, option: str = "--complete-since") -> int:
    """Read an instant, microseconds since 1970.

    Raises:
        SettingsError: it is none.

    """
    found = read_instant(text)
    if not isinstance(found, int):
        raise SettingsError(f"{option}: expected an instant such as 2025-01-01T00:00:00Z, or a date.")
    return found
