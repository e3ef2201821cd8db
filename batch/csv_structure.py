"""Check that bytes are a complete, well-formed CSV file (RFC 4180, UTF-8, comma) before anything parses them.

CSV readers forgive: Polars fills short rows with nulls, so a file that was cut in the middle of a line would be scored
with missing values. Here the file is refused, with the line.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import InputError

BOM = b"\xef\xbb\xbf"
_CHUNK = 1 << 24
_QUOTE, _COMMA, _LINE_FEED, _RETURN = b'",\n\r'
_OTHER_SEPARATORS = {";": "semicolon", "\t": "tab", "|": "vertical bar"}


@dataclass(frozen=True, slots=True)
class CsvStructure:
    """Column names and the number of records after the header."""

    columns: tuple[str, ...]
    records: int


def check_csv(content: bytes, source: str) -> CsvStructure:
    """Check encoding, header, quotes and the number of fields of every record.

    Raises:
        InputError: the file is empty, cut, not UTF-8, has another separator, a doubled column or an uneven record;
            names the line.

    """
    _check_text(content, source)
    columns = _header(content, source)
    return CsvStructure(columns, _count_records(content, len(columns), source))


def _check_text(content: bytes, source: str) -> None:
    if not content.removeprefix(BOM).strip():
        raise InputError(f"{source}: the file is empty. Expected CSV with a header line.")
    nul = content.find(b"\0")
    if nul >= 0:
        raise InputError(
            f"{source}: line {_line(content, nul)} holds a NUL byte. Expected UTF-8 text; export it again."
        )
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{source}: line {_line(content, error.start)} is not UTF-8. Convert the file to UTF-8 where it is made."
        ) from error
    if not content.endswith(b"\n"):
        raise InputError(
            f"{source}: the last line has no line end, so the file may have been cut. "
            "Copy it again; if it is complete, add a line end."
        )


def _line(content: bytes, position: int) -> int:
    return content.count(b"\n", 0, position) + 1


def _header(content: bytes, source: str) -> tuple[str, ...]:
    text = content.removeprefix(BOM)
    first = text[: text.index(b"\n")].decode().rstrip("\r")
    try:
        columns = tuple(next(csv.reader(io.StringIO(first), strict=True), ()))
    except csv.Error as error:
        raise InputError(f"{source}: line 1 is not a header: {error}. Expected column names.") from error
    for separator, name in _OTHER_SEPARATORS.items():
        if len(columns) == 1 and separator in first:
            raise InputError(
                f"{source}: fields seem to be separated by {name}. Expected commas; export it with commas."
            )
    doubled = sorted(column for column, count in Counter(columns).items() if count > 1)
    if doubled and not {"application_id", "customer_id"} & set(columns):  # perhaps no header but a customer's values
        raise InputError(f"{source}: line 1 has equal fields, expected a header with each column once. Add the header.")
    if doubled:
        raise InputError(f"{source}: column {', '.join(map(repr, doubled))} appears twice. Expected each column once.")
    if any(not column.strip() for column in columns):
        number = [bool(column.strip()) for column in columns].index(False) + 1
        raise InputError(f"{source}: column {number} has no name. Expected a name in every column.")
    return columns


def _count_records(content: bytes, fields: int, source: str) -> int:
    records, start_fields = 0, 1
    for chunk in _chunks(content, source):
        ends = np.flatnonzero(chunk.line_feeds)
        found = np.diff(np.cumsum(chunk.commas)[ends], prepend=0) + 1
        if len(ends):
            found[0] += start_fields - 1
        wrong = np.flatnonzero(found != fields)
        if len(wrong):
            line = _line(content, chunk.start + int(ends[wrong[0]]))
            raise InputError(
                f"{source}: line {line} has {found[wrong[0]]} fields, expected {fields} as in the header. "
                "The file may have been cut, or a text with a comma is not quoted."
            )
        after = int(chunk.commas[ends[-1] :].sum()) if len(ends) else start_fields - 1 + int(chunk.commas.sum())
        records, start_fields = records + len(ends), after + 1
    return records - 1


@dataclass(frozen=True, slots=True)
class _Chunk:
    start: int
    commas: NDArray[np.bool_]
    line_feeds: NDArray[np.bool_]


def _chunks(content: bytes, source: str) -> Iterator[_Chunk]:
    """Yield the separators that stand outside quotes; refuse quotes and returns that do not belong where they are."""
    whole = np.frombuffer(content, dtype=np.uint8)
    first = len(BOM) if content.startswith(BOM) else 0
    inside, opened = 0, 0
    for start in range(first, len(whole), _CHUNK):
        part = whole[start : start + _CHUNK]
        quotes = part == _QUOTE
        after = (np.cumsum(quotes) + inside) & 1
        before = np.concatenate(
            [whole[start - 1 : start] if start > first else np.array([_LINE_FEED], dtype=np.uint8), part[:-1]]
        )
        behind = np.append(part[1:], whole[start + _CHUNK : start + _CHUNK + 1])
        behind = np.append(behind, np.full(len(part) - len(behind), _LINE_FEED, dtype=np.uint8))
        outside = after == 0
        opening, closing = quotes & ~outside, quotes & outside
        stray = opening & ~np.isin(before, (_COMMA, _LINE_FEED, _QUOTE))
        stray |= closing & ~np.isin(behind, (_COMMA, _LINE_FEED, _RETURN, _QUOTE))
        _refuse_first(stray, start, content, source, "a quote inside a field that is not quoted, or text behind it")
        lone = (part == _RETURN) & outside & (behind != _LINE_FEED)
        _refuse_first(lone, start, content, source, "a carriage return without a line feed")
        if opening.any():
            opened = start + int(np.flatnonzero(opening)[-1])
        inside = int(after[-1])
        yield _Chunk(start, (part == _COMMA) & outside, (part == _LINE_FEED) & outside)
    if inside:
        raise InputError(
            f"{source}: a quote opened on line {_line(content, opened)} is never closed. The file may have been cut."
        )


def _refuse_first(wrong: NDArray[np.bool_], start: int, content: bytes, source: str, what: str) -> None:
    if wrong.any():
        line = _line(content, start + int(np.flatnonzero(wrong)[0]))
        raise InputError(f"{source}: line {line} has {what}. Expected CSV as in RFC 4180; export the file again.")
