"""What to declare where the instants or amounts of a table are written in a form that is not read: the line to add."""

from collections.abc import Mapping

import polars as pl

from features.cells.decimal_advice import have_comma
from features.cells.recognise import date_advice

__all__ = ["instant_advice"]

_MOST = 0.5  # of the applications, rejected for it: then it is the form, and not dirt
_LOOKED_AT = 100_000
_COLUMNS = {
    "as_of_unreadable": ("as_of", "as_of_format"),
    "event_occurred_at_unreadable": ("occurred_at", "occurred_at_format"),
    "event_recorded_at_unreadable": ("recorded_at", "recorded_at_format"),
}


def instant_advice(applications: pl.DataFrame, events: pl.DataFrame, codes: Mapping[str, int], rows: int) -> str:
    """Return advice on as_of, instants and amounts of events that are unreadable in most of `rows` applications, or "".

    `codes`: how many applications each code rejected. Looks at the first rows of the tables; shows no cell.
    """
    said = []
    for code, (column, key) in _COLUMNS.items():
        table = applications if column == "as_of" else events
        if codes.get(code, 0) > _MOST * rows and column in table.columns:
            said.append(date_advice(table[column].head(_LOOKED_AT), column, key))
    if codes.get("event_amount_unreadable", 0) > _MOST * rows and have_comma(events["amount"]):
        said.append(
            'Amounts of events have a comma before their decimals: write decimal = "," at the top of the spec, and '
            'decimal = "." in each attribute whose numbers have a point.'
        )
    return " ".join(text for text in said if text)
