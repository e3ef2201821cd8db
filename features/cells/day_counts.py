"""Counts of days and seconds from a declared start: of programs since 1970, of SAS since 1960, and of spreadsheets."""

import re
from collections.abc import Callable
from datetime import date

DAY_US = 86_400_000_000
EPOCH_DAY = date(1970, 1, 1).toordinal()
_COUNT = re.compile(r"([+-]?[0-9]{1,15})(?:\.([0-9]{1,15}))?").fullmatch
_EXCEL_LEAP_DAY = 60  # 1900-02-29, which never was

Clock = tuple[int, int | None]
"""Microseconds since midnight, and minutes east of UTC (None where the text does not say)."""


def count_reader(start: date, per_day: int, offset: int | None) -> Callable[[str], tuple[int, Clock] | None]:
    """Return what reads counts of `per_day` units a day since `start`; `offset`: minutes east of UTC, if known."""
    first = start.toordinal() - EPOCH_DAY

    def read(text: str) -> tuple[int, Clock] | None:
        found = _COUNT(text)
        if found is None or (found[2] and found[2].strip("0")):
            return None
        days, rest = divmod(int(found[1]), per_day)
        return first + days, (rest * (DAY_US // per_day), offset)

    return read


def read_excel(text: str) -> tuple[int, Clock] | None:
    """Read a serial number of a spreadsheet; its decimals are a time of day, to the second."""
    found = _COUNT(text)
    if found is None or not 0 < int(found[1]) != _EXCEL_LEAP_DAY:
        return None
    first = date(1899, 12, 30 if int(found[1]) > _EXCEL_LEAP_DAY else 31).toordinal() - EPOCH_DAY
    seconds = round(float(f"0.{found[2] or 0}") * 86_400)
    return first + int(found[1]) + seconds // 86_400, (seconds % 86_400 * 1_000_000, None)


def count_writer(start: date, per_day: int) -> Callable[[int], str]:
    """Return what writes days since 1970 as such a count."""
    first = start.toordinal() - EPOCH_DAY
    return lambda day: str((day - first) * per_day)


COUNTS = {
    "epoch_days": (date(1970, 1, 1), 1),
    "epoch_seconds": (date(1970, 1, 1), 86_400),
    "epoch_milliseconds": (date(1970, 1, 1), 86_400_000),
    "sas_days": (date(1960, 1, 1), 1),
    "sas_seconds": (date(1960, 1, 1), 86_400),
}
