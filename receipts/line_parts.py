"""The parts of receipts as JSON to columns: instants, decisions, applications. Strict, and each number rounded once."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import numpy as np
import polars as pl

from features.cells.instants import INSTANT_FORMAT
from features.errors import InputError
from features.rfm import APPLICATION_ROW
from features.spec.contract import IDENTITY, Spec
from scoring.decisions import decision_schema
from scoring.message import MessageDecoder, Refusal

__all__ = ["ReceiptError"]

VERSION = 1
WITH_MORE = 2  # the version of receipts that hold headers or a watermark, which an earlier `credit` cannot read
OF_CHALLENGERS = 3  # that of what a challenger would have decided: whoever does not know it must not take it as decided
CODES = {
    "receipt_not_json": "one JSON object with the fields of a receipt, each of its type",
    "receipt_version_unknown": f"receipt_version {VERSION} to {OF_CHALLENGERS}; a newer one needs a newer `credit`",
    "receipt_instant_unreadable": "decided_at as YYYY-MM-DDTHH:MM:SS.ffffffZ, from 1970 to 2199",
    "receipt_source_wrong": "where the application came from, as its door writes it: topic, partition and offset, or "
    "request_id and row",
    "receipt_features_wrong": "one float32 for each feature of the bundle's spec, in base64",
    "receipt_application_wrong": "the application as a message of the bundle's spec, with the ids of its decision",
    "receipt_decision_wrong": "the decision as the doors answer it, with the columns of the bundle's spec: classes and "
    "points of that spec, probabilities from 0 to 1, one to four reasons unless the class is the best, ids without "
    "control characters, instants from 1970 to 2199, and the decision_id of these ids, features and bundle",
}


class ReceiptError(InputError):
    """A record that is no receipt. `place` counts the records that were read together from 0."""

    def __init__(self, code: str, place: int) -> None:
        """Take the code of `CODES`."""
        super().__init__(f"{code}: expected {CODES[code]}")
        self.code, self.place = code, place


BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)


def instants(places: list[int], texts: pl.Series, code: str) -> pl.Series:
    """Read instants written with `INSTANT_FORMAT`; `places` are those of their receipts.

    Raises:
        ReceiptError: one is none, with `code`.

    """
    read = texts.str.to_datetime(INSTANT_FORMAT, time_unit="us", time_zone="UTC", strict=False)
    if read.null_count():
        raise ReceiptError(code, places[read.is_null().arg_true()[0]])
    return read


class _NumberText(str):
    """A number as it is written."""

    __slots__ = ()


class _Reason(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    code: str
    text: str
    contribution: Any
    weak: bool


def _decision_decoder(spec: Spec) -> Callable[[msgspec.Raw], Any]:
    """Numbers stay their text until they become float32, so that they are rounded once."""
    own: dict[str, Any] = dict.fromkeys(spec.probability_columns, Any)
    own |= {"credit_score": Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)], "reasons": list[_Reason]}
    fields = [(name, own.get(name, str)) for name in decision_schema(spec)]
    decision = msgspec.defstruct("Decision", fields, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(decision, float_hook=_NumberText).decode


def decisions_of(places: list[int], texts: list[msgspec.Raw], spec: Spec) -> pl.DataFrame:
    """Read decisions as the doors answer them into the columns of `decision_schema`.

    Raises:
        ReceiptError: one is none.

    """
    decode, read, at = _decision_decoder(spec), [], 0
    try:
        for at, text in zip(places, texts, strict=True):  # noqa: B007 - the error names the place
            read.append(decode(text))
    except BROKEN:
        raise ReceiptError("receipt_decision_wrong", at) from None
    columns = []
    for name, kind in decision_schema(spec).items():
        cells = [getattr(decision, name) for decision in read]
        if isinstance(kind, pl.Datetime):
            columns.append(instants(places, pl.Series(name, cells, dtype=pl.String), "receipt_decision_wrong"))
        elif name == "reasons":
            columns.append(_reasons(places, cells))
        else:
            columns.append(_cast(places, name, cells, kind))
    return pl.DataFrame(columns)


def _cast(places: list[int], name: str, cells: list[Any], kind: pl.DataType) -> pl.Series:
    if kind == pl.String:
        return pl.Series(name, cells, dtype=kind)
    texts = [str(cell) if type(cell) in (int, _NumberText) else "" for cell in cells]
    series = pl.Series(name, texts, dtype=pl.String).cast(kind, strict=False)
    if series.null_count():
        raise ReceiptError("receipt_decision_wrong", places[series.is_null().arg_true()[0]])
    return series


def _reasons(places: list[int], cells: list[list[_Reason]]) -> pl.Series:
    counts = [len(reasons) for reasons in cells]
    flat = [reason for reasons in cells for reason in reasons]
    owners = [place for place, count in zip(places, counts, strict=True) for _ in range(count)]
    rows = [
        pl.Series("code", [reason.code for reason in flat], dtype=pl.String),
        pl.Series("text", [reason.text for reason in flat], dtype=pl.String),
        _cast(owners, "contribution", [reason.contribution for reason in flat], pl.Float32()),
        pl.Series("weak", [reason.weak for reason in flat], dtype=pl.Boolean),
    ]
    row = pl.Series("row", np.repeat(np.arange(len(cells)), counts), dtype=pl.Int64)
    grouped = pl.DataFrame([row, pl.DataFrame(rows).to_struct("reasons")]).group_by("row", maintain_order=True).all()
    own = pl.DataFrame([pl.Series("row", range(len(cells)), dtype=pl.Int64)])
    joined = own.join(grouped, on="row", how="left", maintain_order="left")["reasons"]
    return joined.fill_null(pl.Series([[]], dtype=joined.dtype).first())


def applications_of(places: list[int], messages: list[bytes], spec: Spec) -> pl.DataFrame:
    """Write messages again in one form: fields and attributes in the order of the spec, each cell as text or null.

    Returns a column `application`, and beside it the ids as the doors read them.

    Raises:
        ReceiptError: one is no message of the spec.

    """
    decoded = MessageDecoder(spec).decode(messages)
    wrong = next((p for p, row in zip(places, decoded.places, strict=True) if isinstance(row, Refusal)), None)
    if wrong is not None:
        raise ReceiptError("receipt_application_wrong", wrong)
    events = decoded.events
    if "recorded_at" not in events.columns:
        events = events.with_columns(recorded_at=pl.lit(None, dtype=pl.String))
    fields = ("occurred_at", "kind", "amount", "recorded_at")
    carried = events.group_by(APPLICATION_ROW, maintain_order=True).agg(pl.struct(fields).alias("events"))
    rows = decoded.applications.with_row_index(APPLICATION_ROW, 1).with_columns(pl.col(APPLICATION_ROW).cast(pl.Int64))
    joined = rows.join(carried, on=APPLICATION_ROW, how="left", maintain_order="left")
    nothing = pl.Series([[]], dtype=pl.List(pl.Struct(dict.fromkeys(fields, pl.String))))
    names = [attribute.name for attribute in spec.attributes]
    attributes = [pl.struct(names).alias("attributes")] if names else []
    whole = pl.struct(*IDENTITY, *attributes, pl.col("events").fill_null(pl.lit(nothing).first()))
    text = whole.struct.json_encode()
    text = text if names else pl.concat_str(pl.lit('{"attributes":{},'), text.str.slice(1))
    return joined.select(*[pl.col(name).str.strip_chars() for name in IDENTITY[:2]], text.alias("application"))
