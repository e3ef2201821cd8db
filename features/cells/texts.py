"""From a cell to the bare text that a kind reads: white space, stripped characters and missing tokens."""

from collections.abc import Callable

import polars as pl

from features.cells.causes import IS_MISSING, IS_TOKEN
from features.cells.reading import Definition
from features.errors import InputError
from features.spec.contract import Attribute

__all__ = ["WHITE_SPACE"]

# The characters that Unicode calls White_Space. Python's strip() takes four control characters more.
WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
COMMA, POINT = ",", "."


def tokens_of(attribute: Attribute) -> frozenset[str]:
    """Return the missing tokens of an attribute as trimmed texts."""
    return frozenset(token.strip() for token in attribute.missing_tokens) - {""}


def around_of(attribute: Attribute) -> str:
    """Return the characters that may stand around a value."""
    return " \t" + attribute.strip


def bare_reader(attribute: Attribute, parse: Callable[[str], object], *, typed: bool = False) -> Definition:
    """Return what reads a cell: empty and token are missing, of all else `parse` makes a value or `Unusable`.

    A typed number has nothing around it: it is parsed as it stands (as specs of version 1 always did).
    """
    tokens, around = tokens_of(attribute), around_of(attribute)

    def read(cell: str) -> object:
        text = cell.strip(WHITE_SPACE)
        if not text:
            return IS_MISSING
        bare = text.strip(around)
        if not bare or text in tokens or bare in tokens:
            return IS_TOKEN
        return parse(text if typed else bare)

    return read


def plain_text(dtype: pl.DataType) -> bool:
    """Tell whether a column of this type holds texts, perhaps as categories."""
    return isinstance(dtype, (pl.String, pl.Categorical, pl.Enum, pl.Null))


def number_text(column: pl.Expr, dtype: pl.DataType, decimal: str = POINT) -> pl.Expr:
    """Return the text that a CSV file would hold of texts or numbers: of a short float its shortest decimal."""
    text = (column.cast(pl.Float32) if dtype == pl.Float16 else column).cast(pl.String)
    return text.str.replace_all(POINT, decimal, literal=True) if dtype.is_numeric() and decimal != POINT else text


def whole_text(column: pl.Expr, dtype: pl.DataType, decimal: str = POINT) -> pl.Expr:
    """Return the same, of whole floats the digits alone: 1.0 is the category "1"."""
    text = column.cast(pl.String)
    if not dtype.is_float():
        return number_text(column, dtype, decimal)
    integral = (column == column.floor()) & (column.abs() < 2**53)
    digits = pl.when(integral).then(column).cast(pl.Int64).cast(pl.String)
    return pl.coalesce(digits, text)


def unreadable_type(attribute: Attribute, dtype: pl.DataType) -> InputError:
    """Return the error that says which types an attribute can be read from."""
    return InputError(
        f"column {attribute.name!r} is {dtype.base_type()}, expected text or numbers for kind {attribute.kind}. "
        "Cast the column where the file is made, or change the kind in the spec."
    )
