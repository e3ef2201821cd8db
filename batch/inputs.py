"""The two canonical tables that a batch command takes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Self

import polars as pl

from features.dialect import Dialect
from features.errors import SettingsError
from features.rejects import APPLICATIONS, EVENTS
from features.spec.contract import EVENT_COLUMNS, IDENTITY, Spec
from storage.remote.addresses import address_of
from storage.tables import SourceTable, Tell, find_parts, ignore

NO_EVENTS = pl.DataFrame(schema=dict.fromkeys(EVENT_COLUMNS, pl.String))


class NoEvents(SourceTable):
    """The events of a run that needs none and was given none: no file, no row."""

    def __init__(self) -> None:
        """Begin with nothing; there is nothing to open."""
        super().__init__(Path(), EVENTS, may_be_empty=True)

    def __enter__(self) -> Self:
        """Open nothing."""
        return self

    def estimated_bytes(self) -> int:
        """Return 0."""
        return 0

    def blocks(self) -> Iterator[pl.DataFrame]:
        """Yield the columns alone."""
        yield NO_EVENTS

    def locate(self, rows: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Name no file: no row is of this table."""
        return pl.repeat(None, len(rows), dtype=pl.String, eager=True), rows


def open_inputs(
    applications: Path,
    events: Path | None,
    spec: Spec,
    dialect: Dialect | None = None,
    *,
    piecemeal: bool = False,
) -> tuple[SourceTable, SourceTable]:
    """Describe the two canonical tables. `events` may be None where the spec measures none; they may have no rows.

    CSV files are of the `dialect`, else of the spec's. `piecemeal`: see `SourceTable`.

    Raises:
        SettingsError: the spec measures events, and none are given.
        InputError: then, the applications are not there.

    """
    names = [attribute.name for attribute in spec.attributes]
    csv = dialect or spec.csv
    table = SourceTable(applications, APPLICATIONS, known={*IDENTITY, *names}, dialect=csv, piecemeal=piecemeal)
    if events is None:
        if address_of(applications) is None:
            find_parts(applications, APPLICATIONS)  # what is given and not there is said before what is not given
        check_needs_no_events(spec)
        return table, NoEvents()
    known = {*EVENT_COLUMNS, "recorded_at"}
    return table, SourceTable(events, EVENTS, known=known, may_be_empty=True, dialect=csv, piecemeal=piecemeal)


def check_needs_no_events(spec: Spec) -> None:
    """Refuse to go on without a table of events where the spec measures some.

    Raises:
        SettingsError: it has RFM groups.

    """
    if spec.groups:
        listed = ", ".join(group.name for group in spec.groups[:3]) + (", ..." if len(spec.groups) > 3 else "")
        raise SettingsError(
            f"the spec measures account events ({listed}), and no events are given. Pass them with --events, or as "
            "events.csv or events.parquet in the folder of a training; or delete its [rfm] groups and train again."
        )


def read_inputs(
    applications: Path, events: Path | None, spec: Spec, dialect: Dialect | None = None, tell: Tell = ignore
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read both tables whole, for commands that look at a few applications. There may be no events.

    `tell` takes what was noted.

    Raises:
        InputError: a file cannot be used.
        SettingsError: the spec measures events, and none are given.

    """
    tables = open_inputs(applications, events, spec, dialect)
    return tables[0].read(tell), tables[1].read(tell)
