"""Cells of the forms that programs write, read one by one in Python: for a few rows several times as fast as Polars.

Each reader takes one text and returns the very value that the stages of its column make of it, or why there is none, or
UNCERTAIN for every form it does not know: those cells go through the stages. So the stages stay the one definition of
what a cell means; the tests hold the readers to it, cell by cell.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from features.history import Int64s
from features.reading import MISSING, MISSING_TOKEN, NOT_WHOLE, OUT_OF_RANGE, UNCERTAIN, Plain, Unusable
from features.text_values import MOST_MINOR_UNITS, PLAIN_MONTHS, PLAIN_NUMBER, plain_money_form

_MISSING, _TOKEN, _NOT_WHOLE, _OUTSIDE = map(Unusable, (MISSING, MISSING_TOKEN, NOT_WHOLE, OUT_OF_RANGE))
_is_number, _in_words = re.compile(PLAIN_NUMBER).fullmatch, re.compile(PLAIN_MONTHS).fullmatch
_is_printable = re.compile(r"[!-~](?:[ -~]*[!-~])?").fullmatch
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL_EPOCH = _EPOCH.replace(tzinfo=None)
_MICROSECOND = timedelta(microseconds=1)

_UTC = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?Z?)?"


def _all_match(form: str) -> Callable[[str], object]:
    """Return what tells whether each line of a text has a form, which must not match line ends."""
    return re.compile(rf"{form}(?:\n{form})*").fullmatch


_all_utc = _all_match(_UTC)


def _lines(cells: Sequence[str | None]) -> str:
    """Join texts; where one is null there is no text, which has none of the forms."""
    try:
        return "\n".join(cells)  # type: ignore[arg-type]
    except TypeError:
        return ""


Parse = Callable[[str], float | int | None]


def parse_number(text: str) -> float | None:
    """Parse decimal text to the nearest float."""
    return float(text) if _is_number(text) else None


def parse_months(text: str) -> float | None:
    """Parse `22 Years and 1 Months`, or a number, to months."""
    words = _in_words(text)
    return float(int(words[1]) * 12 + int(words[2])) if words else parse_number(text)


def parse_money(digits: int) -> Parse:
    """Return what parses decimal text to minor units, exactly."""
    match, powers = re.compile(plain_money_form(digits)).fullmatch, [int(10**n) for n in range(digits + 1)]

    def parse(text: str) -> int | None:
        if not match(text):
            return None
        whole, _, decimals = text.partition(".")
        return int(whole + decimals) * powers[digits - len(decimals)]

    return parse


def plain_amount(digits: int) -> Plain:
    """Read amounts of events to Int64 minor units."""
    parse = parse_money(digits)

    def read(cell: str) -> object:
        value = parse(cell)
        if value is None:
            return UNCERTAIN if cell else _MISSING
        return value if -MOST_MINOR_UNITS <= value <= MOST_MINOR_UNITS else _OUTSIDE

    decimals = rf"\.[0-9]{{{digits}}}" if digits else ""
    all_match = _all_match(rf"-?[0-9]{{1,12}}{decimals}")

    def whole(cells: Sequence[str | None]) -> Int64s | None:
        text = _lines(cells)
        if not all_match(text):
            return None
        values = np.fromstring(text.replace(".", ""), dtype=np.int64, sep="\n")
        fits = len(values) == len(cells) and max(values.max(), -values.min()) <= MOST_MINOR_UNITS
        return values if fits else None

    return Plain(pl.Int64(), read, whole)


def plain_instant(form: str, first: int, end: int) -> Plain:
    """Read instants of an ISO 8601 form to Int64 microseconds from `first` up to `end` (exclusive)."""
    match, from_text = re.compile(form).fullmatch, datetime.fromisoformat

    def read(cell: str) -> object:
        if not match(cell):
            return UNCERTAIN if cell else _MISSING
        try:
            moment = from_text(cell)
        except ValueError:  # no such day
            return UNCERTAIN
        value = (moment - (_LOCAL_EPOCH if moment.tzinfo is None else _EPOCH)) // _MICROSECOND
        return value if first <= value < end else _OUTSIDE

    def whole(cells: Sequence[str | None]) -> Int64s | None:
        text = _lines(cells)
        if not _all_utc(text):
            return None
        try:
            values = np.array(text.replace("Z", "").split("\n"), dtype="datetime64[us]").view(np.int64)
        except ValueError:  # no such day
            return None
        fits = len(values) == len(cells) and first <= values.min() and values.max() < end
        return values if fits else None

    return Plain(pl.Int64(), read, whole)


def plain_kind(indices: dict[str, int]) -> Plain:
    """Read kinds of events to their index."""
    known: dict[str, object] = {"": _MISSING, **indices}

    def whole(cells: Sequence[str | None]) -> Int64s | None:
        try:
            return np.array(list(map(indices.__getitem__, cells)), dtype=np.int64)  # type: ignore[arg-type]
        except KeyError:
            return None

    return Plain(pl.Int64(), lambda cell: known.get(cell, UNCERTAIN), whole)


def plain_category(values: list[str], tokens: frozenset[str]) -> Plain:
    """Take the known values as they are; `tokens` mean that the value is missing."""
    known: dict[str, object] = {"": _MISSING, **dict.fromkeys(tokens, _TOKEN), **{value: value for value in values}}
    return Plain(pl.String(), lambda cell: known.get(cell, UNCERTAIN))


def plain_text(tokens: frozenset[str], strip: str) -> Plain:
    """Take printable ASCII as it is, if nothing stands around it that might be stripped."""
    known: dict[str, object] = {"": _MISSING, **dict.fromkeys(tokens, _TOKEN)}

    def read(cell: str) -> object:
        bare = _is_printable(cell) and cell[0] not in strip and cell[-1] not in strip
        return known.get(cell, cell if bare else UNCERTAIN)

    return Plain(pl.String(), read)


def plain_list(values: list[str], tokens: frozenset[str]) -> Plain:
    """Split `A, B, and C` where each member is a known value."""
    known, one_by_one = {value: value for value in values}, not any("," in token for token in tokens)
    alone = plain_category(values, tokens).read

    def read(cell: str) -> object:
        members = cell.split(",")
        if len(members) == 1 or not one_by_one:
            value = alone(cell)
            return [value] if type(value) is str else value
        parts = [known.get(member.strip(" ").removeprefix("and ").strip(" ")) for member in members]
        return UNCERTAIN if None in parts else parts

    return Plain(pl.List(pl.String()), read)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a number must keep to: `most` in size, whole, none of `tokens`, from `low` to `high`; looked at in order."""

    most: float
    whole: bool
    tokens: frozenset[float]
    low: float
    high: float

    def judge(self, value: float) -> object:
        """Return the value, or what makes it unusable."""
        if abs(value) > self.most:
            return _OUTSIDE
        if self.whole and not value.is_integer():
            return _NOT_WHOLE
        if value in self.tokens:
            return _TOKEN
        return value if self.low <= value <= self.high else _OUTSIDE


def plain_quantity(dtype: pl.DataType, parse: Parse, limits: Limits, tokens: frozenset[str], around: str) -> Plain:
    """Read numbers, about which characters of `around` may stand; `tokens` mean that the value is missing."""
    judge = limits.judge

    def read(cell: str) -> object:
        value = parse(cell.strip(around) if around else cell)
        if cell in tokens:
            return _TOKEN
        if value is None:
            return UNCERTAIN if cell else _MISSING
        return judge(value)

    return Plain(dtype, read)
