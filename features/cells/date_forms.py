"""The forms in which dates and instants are written, as a spec declares them: what each text means, and how it is said.

A form is codes of strptime, as in `%d.%m.%Y`, or a word: `iso`, or a count of days or seconds (`excel_days`). Nothing
is guessed: a text of another form has no meaning, and no form reads day and month in two orders.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from features.cells.day_counts import COUNTS, EPOCH_DAY, Clock, count_reader, count_writer, read_excel
from features.errors import SpecError

_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_MONTH_NUMBERS = {name[:3]: number for number, name in enumerate(_MONTHS, start=1)}
_NAMES = "|".join(name[:3] for name in _MONTHS)
_CODES = {
    "Y": r"([0-9]{4})",
    "y": r"([0-9]{2})",
    "m": r"([0-9]{1,2})",
    "d": r"([0-9]{1,2})",
    "b": rf"((?i:{_NAMES}))",
    "B": rf"((?i:{'|'.join(_MONTHS)}))",
    "H": r"([0-9]{1,2})",
    "I": r"([0-9]{1,2})",
    "M": r"([0-9]{2})",
    "S": r"([0-9]{2})",
    "f": r"([0-9]{1,9})",
    "p": r"((?i:[ap]m))",
    "z": r"(Z|[+-][0-9]{2}:?[0-9]{2})",
}
_ONE_OR_TWO = ("m", "d", "H", "I")
_SAME = {"y": "Y", "b": "m", "B": "m", "I": "H"}
_TOKEN = re.compile(r"%(.)|([^%])", re.DOTALL)
ISO = "iso"
_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])?)?"
).fullmatch


@dataclass(frozen=True, slots=True)
class DateForm:
    """`read` makes days since 1970 and the time of day of a text, or None; `write` makes the text of days since 1970.

    `shape` is the regular expression of its texts; empty where it has none.
    """

    text: str
    read: Callable[[str], tuple[int, Clock] | None]
    write: Callable[[int], str]
    shape: str = ""
    has_time: bool = False
    has_zone: bool = False
    is_count: bool = False
    two_digit_years: bool = False

    def has_shape(self, text: str) -> bool:
        """Tell whether a text has the form, be there such a day or not."""
        return bool(_matcher(self.shape)(text)) if self.shape else self.read(text) is not None


@lru_cache(maxsize=1024)
def _matcher(shape: str) -> Callable[[str], object]:
    return re.compile(shape).fullmatch


def iso_day(text: str) -> int | None:
    """Read `2026-01-31`, perhaps with a time behind it, as the day that is written: days since 1970.

    >>> iso_day("1970-01-02 23:59:00.000000")
    1
    """
    found = _ISO(text)
    return None if found is None else _day(int(found[1]), int(found[2]), int(found[3]))


def _day(year: int, month: int, day: int) -> int | None:
    try:
        return date(year, month, day).toordinal() - EPOCH_DAY
    except ValueError:  # no such day
        return None


def as_date(day: int) -> date:
    """Turn days since 1970 into a date of the years 1 to 9999."""
    return date.fromordinal(min(max(day + EPOCH_DAY, 1), date.max.toordinal()))


WORDS = (ISO, *COUNTS, "excel_days")


@lru_cache(maxsize=1024)  # more than a drafter tries on each column
def date_form(text: str, pivot: int | None = None) -> DateForm:
    """Return the form that a text declares. `pivot`: two-digit years from it on are of 1900, those below it of 2000.

    Raises:
        SpecError: it is none, or has two-digit years without a pivot; without the key.

    """
    if text == ISO:
        return DateForm(text, _iso_read, lambda day: as_date(day).isoformat())
    if text in COUNTS:
        start, per_day = COUNTS[text]
        in_utc = text.startswith("epoch")  # of SAS it is the clock on the wall
        read, write = count_reader(start, per_day, 0 if in_utc else None), count_writer(start, per_day)
        return DateForm(text, read, write, has_time=per_day > 1, has_zone=in_utc, is_count=True)
    if text == "excel_days":
        return DateForm(text, read_excel, count_writer(date(1899, 12, 30), 1), has_time=True, is_count=True)
    return _of_codes(text, pivot)


def _iso_read(text: str) -> tuple[int, Clock] | None:
    day = iso_day(text)
    return None if day is None else (day, (0, None))


def _of_codes(text: str, pivot: int | None) -> DateForm:
    tokens = [(match[1], match[2]) for match in _TOKEN.finditer(text)]
    codes = [code for code, _ in tokens if code]
    _check_codes(text, codes, pivot)
    shape = "".join(_pattern(tokens, i) for i in range(len(tokens)))
    pattern = re.compile(shape).fullmatch

    def read(cell: str) -> tuple[int, Clock] | None:
        found = pattern(cell)
        return None if found is None else _value(dict(zip(codes, found.groups(), strict=True)), pivot or 0)

    return DateForm(
        text=text,
        read=read,
        write=lambda day: _written(tokens, as_date(day)),
        shape=shape,
        has_time="H" in codes or "I" in codes,
        has_zone="z" in codes,
        is_count=all(code in "Ymd" for code in codes) and not any(letter for _, letter in tokens),
        two_digit_years="y" in codes,
    )


def _check_codes(text: str, codes: list[str], pivot: int | None) -> None:
    meant = [_SAME.get(code, code) for code in codes]
    known = all(code in _CODES for code in codes) and len(set(meant)) == len(meant)
    clock = [code for code in ("H", "M", "S", "f") if code in meant]
    whole = clock == ["H", "M", "S", "f"][: len(clock)] and len(clock) != 1 and ("I" in codes) == ("p" in codes)
    days = "Y" in meant and ("m" in meant or "d" not in meant) and ("d" in meant or not clock)
    if not (known and whole and days and ("z" not in meant or clock)) or text == "%Y-%d-%m":
        raise SpecError(
            f"expected a form of dates such as %d.%m.%Y, %m/%d/%Y, %Y%m%d, %b-%Y or %d%b%Y:%H:%M:%S, or one of "
            f"{', '.join(WORDS)}; found {text!r}."
        )
    if "y" in codes and pivot is None:
        raise SpecError(
            f"{text!r} has years of two digits. Declare which century they mean with pivot: with pivot = 30, 30 to 99 "
            "are 1930 to 1999, and 00 to 29 are 2000 to 2029."
        )


def _pattern(tokens: list[tuple[str | None, str | None]], at: int) -> str:
    code, letter = tokens[at]
    if not code:
        return re.escape(letter or "")
    beside = [tokens[i][0] for i in (at - 1, at + 1) if 0 <= i < len(tokens)]
    crowded = any(other and other not in "bBpz" for other in beside)
    return r"([0-9]{2})" if crowded and code in _ONE_OR_TWO else _CODES[code]


def _value(parts: dict[str, str], pivot: int) -> tuple[int, Clock] | None:
    year = int(parts["Y"]) if "Y" in parts else _century(int(parts["y"]), pivot)
    name = parts.get("b") or parts.get("B")
    month = _MONTH_NUMBERS[name[:3].lower()] if name else int(parts.get("m", 1))
    day, clock = _day(year, month, int(parts.get("d", 1))), _clock(parts)
    return None if day is None or clock is None else (day, clock)


def _century(year: int, pivot: int) -> int:
    return year + (1900 if year >= pivot else 2000)


def _clock(parts: dict[str, str]) -> Clock | None:
    hour, minute, second = (int(parts.get(code, 0)) for code in ("H", "M", "S"))
    if "I" in parts:
        twelve = int(parts["I"])
        if not 1 <= twelve <= 12:
            return None
        hour = twelve % 12 + (12 if parts["p"].lower() == "pm" else 0)
    fraction = parts.get("f", "").ljust(9, "0")
    if hour > 23 or minute > 59 or second > 59 or fraction[6:].strip("0"):
        return None
    micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + int(fraction[:6])
    return micros, _offset(parts["z"]) if "z" in parts else None


def _offset(text: str) -> int:
    if text == "Z":
        return 0
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return -minutes if text[0] == "-" else minutes


def _written(tokens: list[tuple[str | None, str | None]], day: date) -> str:
    name = _MONTHS[day.month - 1].capitalize()
    words = {"Y": f"{day.year:04}", "y": f"{day.year % 100:02}", "m": f"{day.month:02}", "d": f"{day.day:02}"}
    words |= {"b": name[:3], "B": name, "H": "00", "I": "12", "M": "00", "S": "00", "f": "000000", "p": "AM", "z": "Z"}
    return "".join(words[code] if code else letter or "" for code, letter in tokens)


def example_of(form: DateForm) -> str:
    """Say the day 2026-12-31 in a form: an example that is nobody's."""
    return form.write(date(2026, 12, 31).toordinal() - EPOCH_DAY)
