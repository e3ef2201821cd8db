"""The receipt as one JSON object, as the stream and REST doors write it, and many of them as frames for the log.

Writing joins bytes that exist already. Reading is strict: what is not a whole receipt is an error, never half of one.
"""

from binascii import b2a_base64
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.carried_headers import MOST_BYTES, MOST_NAMES, NAME, VALUE
from features.errors import BundleError
from features.matrix import list_features
from features.spec.contract import Spec
from receipts.frame import HEADERS, HISTORY, KIND, SHADOW, receipts_of
from receipts.line_checks import check_receipts
from receipts.line_parts import (
    BROKEN,
    OF_CHALLENGERS,
    VERSION,
    WITH_MORE,
    ReceiptError,
    applications_of,
    decisions_of,
    instants,
)
from scoring.doors import DOORS
from scoring.message import Answer, Watermark, completed

__all__ = [
    "MissingBundleError",
    "is_receipt_of",
    "line_head",
    "line_source",
    "receipt_frames",
    "receipt_line",
    "receipt_parts",
]

_INSTANT = "%Y-%m-%dT%H:%M:%S.%fZ"


def receipt_line(head: bytes, source: bytes, message: bytes, answer: Answer) -> bytes:
    """Join one receipt. `head` is `line_head`'s, `source` a JSON object, `message` the bytes that were decided."""
    return b"".join(receipt_parts(head, source, message, answer))


def receipt_parts(head: bytes, source: bytes, message: bytes, answer: Answer) -> tuple[bytes, ...]:
    """Return what `receipt_line` joins, so that the message's bytes are copied only where the receipt is written.

    A message whose events came from a history store is completed with those that were used; `source` says as of when.
    """
    if answer.history is not None:
        message = completed(message, answer.history.events())
        source = source[:-1] + b',"history":' + answer.history.watermark + b"}"
    features = b2a_base64(answer.features or b"", newline=False)
    return (
        head,
        source,
        b',"features":"',
        features,
        b'","application":',
        message,
        b',"decision":',
        answer.decision or b"",
        b"}",
    )


def is_receipt_of(line: bytes, decision: bytes) -> bool:
    """Return whether `receipt_line` made a line of this decision."""
    return line.endswith(b',"decision":' + decision + b"}")


def line_source(where: bytes, headers: Mapping[str, str]) -> bytes:
    """Return the source of a receipt: `where`, a JSON object, and the headers that came with the application."""
    return where if not headers else where[:-1] + b',"headers":' + msgspec.json.encode(headers) + b"}"


def line_head(door: str, decided_at: float, *, more: bool = False, shadow: bool = False) -> bytes:
    """Begin the receipts that were decided together; `decided_at`: the door's clock, seconds since 1970.

    `more`: begin those whose source holds headers or a watermark. `shadow`: those of a challenger.
    """
    instant = datetime.fromtimestamp(decided_at, UTC).strftime(_INSTANT)
    version = str(WITH_MORE if more else VERSION)
    if shadow:
        version = f'{OF_CHALLENGERS},"{KIND}":"{SHADOW}"'
    return f'{{"receipt_version":{version},"door":"{door}","decided_at":"{instant}","source":'.encode()


_Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


_HeaderName = Annotated[str, msgspec.Meta(pattern=f"^{NAME.pattern}\\Z")]
_HeaderValue = Annotated[str, msgspec.Meta(pattern=VALUE, max_length=2 * MOST_BYTES + 4)]


class _Source(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    request_id: str | None = None
    row: _Number | None = None
    topic: str | None = None
    partition: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    offset: _Number | None = None
    history: Watermark | None = None
    headers: Annotated[dict[_HeaderName, _HeaderValue], msgspec.Meta(max_length=MOST_NAMES)] | None = None


class _Line(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    receipt_version: Literal[1, 2, 3]
    door: str
    decided_at: str
    source: _Source
    features: bytes
    application: msgspec.Raw
    decision: msgspec.Raw
    kind: Literal["shadow"] | None = None


class _Version(msgspec.Struct, gc=False):
    receipt_version: int


class _Named(msgspec.Struct, gc=False):
    bundle_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


_SOURCE = {
    "request_id": pl.String(),
    "topic": pl.String(),
    "partition": pl.Int32(),
    "offset": pl.Int64(),
    "row": pl.Int64(),
}
_decode_line = msgspec.json.Decoder(_Line).decode
_decode_version = msgspec.json.Decoder(_Version).decode
_decode_named = msgspec.json.Decoder(_Named).decode


class MissingBundleError(BundleError):
    """The spec of a receipt's bundle cannot be had. `place` counts the lines that were read together from 0."""

    def __init__(self, text: str, place: int) -> None:
        """Take the text of the error that says why."""
        super().__init__(text)
        self.place = place


def receipt_frames(
    lines: Sequence[bytes], spec_of: Callable[[str], Spec], door: str | None = None
) -> list[tuple[str, pl.DataFrame]]:
    """Return a frame of receipts per bundle and kind, by bundle id; rows in the order of the lines.

    `spec_of` gives the spec of a bundle id. `door`: the only one whose receipts are expected.

    Raises:
        ReceiptError: a line is no receipt; says which and why, never what it holds.
        MissingBundleError: `spec_of` raised a BundleError.

    """
    groups: dict[tuple[str, str], tuple[list[int], list[_Line]]] = {}
    for place, line in enumerate(lines):
        read = _read(line, place)
        if door not in (None, read.door):
            raise ReceiptError("receipt_source_wrong", place)
        places, members = groups.setdefault((_bundle_of(read, place), read.kind or ""), ([], []))
        places.append(place)
        members.append(read)
    specs = {which: _spec(which[0], places[0], spec_of) for which, (places, _) in sorted(groups.items())}
    return [(which[0], _frame(*groups[which], spec)) for which, spec in specs.items()]


def _spec(bundle_id: str, place: int, spec_of: Callable[[str], Spec]) -> Spec:
    try:
        return spec_of(bundle_id)
    except BundleError as error:
        raise MissingBundleError(str(error), place) from error


def _read(line: bytes, place: int) -> _Line:
    try:
        read = _decode_line(line)
    except BROKEN:
        raise ReceiptError(_why(line), place) from None
    known = read.door in DOORS and DOORS[read.door].live
    if not known or (read.kind is not None) != (read.receipt_version == OF_CHALLENGERS):
        raise ReceiptError("receipt_not_json", place)
    return read


def _why(line: bytes) -> str:
    try:
        version = _decode_version(line).receipt_version
    except BROKEN:
        return "receipt_not_json"
    return "receipt_not_json" if version in (VERSION, WITH_MORE, OF_CHALLENGERS) else "receipt_version_unknown"


def _bundle_of(line: _Line, place: int) -> str:
    try:
        return _decode_named(line.decision).bundle_id
    except BROKEN:
        raise ReceiptError("receipt_decision_wrong", place) from None


def _frame(places: list[int], lines: list[_Line], spec: Spec) -> pl.DataFrame:
    decisions = decisions_of(places, [line.decision for line in lines], spec)
    applications = applications_of(places, [bytes(line.application) for line in lines], spec)
    origin = pl.DataFrame(
        [
            pl.Series("door", [line.door for line in lines], dtype=pl.String),
            instants(
                places, pl.Series("decided_at", [line.decided_at for line in lines]), "receipt_instant_unreadable"
            ),
            *[pl.Series(name, [getattr(line.source, name) for line in lines], kind) for name, kind in _SOURCE.items()],
            applications["application"],
            *_optional(HEADERS, [line.source.headers for line in lines]),
            *_optional(HISTORY, [line.source.history for line in lines]),
            *([pl.Series(KIND, [line.kind for line in lines], dtype=pl.String)] if lines[0].kind else []),
        ]
    )
    receipts = receipts_of(decisions, _features(places, lines, spec), origin, spec)
    check_receipts(places, receipts, applications, spec)
    return receipts


def _optional(name: str, found: Sequence[Any]) -> list[pl.Series]:
    """Return a column as JSON, none where no receipt has any of it: then nothing is stored."""
    if not any(found):
        return []
    texts = [msgspec.json.encode(one, order="sorted").decode() if one else None for one in found]
    return [pl.Series(name, texts, dtype=pl.String)]


def _features(places: list[int], lines: list[_Line], spec: Spec) -> NDArray[np.float32]:
    width = len(list_features(spec))
    wrong = next((place for place, line in zip(places, lines, strict=True) if len(line.features) != 4 * width), None)
    if wrong is not None:
        raise ReceiptError("receipt_features_wrong", wrong)
    return np.frombuffer(b"".join([line.features for line in lines]), dtype="<f4").reshape(-1, width)
