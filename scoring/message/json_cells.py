"""Cells of messages as the texts that a file of the same spec would hold, so that all doors read the same."""

from collections.abc import Callable
from typing import Any

from features.cells import kind_of
from features.spec.contract import Spec

Cell = Any
_TRUTH = {True: "true", False: "false"}


class Number(str):
    """A JSON number as it was written, told from text: only it has a point where the spec declares a comma."""

    __slots__ = ()


class MessageCells:
    """Which JSON values may be cells of a spec, and what texts they are."""

    def __init__(self, spec: Spec) -> None:
        """Prepare the columns of the spec."""
        self._commas = {attribute.name for attribute in spec.attributes if attribute.decimal == ","}
        self._comma_in_amounts = spec.decimal == ","
        flags = (a.name for a in spec.attributes if a.version > 1 and kind_of(a).takes_booleans)
        self._flags = frozenset(flags)
        self.number: Callable[[str], str] = Number if self._commas or self._comma_in_amounts else str
        self.types = frozenset({str, int, type(None), self.number})

    def is_cell(self, name: str, value: Cell) -> bool:
        """Tell whether a value may stand for an attribute: text, number, null and, of a flag or category, a boolean."""
        return type(value) in self.types or (type(value) is bool and name in self._flags)

    def texts(self, name: str, cells: list[Cell]) -> list[str | None]:
        """Return the texts of an attribute's cells."""
        return _texts(cells, comma=name in self._commas)

    def amounts(self, cells: list[Cell]) -> list[str | None]:
        """Return the texts of events' amounts."""
        return _texts(cells, comma=self._comma_in_amounts)


def _texts(cells: list[Cell], *, comma: bool) -> list[str | None]:
    if {str, type(None)}.issuperset(set(map(type, cells))):
        return cells
    return [_text(cell, comma=comma) for cell in cells]


def _text(cell: Cell, *, comma: bool) -> str | None:
    if type(cell) is bool:
        return _TRUTH[cell]
    if type(cell) is Number:
        return cell.replace(".", ",") if comma else str(cell)
    return str(cell) if type(cell) is int else cell
