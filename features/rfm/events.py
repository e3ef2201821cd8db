"""The events table: the usable account events of the customers who apply, and the customers whose events are not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.applications import CUSTOMER, ROW, identifier, identifier_code, require_columns
from features.cells import MISSING, MOST_MINOR_UNITS, Cells, Columns, Reader, Reading, all_match, joined_lines
from features.cells.causes import IS_MISSING, IS_OUTSIDE, IS_UNKNOWN
from features.cells.decimals import parse_minor_units, people_write, quick_minor_units
from features.cells.local_instants import declared_instant
from features.cells.texts import POINT, WHITE_SPACE, number_text, plain_text
from features.errors import InputError
from features.event_arrays import History, Int64s
from features.rejects import EVENTS, Dirt, count_dirt, rejects_frame
from features.spec.contract import EVENT_COLUMNS, Spec


@dataclass(frozen=True, slots=True)
class Events:
    """Usable events, the first unusable event of each customer that has one, and events without a customer.

    `unusable`: customer, code, column, event_row.
    """

    usable: History
    unusable: pl.DataFrame
    rejects: pl.DataFrame
    dirt: list[Dirt]


APPLICATION_ROW = "application_row"
IGNORED = -1  # the index of kinds that the spec ignores
IGNORED_KIND = "ignored_kind"
_STRANGER = -1


def read_events(table: pl.DataFrame, customers: pl.DataFrame, spec: Spec) -> Events:
    """Check every event of `customers` (columns customer_id, customer); events of others are left out.

    Raises:
        InputError: a column is missing or of a type that cannot be read.

    """
    require_columns(table, EVENTS, EVENT_COLUMNS)
    keys = table.select(identifier(table.schema, EVENTS, "customer_id"))
    numbers = keys.join(customers, on="customer_id", how="left", maintain_order="left")["customer"]
    known = [name for name in _READ if name in table.columns]
    orphans = rejects_frame(_orphans(keys, numbers).with_columns(pl.lit(EVENTS).alias("table")))
    if not numbers.null_count():
        return _account(table.select(known), (numbers.to_numpy(), np.arange(1, table.height + 1)), orphans, spec)
    own = numbers.is_not_null()
    rows = np.flatnonzero(own.to_numpy()) + 1
    return _account(table.select(known).filter(own), (numbers.drop_nulls().to_numpy(), rows), orphans, spec)


def _orphans(keys: pl.DataFrame, numbers: pl.Series) -> pl.DataFrame:
    """Return the events without a usable customer_id, as rejects; those of customers who apply have one."""
    places = np.flatnonzero(numbers.is_null().to_numpy())
    strangers = keys[places].hstack([pl.Series("row", places + 1)])
    code = identifier_code("customer_id", "event_")
    return strangers.select("row", pl.lit("customer_id").alias("column"), code.alias("code")).drop_nulls("code")


def read_carried_events(table: pl.DataFrame, accepted: pl.DataFrame, rows: int, spec: Spec) -> Events:
    """Check the events that applications carry: `application_row` (1-based input row) stands for the customer.

    `accepted` has the columns |row and |customer, `rows` counts the applications before any was rejected. Events of
    rejected applications are left out.
    """
    customers = customers_by_row(accepted, rows)[table[APPLICATION_ROW].to_numpy() - 1]
    numbers = np.arange(1, table.height + 1)
    if (customers == _STRANGER).any():
        own = customers != _STRANGER
        table, customers, numbers = table.filter(own), customers[own], numbers[own]
    return _account(table, (customers, numbers), rejects_frame(), spec)


def customers_by_row(accepted: pl.DataFrame, rows: int) -> Int64s:
    """Return the number of the customer of each input row, -1 where the application was rejected."""
    customer_of = np.full(rows, _STRANGER)
    customer_of[accepted[ROW].to_numpy() - 1] = accepted[CUSTOMER].to_numpy()
    return customer_of


def _account(own: pl.DataFrame, places: tuple[Int64s, Int64s], rejects: pl.DataFrame, spec: Spec) -> Events:
    """Check events of which `places` gives customer and 1-based row."""
    customers, rows = places
    schema = own.schema
    cells = event_reader(spec, tuple((name, schema[name]) for name in _READ if name in schema)).read(own)
    ignored, codes = cells["kind"].values.to_numpy() == IGNORED, _codes(cells)
    bad, usable = NO_UNUSABLE, ~ignored
    dirt = count_dirt(EVENTS, {"kind": [IGNORED_KIND] * int(ignored.sum())})
    if codes is not None:
        usable &= codes.is_null().to_numpy()
        judged = pl.DataFrame({"customer": customers, "row": rows, "code": codes}).filter(~ignored)
        first = judged.drop_nulls("code").unique("customer", keep="first", maintain_order=True)
        bad = first.select("customer", "code", _column_of_code().alias("column"), pl.col("row").alias("event_row"))
    return Events(usable=_history(customers, cells, usable), unusable=bad, rejects=rejects, dirt=dirt)


def _history(customers: Int64s, cells: Mapping[str, Cells], usable: NDArray[np.bool_]) -> History:
    """Take the usable events out of cells, which of others may be null."""
    late = cells["recorded_at"].values if "recorded_at" in cells else None
    instants, kinds, amounts = (cells[name].values.to_numpy() for name in ("occurred_at", "kind", "amount"))
    known_at = None if late is None or late.null_count() == len(late) else late.to_numpy().astype(np.float64)
    all_of_them = History(customers=customers, occurred_at=instants, kinds=kinds, amounts=amounts, known_at=known_at)
    if usable.all():
        return all_of_them
    some = all_of_them.only(np.flatnonzero(usable))
    # Columns with nulls are floats, which hold every usable value exactly.
    whole = {name: getattr(some, name).astype(np.int64, copy=False) for name in ("occurred_at", "kinds", "amounts")}
    return replace(some, **whole)


_READ = ("kind", "occurred_at", "amount", "recorded_at")
NO_UNUSABLE = pl.DataFrame(schema={"customer": pl.Int64, "code": pl.String, "column": pl.String, "event_row": pl.Int64})


@lru_cache(maxsize=64)
def event_reader(spec: Spec, columns: Columns) -> Reader:
    """Return what reads events of these columns."""
    schema = dict(columns)
    readings = [
        _kind(spec, schema["kind"]),
        declared_instant(EVENTS, "occurred_at", schema["occurred_at"], spec.instants),
        _amount(schema["amount"], spec),
    ]
    if "recorded_at" in schema:
        readings.append(declared_instant(EVENTS, "recorded_at", schema["recorded_at"], spec.instants))
    return Reader(readings)


def _codes(cells: Mapping[str, Cells]) -> pl.Series | None:
    """Return the code of what makes each event unusable, if any is. Not recorded later means known as it occurred."""
    codes = []
    for name in _READ:
        if name not in cells or cells[name].values.null_count() == 0:
            continue
        if name == "recorded_at" and cells[name].known is None:
            continue
        causes = cells[name].causes
        if name == "recorded_at":
            causes = causes.zip_with((causes != MISSING).fill_null(value=False), pl.Series([None], dtype=pl.String))
        codes.append((f"event_{name}_" + causes).alias(name))
    return pl.DataFrame(codes).select(pl.coalesce(pl.all())).to_series() if codes else None


def _column_of_code() -> pl.Expr:
    return "events." + pl.col("code").str.extract("^event_(kind|occurred_at|recorded_at|amount)", 1)


def _kind(spec: Spec, dtype: pl.DataType) -> Reading:
    """Read kinds to their index, those that are ignored to `IGNORED`."""
    if not isinstance(dtype, (pl.String, pl.Categorical, pl.Enum, pl.Null)):
        raise InputError(f"{EVENTS}: column 'kind' is {dtype.base_type()}, expected text. Cast it at its source.")
    kinds, text = pl.Enum([*spec.event_kinds, *spec.ignored_kinds]), pl.col("kind").cast(pl.String)
    place = text.cast(kinds, strict=False).to_physical().cast(pl.Int64)
    quick = pl.when(place < len(spec.event_kinds)).then(place).when(place.is_not_null()).then(IGNORED)
    indices = {kind: i for i, kind in enumerate(spec.event_kinds)} | dict.fromkeys(spec.ignored_kinds, IGNORED)
    known: dict[str, object] = {"": IS_MISSING, **indices}

    def whole(cells: Sequence[str | None]) -> Int64s | None:
        try:
            return np.array(list(map(indices.__getitem__, cells)), dtype=np.int64)  # type: ignore[arg-type]
        except KeyError:
            return None

    def read(cell: str) -> object:
        return known.get(cell.strip(WHITE_SPACE), IS_UNKNOWN)

    return Reading("kind", pl.Int64(), read, None if dtype == pl.String else text, quick, whole=whole)


def _amount(dtype: pl.DataType, spec: Spec) -> Reading:
    """Read amounts to Int64 minor units, exactly: typed numbers by scaling integers, all else from decimal text."""
    if not (dtype.is_numeric() or plain_text(dtype)):
        raise InputError(
            f"{EVENTS}: column 'amount' is {dtype.base_type()}, expected text or numbers. Cast it at its source."
        )
    source, digits = pl.col("amount"), spec.currency.minor_digits
    parse, fits = parse_minor_units(digits), source.abs() <= MOST_MINOR_UNITS
    if spec.version > 1:
        parse = people_write(parse, spec.decimal, spec.currency.code)

    def read(cell: str) -> object:
        text = cell.strip(WHITE_SPACE)
        value = parse(text) if text else IS_MISSING
        return value if not isinstance(value, int) or abs(value) <= MOST_MINOR_UNITS else IS_OUTSIDE

    text = number_text(source, dtype, spec.decimal)
    if dtype.is_integer():
        limit = MOST_MINOR_UNITS // 10**digits + 1
        quick = source.cast(pl.Int128).clip(-limit, limit).cast(pl.Int64) * 10**digits
    elif isinstance(dtype, pl.Decimal) and dtype.scale == digits:
        quick = source.to_physical().clip(-MOST_MINOR_UNITS - 1, MOST_MINOR_UNITS + 1).cast(pl.Int64)
    else:
        quick = quick_minor_units(text, digits, spec.decimal)
    whole = _whole_amounts(digits) if dtype == pl.String and spec.decimal == POINT else None
    return Reading("amount", pl.Int64(), read, None if dtype == pl.String else text, quick, fits, whole=whole)


def _whole_amounts(digits: int) -> Callable[[Sequence[str | None]], Int64s | None]:
    """Return what reads amounts with all their decimals, if all have that form."""
    decimals = rf"\.[0-9]{{{digits}}}" if digits else ""
    matches = all_match(rf"-?[0-9]{{1,12}}{decimals}")

    def whole(cells: Sequence[str | None]) -> Int64s | None:
        text = joined_lines(cells)
        if not matches(text):
            return None
        values = np.fromstring(text.replace(".", ""), dtype=np.int64, sep="\n")
        fits = len(values) == len(cells) and max(values.max(), -values.min()) <= MOST_MINOR_UNITS
        return values if fits else None

    return whole
