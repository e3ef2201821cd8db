"""Canonical tables to messages: what a core system would publish, one JSON object per application with its events."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from features.applications import identifier, require_columns
from features.cells import kind_of, number_text
from features.cells.instants import instant_text
from features.rejects import APPLICATIONS, EVENTS
from features.spec.contract import EVENT_COLUMNS, IDENTITY, Attribute, Currency, Spec

_ROWS = 4096
_NO_CURRENCY = Currency(code="XXX", minor_digits=0)  # as ISO 4217 calls it


@dataclass(frozen=True, slots=True)
class TableMessage:
    """One application as JSON, and what names it. Ids may be null: the message is then refused at every door."""

    application_id: str | None
    customer_id: str | None
    body: bytes


def to_messages(applications: pl.DataFrame, events: pl.DataFrame, spec: Spec) -> Iterator[TableMessage]:
    """Yield a message per application, in order, with all events of its customer, in order. Cells stay as they are.

    A message scores to the same bits as its row. Columns that the spec does not know are left out.

    Raises:
        InputError: a table lacks a column or holds one of a type that cannot be read.

    """
    return encode_messages(applications, events, spec.attributes, spec.decimal)


def every_column(applications: pl.DataFrame) -> list[Attribute]:
    """Name all columns that are no identity as attributes, to publish without a spec. Doors refuse unknown ones."""
    found = {name: dtype for name, dtype in applications.schema.items() if name not in IDENTITY}
    return [
        Attribute(
            name=name,
            kind="list" if dtype == pl.List(pl.String) else "category",
            unit="",
            description="",
            required=False,
            minimum=None,
            maximum=None,
            values=(),
            ordered=False,
            missing_tokens=(),
            strip="",
            currency=_NO_CURRENCY,
        )
        for name, dtype in found.items()
    ]


def encode_messages(
    applications: pl.DataFrame, events: pl.DataFrame | None, attributes: Sequence[Attribute], decimal: str = "."
) -> Iterator[TableMessage]:
    """See `to_messages`; for these attributes. `decimal` stands before the decimals of amounts as text.

    `events` None: messages leave them out, so that doors take them from a history store.
    """
    require_columns(applications, APPLICATIONS, (*IDENTITY, *[attribute.name for attribute in attributes]))
    own = None if events is None else _event_texts(events, decimal)
    rows = applications.select(
        *[identifier(applications.schema, APPLICATIONS, name) for name in ("application_id", "customer_id")],
        instant_text("as_of", applications.schema["as_of"]),
        *[_attribute(a, applications.schema[a.name]) for a in attributes],
    )
    for start in range(0, rows.height, _ROWS):
        yield from _messages(rows[start : start + _ROWS], own, [a.name for a in attributes])


def encode_events(events: pl.DataFrame, decimal: str = ".") -> Iterator[tuple[str | None, bytes]]:
    """Yield customer and message of each account event, as the topic of events holds them, in order.

    Raises:
        InputError: the table lacks a column or holds one of a type that cannot be read.

    """
    for part in _event_texts(events, decimal).iter_slices(_ROWS):
        texts = part.select(pl.struct(pl.all()).struct.json_encode()).to_series()
        for customer_id, text in zip(part["customer_id"], texts, strict=True):
            yield customer_id, text.encode()


def _event_texts(events: pl.DataFrame, decimal: str) -> pl.DataFrame:
    require_columns(events, EVENTS, EVENT_COLUMNS)
    return events.select(
        identifier(events.schema, EVENTS, "customer_id"),
        *[instant_text(name, events.schema[name]) for name in ("occurred_at", "recorded_at") if name in events.columns],
        pl.col("kind").cast(pl.String),
        _cell(number_text(pl.col("amount"), events.schema["amount"], decimal), events.schema["amount"]),
    )


def _attribute(attribute: Attribute, dtype: pl.DataType) -> pl.Expr:
    return _cell(kind_of(attribute).text(attribute, dtype).str.strip_chars(), dtype)


def _cell(text: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Whole numbers go as JSON numbers, all else as text: JSON has no NaN, and readers may round its numbers."""
    return text.cast(pl.Int128) if dtype.is_integer() else text


def _messages(rows: pl.DataFrame, events: pl.DataFrame | None, names: list[str]) -> Iterator[TableMessage]:
    attributes = [pl.struct(names).alias("attributes")] if names else []  # packed: one of them may be called "events"
    packed = rows.select(*IDENTITY, *attributes)
    joined, carried = (packed, []) if events is None else _with_events(packed, events)
    texts = joined.select(pl.struct([*map(pl.col, packed.columns), *carried]).struct.json_encode())
    ids = zip(joined["application_id"], joined["customer_id"], texts.to_series(), strict=True)
    for application_id, customer_id, text in ids:
        body = text if names else '{"attributes":{},' + text[1:]
        yield TableMessage(application_id, customer_id, body.encode())


def _with_events(rows: pl.DataFrame, events: pl.DataFrame) -> tuple[pl.DataFrame, list[pl.Expr]]:
    own = events.join(rows.select("customer_id").unique(), on="customer_id", how="semi", maintain_order="left")
    fields = [name for name in own.columns if name != "customer_id"]
    histories = own.group_by("customer_id", maintain_order=True).agg(pl.struct(fields).alias("events"))
    joined = rows.join(histories, on="customer_id", how="left", maintain_order="left")
    nothing = pl.Series([[]], dtype=pl.List(pl.Struct({name: own.schema[name] for name in fields})))
    return joined, [pl.col("events").fill_null(pl.lit(nothing).first())]
