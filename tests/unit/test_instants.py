"""Text to instants, against Python's own datetime."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.cells.instants import instant
from tests.unit.test_values import all_ways


def read_instants(column: pl.Series) -> list[tuple[Any, str | None]]:
    table = pl.DataFrame({"x": column})
    return all_ways(table, instant("applications", "x", table.schema["x"]))


moments = st.datetimes(datetime(1970, 1, 2), datetime(2199, 12, 30))  # noqa: DTZ001 - zones are added below

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(moments, st.integers(-12 * 60, 14 * 60))
def test_instants_agree_with_datetime_in_every_form(moment: datetime, offset: int) -> None:
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    expected = [((zoned - EPOCH) // timedelta(microseconds=1), None)]
    assert read_instants(pl.Series([zoned.isoformat()])) == expected
    assert read_instants(pl.Series([zoned.isoformat(sep=" ")])) == expected
    utc = zoned.astimezone(UTC)
    assert read_instants(pl.Series([utc.replace(tzinfo=None).isoformat() + "Z"])) == expected
    for unit in ("us", "ns"):
        assert read_instants(pl.Series([utc], dtype=pl.Datetime(unit, "UTC"))) == expected
        berlin = pl.Series([utc], dtype=pl.Datetime(unit, "UTC")).dt.convert_time_zone("Europe/Berlin")
        assert read_instants(berlin) == expected


@given(st.dates(date(1970, 1, 1), date(2199, 12, 31)))
def test_a_date_means_midnight_utc(day: date) -> None:
    expected = [((day - date(1970, 1, 1)).days * 86_400_000_000, None)]
    assert read_instants(pl.Series([day.isoformat()])) == expected
    assert read_instants(pl.Series([day])) == expected
    assert read_instants(pl.Series([day]).cast(pl.Datetime("ms"))) == expected


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("2023-02-29", "unreadable"),
        ("2024-02-30T00:00:00Z", "unreadable"),
        ("2024-13-01", "unreadable"),
        ("2024-01-01T24:00:00", "unreadable"),
        ("2024-01-01T23:59:60", "unreadable"),
        ("2024-01-01T00:00:00.1234567", "unreadable"),
        ("01/02/2024", "unreadable"),
        ("1704067200", "unreadable"),
        ("2024-01-01T00:00:00+25:00", "unreadable"),
        ("1969-12-31", "out_of_range"),
        ("1970-01-01T00:00:00+01:00", "out_of_range"),
        ("2200-01-01", "out_of_range"),
        ("", "missing"),
        ("  ", "missing"),
    ],
)
def test_instants_that_are_none(text: str, cause: str) -> None:
    assert read_instants(pl.Series([text])) == [(None, cause)]


def test_nanoseconds_that_are_no_microseconds_are_unreadable() -> None:
    assert read_instants(pl.Series([1_000, 1_001]).cast(pl.Datetime("ns"))) == [(1, None), (None, "unreadable")]
    assert read_instants(pl.Series(["2024-01-01T00:00:00.123456000"])) == [(1704067200123456, None)]


def test_milliseconds_far_out_do_not_wrap_into_the_range() -> None:
    wraps = (2**64 // 1000) + 10
    assert read_instants(pl.Series([wraps]).cast(pl.Datetime("ms"))) == [(None, "out_of_range")]
