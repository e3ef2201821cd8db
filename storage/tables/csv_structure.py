"""Check that bytes are a complete, well-formed CSV file (RFC 4180, UTF-8) before anything parses them.

CSV readers forgive: Polars fills short rows with nulls, so a file that was cut in the middle of a line would be scored
with missing values. Here the file is refused, with the line. It is read piece by piece and never held as a whole.
"""

import csv
import io
from collections import Counter
from collections.abc import Generator, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from features.dialect import Dialect, likely_encoding, likely_separators, name_of
from features.errors import InputError

BOM = b"\xef\xbb\xbf"
MOST_RECORD_BYTES = 1 << 28
INDEX = "Unnamed: 0"  # a first column without a name, as pandas writes and reads its index
_QUOTE, _LINE_FEED, _RETURN = b'"\n\r'

Positions = NDArray[np.int64]


class CsvStructure:
    """Cuts the bytes of a CSV file into blocks of whole records, each of which was checked."""

    def __init__(self, source: str, dialect: Dialect = Dialect()) -> None:  # noqa: B008 - frozen
        """Begin a file; `source` names it in messages. Its text comes as UTF-8, whatever its encoding was."""
        self.columns: tuple[str, ...] = ()
        self.has_byte_order_mark = False
        self._source, self._dialect, self._separator = source, dialect, ord(dialect.separator)
        self._line = 1  # of the first byte that is not yet in a block

    def blocks(self, chunks: Iterable[bytes], line: int | None = None) -> Iterator[tuple[bytes, int]]:
        """Check encoding, header, quotes and number of fields; yield whole records and how many they are.

        The first block has no records; once it is there, `columns` is known. `line`: of what follows the header, where
        that is not the second of the file.

        Raises:
            InputError: the file is empty, cut, not UTF-8, has another separator, a doubled column or an uneven record;
                names the line.

        """
        rest, waiting = b"", 0
        for chunk in chunks:
            rest += chunk
            if not self.columns and b"\n" in chunk:
                rest = self._take_header(rest)
                self._line = line or self._line
                yield b"", 0
            if not self.columns or len(rest) < waiting:
                continue
            end = yield from self._checked(rest)
            rest, waiting = rest[end:], 2 * (len(rest) - end)  # a long record is not looked at again for each chunk
            if len(rest) > MOST_RECORD_BYTES:
                raise self._refused(0, rest, f"begins a record of more than {MOST_RECORD_BYTES >> 20} MB")
        if self.columns:
            rest = rest[(yield from self._checked(rest)) :]
        self._check_end(rest)

    def _checked(self, rest: bytes) -> Generator[tuple[bytes, int], None, int]:
        """Yield the whole records at the beginning of `rest`, if any; return where they end."""
        end, records = self._whole_records(rest)
        if records:
            self._check_text(rest[:end])
            yield rest[:end], records
            self._line += rest.count(b"\n", 0, end)
        return end

    def _check_end(self, rest: bytes) -> None:
        if not self.columns and not rest.removeprefix(BOM).strip():
            raise InputError(f"{self._source}: the file is empty. Expected CSV with a header line.")
        if not rest and self.columns:
            return
        self._check_text(rest)
        if not rest.endswith(b"\n"):
            raise InputError(
                f"{self._source}: the last line has no line end, so the file may have been cut. "
                "Copy it again; if it is complete, add a line end."
            )
        opening = np.flatnonzero(np.frombuffer(rest, dtype=np.uint8) == _QUOTE)[-1]
        raise InputError(
            f"{self._source}: a quote opened on line {self._line_of(rest, int(opening))} is never closed. "
            "The file may have been cut."
        )

    def _check_text(self, block: bytes) -> None:
        nul = block.find(b"\0")
        if nul >= 0:
            raise self._refused(nul, block, "holds a NUL byte. Expected UTF-8 text; export it again", ends=True)
        if block.isascii():
            return
        try:
            block.decode()
        except UnicodeDecodeError as error:
            what = (
                "is not UTF-8. Convert the file to UTF-8 where it is made, or declare its encoding: encoding = "
                '"latin-1" (or cp1252, utf-16 ...) under [csv] in the spec, or --encoding latin-1'
            )
            raise self._refused(error.start, block, what, ends=True) from error

    def _check_dialect(self, first: bytes, content: bytes) -> None:
        """Refuse another separator and another encoding at once: to hear of one after the other costs a second try."""
        others = _other_separators(first.decode("latin-1"), self._dialect.separator)
        encoding = likely_encoding(content)
        if others and encoding and b"\0" not in content:
            declare = "tab" if others[0] == "\t" else others[0]
            named = (name_of(others[0]), name_of(self._dialect.separator))
            raise InputError(
                f"{self._source}: fields seem to be separated by {named[0]}, and the text is not UTF-8. Export it as "
                f'UTF-8 with {named[1]}s, or declare both: separator = "{declare}" and encoding = "{encoding}" (or '
                f'another one) under [csv] in the spec, or --separator "{declare}" --encoding {encoding}.'
            )

    def _refused(self, position: int, block: bytes, what: str, *, ends: bool = False) -> InputError:
        advice = "" if ends else ". Expected CSV as in RFC 4180; export the file again"
        return InputError(f"{self._source}: line {self._line_of(block, position)} {what}{advice}.")

    def _line_of(self, block: bytes, position: int) -> int:
        return self._line + block.count(b"\n", 0, position)

    def _take_header(self, content: bytes) -> bytes:
        if not content.removeprefix(BOM).strip():
            raise InputError(f"{self._source}: the file is empty. Expected CSV with a header line.")
        first, rest = content.split(b"\n", 1)
        self._check_dialect(first, content)
        self._check_text(first)
        self.has_byte_order_mark = first.startswith(BOM)
        first = first.removeprefix(BOM)
        self._check_quotes(np.frombuffer(first + b"\n", dtype=np.uint8), first)
        self.columns = _header(first.decode().rstrip("\r"), self._source, self._dialect.separator)
        self._line = 2
        self._whole_records(rest)  # uneven records say more than names that are not those of the spec
        return rest

    def _whole_records(self, block: bytes) -> tuple[int, int]:
        """Return where the last whole record ends, and how many there are; refuse what is out of place."""
        content = np.frombuffer(block, dtype=np.uint8)
        quotes = self._check_quotes(content, block)
        separators = np.flatnonzero((content == self._separator) | (content == _LINE_FEED))
        if len(quotes):
            separators = separators[np.searchsorted(quotes, separators) % 2 == 0]
        if b"\r" in block:
            self._check_returns(content, quotes, block)
        ends = np.flatnonzero(content[separators] == _LINE_FEED)
        if len(ends) == 0:
            return 0, 0
        fields = np.diff(ends, prepend=-1)
        wrong = np.flatnonzero(fields != len(self.columns))
        if len(wrong):
            line = self._line_of(block, int(separators[ends[wrong[0]]]))
            raise InputError(
                f"{self._source}: line {line} has {fields[wrong[0]]} fields, expected {len(self.columns)} as in the "
                f"header. The file may have been cut, or a text with a {self._dialect.separator_name} is not quoted."
            )
        return int(separators[ends[-1]]) + 1, len(ends)

    def _check_quotes(self, content: NDArray[np.uint8], block: bytes) -> Positions:
        quotes = np.flatnonzero(content == _QUOTE)
        opening, closing = quotes[::2], quotes[1::2]
        opening = opening[opening > 0]  # a block begins with a record
        closing = closing[closing < len(content) - 1]
        stray = opening[~np.isin(content[opening - 1], (self._separator, _LINE_FEED, _QUOTE))]
        behind = closing[~np.isin(content[closing + 1], (self._separator, _LINE_FEED, _RETURN, _QUOTE))]
        if len(stray) or len(behind):
            first = int(min([*stray[:1], *behind[:1]]))
            raise self._refused(first, block, "has a quote inside a field that is not quoted, or text behind it")
        return quotes

    def _check_returns(self, content: NDArray[np.uint8], quotes: Positions, block: bytes) -> None:
        returns = np.flatnonzero(content[:-1] == _RETURN)
        lone = returns[(content[returns + 1] != _LINE_FEED) & (np.searchsorted(quotes, returns) % 2 == 0)]
        if len(lone):
            raise self._refused(int(lone[0]), block, "has a carriage return without a line feed")


def _other_separators(first: str, separator: str) -> list[str]:
    """List separators that a header line has instead of the declared one, likeliest first."""
    try:
        columns = next(csv.reader(io.StringIO(first), strict=True, delimiter=separator), [])
    except csv.Error:
        return []
    return likely_separators(first, separator) if len(columns) == 1 else []


def _header(first: str, source: str, separator: str) -> tuple[str, ...]:
    try:
        columns = tuple(next(csv.reader(io.StringIO(first), strict=True, delimiter=separator), ()))
    except csv.Error as error:
        raise InputError(f"{source}: line 1 is not a header: {error}. Expected column names.") from error
    others = _other_separators(first, separator)
    if others:
        declare = "tab" if others[0] == "\t" else others[0]
        wanted = {",": "commas"}.get(separator, f"{name_of(separator)}s, as declared")
        raise InputError(
            f"{source}: fields seem to be separated by {name_of(others[0])}. Expected {wanted}; export it so, or "
            f'declare it: separator = "{declare}" under [csv] in the spec, or --separator "{declare}".'
        )
    doubled = sorted(column for column, count in Counter(columns).items() if count > 1)
    if doubled and not {"application_id", "customer_id"} & set(columns):  # perhaps no header but a customer's values
        raise InputError(f"{source}: line 1 has equal fields, expected a header with each column once. Add the header.")
    if doubled:
        raise InputError(f"{source}: column {', '.join(map(repr, doubled))} appears twice. Expected each column once.")
    if columns and not columns[0] and all(column.strip() for column in columns[1:]) and INDEX not in columns:
        columns = (INDEX, *columns[1:])
    if any(not column.strip() for column in columns):
        number = [bool(column.strip()) for column in columns].index(False) + 1
        raise InputError(f"{source}: column {number} has no name. Expected a name in every column.")
    if not columns:
        raise InputError(f"{source}: line 1 is blank. Expected column names.")
    return columns
