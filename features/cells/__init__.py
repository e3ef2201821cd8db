"""What a cell means, once: one class for each attribute kind, and the reader of whole columns.

A new kind is a file in this folder and a line in `registry.py`..
"""

from features.cells.by_value import spellings_of
from features.cells.causes import AFTER, GIVEN, MISSING, MISSING_TOKEN, UNKNOWN, UNREADABLE, Unusable
from features.cells.decimals import MOST_MINOR_UNITS, NUMBER
from features.cells.guess import Found, Guess
from features.cells.kinds.kind import Kind, ToNumber
from features.cells.kinds.registry import KINDS, kind_of
from features.cells.reading import (
    FEW_ROWS,
    PLAIN_ROWS,
    Cells,
    Columns,
    Reader,
    Reading,
    all_match,
    has_few_rows,
    joined_lines,
    related,
)
from features.cells.texts import number_text

__all__ = [
    "AFTER",
    "FEW_ROWS",
    "GIVEN",
    "KINDS",
    "MISSING",
    "MISSING_TOKEN",
    "MOST_MINOR_UNITS",
    "NUMBER",
    "PLAIN_ROWS",
    "UNKNOWN",
    "UNREADABLE",
    "Cells",
    "Columns",
    "Found",
    "Guess",
    "Kind",
    "Reader",
    "Reading",
    "ToNumber",
    "Unusable",
    "all_match",
    "decimal_advice",
    "has_few_rows",
    "instant_advice",
    "instants",
    "joined_lines",
    "kind_of",
    "number_text",
    "recognise",
    "related",
    "spellings_of",
    "texts",
]
