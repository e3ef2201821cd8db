"""The two canonical tables that a batch command takes."""

from pathlib import Path

import polars as pl

from batch.tables import SourceTable
from features.rejects import APPLICATIONS, EVENTS
from features.spec import EVENT_COLUMNS, IDENTITY, Spec


def open_inputs(
    applications: Path, events: Path, spec: Spec, *, allow_empty_events: bool = False
) -> tuple[SourceTable, SourceTable]:
    """Describe the two canonical tables. Events without rows are refused where the spec measures events."""
    names = [attribute.name for attribute in spec.attributes]
    events_may_be_empty = allow_empty_events or not spec.groups
    return (
        SourceTable(applications, APPLICATIONS, known={*IDENTITY, *names}),
        SourceTable(events, EVENTS, known={*EVENT_COLUMNS, "recorded_at"}, may_be_empty=events_may_be_empty),
    )


def read_inputs(applications: Path, events: Path, spec: Spec) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read both tables whole, for commands that look at a few applications. There may be no events.

    Raises:
        InputError: a file cannot be used.

    """
    tables = open_inputs(applications, events, spec, allow_empty_events=True)
    return tables[0].read(), tables[1].read()
