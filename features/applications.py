"""The applications table: identity, `as_of` and attributes of every row, or the code with which it is rejected."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

import numpy as np
import polars as pl

from features.cells import Cells, Columns, Reader, has_few_rows, kind_of, related
from features.cells.local_instants import declared_instant
from features.errors import InputError
from features.rejects import APPLICATIONS, Dirt, count_dirt, rejects_frame
from features.spec.contract import EVENT_COLUMNS, IDENTITY, Spec
from features.why_missing import Why, why_of

__all__ = [
    "CUSTOMER",
    "MOST_ID_BYTES",
    "ROW",
    "SCIENTIFIC",
    "identifier",
    "identifier_code",
    "is_scientific",
    "read_applications",
    "require_columns",
    "text_reader",
]

ROW, CUSTOMER = "|row", "|customer"  # beside attributes, none of which can have such a name
MOST_ID_BYTES = 256
_MOST_SHOWN = 10
_PLAIN_ID = r"^[!-~]+$"
_SCIENTIFIC = r"^[0-9][.,][0-9]+[eE]\+[0-9]{1,3}$"
SCIENTIFIC = (
    "are written as in 4.91235E+11, as a spreadsheet shows long numbers: their last digits are gone, so different ids "
    "are alike; export the column as text"
)
is_plain_id = re.compile(rf"[!-~]{{1,{MOST_ID_BYTES}}}").fullmatch


def is_scientific(ids: pl.Series) -> pl.Series:
    """Tell of ids as texts which of them are numbers that a spreadsheet has cut; see `SCIENTIFIC`."""
    return ids.str.contains(_SCIENTIFIC)


@dataclass(frozen=True, slots=True)
class Applications:
    """Usable applications with clean attributes, in input order (`|row` is the 1-based input row), and the rest.

    `why` holds by attribute the positions of input rows (0-based) that have no value although something was given.
    """

    accepted: pl.DataFrame
    rejects: pl.DataFrame
    dirt: list[Dirt]
    why: dict[str, Why]


def read_applications(table: pl.DataFrame, spec: Spec) -> Applications:
    """Clean every row of a canonical applications table.

    Raises:
        InputError: a column is missing or of a type that cannot be read.

    """
    names = [attribute.name for attribute in spec.attributes]
    require_columns(table, APPLICATIONS, (*IDENTITY, *names))
    schema = table.schema
    reader = _reader(spec, tuple((name, schema[name]) for name in (*IDENTITY, *names)))
    cells = reader.read(table)
    cells |= _related(cells, spec)
    *ids, usable = _plain_identities(table) or reader.others(table)
    row = pl.Series(ROW, np.arange(1, table.height + 1, dtype=np.int64))
    read = pl.DataFrame([row, *ids, *[cells[name].values for name in ("as_of", *names)]])
    required = ["as_of", *[attribute.name for attribute in spec.attributes if attribute.required]]
    dirt = {name: cells[name].dirt for name in names if cells[name].values.null_count()}
    why = {name: found for name in dirt if (found := why_of(name, cells[name], table[name], reader, spec))}
    doubted = ~usable
    for name in required:
        doubted |= cells[name].values.is_null()
    if not doubted.any():
        return Applications(read, rejects_frame(), count_dirt(APPLICATIONS, dirt), why)
    judged = read.select(pl.col(ROW).alias("row"), "application_id", "customer_id").hstack(
        [cells[name].causes.alias(f"{name}|cause") for name in required]
    )
    judged = judged.filter(doubted).select("row", "application_id", *_problem(required[1:]))
    rejected = judged.drop_nulls("code").with_columns(pl.lit(APPLICATIONS).alias("table"))
    good = np.ones(table.height, dtype=np.bool_)
    good[rejected["row"].to_numpy() - 1] = False
    dirt = {name: cells[name].dirt_among(good) for name in dirt}  # of rejected applications it is not counted
    return Applications(read.filter(pl.Series(good)), rejects_frame(rejected), count_dirt(APPLICATIONS, dirt), why)


def _related(cells: Mapping[str, Cells], spec: Spec) -> dict[str, Cells]:
    """Return the cells of the attributes whose values depend on `as_of`, as they are then."""
    as_of = cells["as_of"].values
    kinds = {a.name: kind for a in spec.attributes if (kind := kind_of(a)).relative}
    return {name: related(cells[name], kind.relate(cells[name].values, as_of)) for name, kind in kinds.items()}


def _plain_identities(table: pl.DataFrame) -> list[pl.Series] | None:
    """Return the identifiers of few rows as they are, and that they are usable, if none needs a closer look."""
    ids = [table.get_column(name) for name in ("application_id", "customer_id")]
    if not has_few_rows(table) or any(column.dtype != pl.String for column in ids):
        return None
    usable = all(cell is not None and is_plain_id(cell) for column in ids for cell in column.to_list())
    return [*ids, pl.Series([usable])] if usable else None


@lru_cache(maxsize=64)
def text_reader(spec: Spec) -> Reader:
    """Return what reads applications whose cells are all texts."""
    names = (*IDENTITY, *[attribute.name for attribute in spec.attributes])
    return _reader(spec, tuple((name, pl.String()) for name in names))


@lru_cache(maxsize=64)
def _reader(spec: Spec, columns: Columns) -> Reader:
    schema = dict(columns)
    readings = [
        declared_instant(APPLICATIONS, "as_of", schema["as_of"], spec.instants),
        *[kind_of(a).reading(a, schema[a.name]) for a in spec.attributes],
    ]
    ids = [identifier(schema, APPLICATIONS, name) for name in ("application_id", "customer_id")]
    usable = pl.all_horizontal(is_plain_identifier(id_) for id_ in ids)
    return Reader(readings, [*ids, usable.fill_null(value=False).alias("usable")])


def _problem(required: list[str]) -> tuple[pl.Expr, pl.Expr]:
    """Return code and column of what rejects a row, most telling first: identity, as_of, required attributes."""
    codes = [(name, identifier_code(name)) for name in ("application_id", "customer_id")]
    codes.append(("as_of", "as_of_" + pl.col("as_of|cause")))
    codes += [(name, "attribute_" + pl.col(f"{name}|cause")) for name in required]
    columns = [pl.when(code.is_not_null()).then(pl.lit(name)) for name, code in codes]
    return pl.coalesce(code for _, code in codes).alias("code"), pl.coalesce(columns).alias("column")


def identifier(schema: Mapping[str, pl.DataType], table: str, column: str) -> pl.Expr:
    """Take an identifier as text without white space around it; whole numbers are taken as their digits.

    Floats too (1001.0 is 1001), as pandas writes whole numbers where some are missing; one that is not whole, or too
    large for its digits to be sure, is null.

    Raises:
        InputError: the column holds neither text nor numbers.

    """
    dtype = schema[column]
    if dtype.is_float():
        number = pl.col(column).cast(pl.Float64)
        whole = (number == number.floor()) & (number.abs() < (2**53 if dtype == pl.Float64 else 2**24))
        return pl.when(whole).then(number).cast(pl.Int64).cast(pl.String).alias(column)
    is_text = isinstance(dtype, (pl.String, pl.Categorical, pl.Enum, pl.Null))
    if not (is_text or dtype.is_integer() or (isinstance(dtype, pl.Decimal) and dtype.scale == 0)):
        raise InputError(
            f"{table}: column {column!r} is {dtype.base_type()}, expected text. Cast it to text where the file is made."
        )
    return pl.col(column).cast(pl.String).str.strip_chars()


def is_plain_identifier(text: pl.Expr) -> pl.Expr:
    """Tell which trimmed identifiers can be used without a closer look."""
    return text.str.contains(_PLAIN_ID) & (text.str.len_bytes() <= MOST_ID_BYTES)


def identifier_code(column: str, prefix: str = "") -> pl.Expr:
    """Return the reject code of an identifier, or null where it can be used."""
    text = pl.col(column)
    unusable = (text.str.len_bytes() > MOST_ID_BYTES) | text.str.contains(r"[\x00-\x1f\x7f]")
    blank = text.is_null() | (text.str.strip_chars() == "")
    return (
        pl.when(blank)
        .then(pl.lit(f"{prefix}{column}_missing"))
        .when(unusable)
        .then(pl.lit(f"{prefix}{column}_unusable"))
    )


def require_columns(table: pl.DataFrame, name: str, columns: tuple[str, ...]) -> None:
    """Check that a table has these columns; more are allowed and ignored.

    Raises:
        InputError: naming the missing ones.

    """
    found = table.columns
    missing = [column for column in columns if column not in found]
    if missing:
        raise InputError(
            f"{name}: column {', '.join(map(repr, missing))} is missing. Expected {', '.join(columns)}. "
            f"{_advice(table, missing, columns)}"
        )


def _advice(table: pl.DataFrame, missing: list[str], columns: tuple[str, ...]) -> str:
    """Say what to do. Names are shown where the first line is a header: where one of the expected names is in it."""
    others = [column for column in table.columns if column not in columns]
    known = len(others) < table.width
    shown = ", ".join(sorted(others, key=lambda name: -_likeness(name, missing))[:_MOST_SHOWN])
    found = f" Other columns found: {shown}." if others and known else ""
    if not known:
        found = " None of them was found; is the first line the header?"
    if any(column in (*IDENTITY, *EVENT_COLUMNS) for column in missing):
        return f"Rename the column that holds it, or add it.{found}"
    return (
        f"Add it (an optional attribute may be empty), or train a bundle with a spec that does not declare it.{found}"
    )


def _likeness(name: str, wanted: list[str]) -> float:
    """Tell how alike a name is to the likest of the wanted ones, from 0 to 1; a stable sort keeps ties in order."""
    return max(SequenceMatcher(None, name.casefold(), other.casefold()).ratio() for other in wanted)
