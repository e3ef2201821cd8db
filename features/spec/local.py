"""The parts of a spec that say how files are written where they are not as the product would write them."""

import re

from features.cells.date_forms import ISO, date_form
from features.dialect import Dialect, InstantForms, declared
from features.errors import SpecError
from features.spec.toml_table import Table

__all__ = ["csv_lines"]

_OFFSET = re.compile(r"UTC|([+-])([01][0-9]|2[0-3]):?([0-5][0-9])")


def read_csv(root: Table, version: int) -> Dialect:
    """Read `csv`: separator and encoding of CSV files; comma and UTF-8 where they are not stated.

    Raises:
        SpecError: a key is wrong, or the spec is of version 1, which knows none of them; names the key.

    """
    table = root.table("csv", optional=True)
    if table.values and version < 2:
        raise SpecError("csv: is known from spec_version 2 on. Set spec_version = 2, or pass --separator, --encoding.")
    table.allow(["separator", "encoding"])
    separator, encoding = (table.text(key) if key in table.values else None for key in ("separator", "encoding"))
    try:
        return declared(separator, encoding, Dialect())
    except SpecError as error:
        raise SpecError(table.key(str(error))) from error


def csv_lines(dialect: Dialect) -> list[str]:
    """Return the lines that declare a dialect in a spec; none for comma and UTF-8."""
    if dialect == Dialect():
        return []
    separator = "tab" if dialect.separator == "\t" else dialect.separator
    return ["[csv]", f'separator = "{separator}"', f'encoding = "{dialect.encoding}"']


def read_instant_forms(root: Table, version: int) -> InstantForms:
    """Read `as_of_format`, `time_zone`, and `events.occurred_at_format`, `events.recorded_at_format`.

    Where the last is not stated, `recorded_at` has the form of `occurred_at`.

    Raises:
        SpecError: a key is wrong, or the spec is of version 1, which knows none of them; names the key.

    """
    events = root.table("events", optional=True)
    keys = {"as_of": (root, "as_of_format"), **{n: (events, f"{n}_format") for n in ("occurred_at", "recorded_at")}}
    stated = {name: table.text(key) for name, (table, key) in keys.items() if key in table.values}
    zone = root.text("time_zone") if "time_zone" in root.values else None
    if version < 2 and (stated or zone is not None):
        raise SpecError(f"{next(iter(stated), 'time_zone')}: forms of instants are known from spec_version 2 on.")
    minutes = _offset_minutes(zone)
    for name, text in stated.items():
        table, key = keys[name]
        _check_form(table.key(key), text, zone)
    forms = {"recorded_at": stated.get("occurred_at", ""), **stated}
    return InstantForms(**{n: "" if form == ISO else form for n, form in forms.items()}, utc_offset_minutes=minutes)


def _check_form(key: str, text: str, zone: str | None) -> None:
    if "%y" in text:
        raise SpecError(f"{key}: years of two digits are not read. Write all four where the file is made.")
    try:
        form = date_form(text)
    except SpecError as error:
        raise SpecError(f"{key}: {error}") from error
    if form.has_time and not form.has_zone and zone is None:
        raise SpecError(
            f"{key}: {text!r} has a time of day and no zone. Declare which it is, as the first lines of the spec: "
            'time_zone = "UTC", or an offset such as "+01:00".'
        )


def _offset_minutes(zone: str | None) -> int:
    """Read an offset. Names of zones would need a table of summer times, which differs from machine to machine."""
    found = _OFFSET.fullmatch(zone or "UTC")
    if found is None:
        raise SpecError(
            f'time_zone: expected "UTC" or an offset such as "+01:00", found {zone!r}. A zone by name has two: '
            "write the instants with their offset (2026-08-31T10:00:00+02:00) or in UTC where the file is made."
        )
    minutes = int(found[2] or 0) * 60 + int(found[3] or 0)
    return -minutes if found[1] == "-" else minutes
