"""Cells and attributes whose meaning was recorded before `features/cells`: tests/tables/cells_of_version_1.json."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl

from tests.hostile_cells import COLUMNS, INSTANTS, NUMBERS, TEXTS

TOKENS = ("_______", "", " n/a", "999", "12.5", "none", "-1")
ATTRIBUTES: dict[str, dict[str, object]] = {
    "number": {"kind": "number", "strip": "_", "missing_tokens": TOKENS, "minimum": -5000.0, "maximum": 1e6},
    "bare number": {"kind": "number"},
    "number, digits stripped": {"kind": "number", "strip": "_9", "missing_tokens": ("_99_",)},
    "number, strange tokens": {"kind": "number", "strip": "_", "missing_tokens": ("_5_", "nan", "1e2")},
    "integer": {"kind": "integer", "strip": "_*", "missing_tokens": TOKENS, "minimum": 0.0, "maximum": 100.0},
    "bare integer": {"kind": "integer"},
    "money": {"kind": "money", "strip": "_", "missing_tokens": TOKENS, "minimum": -0.29, "maximum": 35000.07},
    "bare money": {"kind": "money"},
    "duration": {"kind": "duration", "strip": "_", "missing_tokens": TOKENS, "minimum": 1.0, "maximum": 600.0},
    "bare duration": {"kind": "duration"},
    "category": {"kind": "category", "values": ("Bad", "Good", "1", "41", "true", "a, b"), "missing_tokens": TOKENS},
    "category, stripped": {"kind": "category", "values": ("Good", "5", "and x"), "strip": "_\u00e9"},
    "ordered": {"kind": "category", "values": ("Bad", "Good"), "ordered": True, "missing_tokens": ("Bad",)},
    "list": {"kind": "list", "values": ("mortgage", "car loan", "5", "and"), "missing_tokens": (*TOKENS, "a, b")},
    "text": {"kind": "text", "strip": "_", "missing_tokens": TOKENS},
}
_PARTS = [
    "1",
    "0",
    "9",
    "5",
    "41",
    ".",
    ".",
    "-",
    "+",
    "e",
    "E",
    "e-2",
    "e3",
    "_",
    "__",
    " ",
    "\t",
    ",",
    "00",
    "%",
    "$",
]
_WORDS = ["Years", "Year", " Years and ", "Months", " Month", "22", "3", " and ", ", ", "11", "12", " ", "0"]
_AROUND = ["\x1c", "\u2003", "\u3000", "\u00a0", "\x85", "\u2028", "\ufeff", "\u180e", "\x0b", "\x0c", "\x1f", "\n"]
_LISTS = ["mortgage", "car loan", "5", "and ", " and", ",", ", ", "and mortgage", " ", "x", "_", "Good", "Bad", "and"]


def corpus(rows: int = 700, seed: int = 1) -> list[str]:
    """Return cells: those seen somewhere, and invented ones of the pieces that the grammars look at; each once."""
    luck = random.Random(seed)  # noqa: S311 - no secret
    invented = [
        "".join(luck.choices(luck.choice([_PARTS, _PARTS, _WORDS, _LISTS]), k=luck.randint(1, 5))) for _ in range(rows)
    ]
    around = [a + cell + b for cell in ("5", "Good", "2 Years", "mortgage") for a in ["", *_AROUND] for b in _AROUND]
    usual = ["22 Years and 1 Months", "1 Year", "999", "999.0", "12.50", "1e2", "-1.0", "+41", "1.0", "_Good_", "Bad"]
    cells = [*NUMBERS.values(), *TEXTS.values(), *INSTANTS.values(), *usual, *invented, *around]
    return [cell for cell in dict.fromkeys(cells) if len(cell) < 1000]


def columns() -> dict[str, pl.Series]:
    """Return typed columns, with values at which spellings and types part."""
    odd = [0.0, -0.0, 1.0, 5.0, 0.1, 41.0, 999.0, 12.5, -1.0, 1e16, 1e22, 1e-7, 4e38, float("nan"), float("inf"), None]
    whole = [0, 1, 5, 41, 49, 99, 999, 1000, -1, -500, 2**53 + 1, None]
    cents = pl.Series(["0.00", "1.00", "5.10", "999.00", "41.0", None]).cast(pl.Decimal(18, 2))
    more = {
        "more floats": pl.Series(odd, dtype=pl.Float64),
        "more short floats": pl.Series(odd, dtype=pl.Float64).cast(pl.Float32),
        "more integers": pl.Series(whole),
        "more decimals": cents,
        "more booleans": pl.Series([True, False, None]),
        "more categories": pl.Series(["Good", " Bad", "999", None, "5"], dtype=pl.Categorical),
    }
    return {**COLUMNS, **more}


def record(read: Callable[[dict[str, object], pl.Series], list[Any]]) -> Iterator[tuple[str, str, list[Any]]]:
    """Yield, for each attribute, what `read` makes of all texts and each typed column: [value, cause] or an error."""
    for name, attribute in ATTRIBUTES.items():
        yield name, "texts", read(attribute, pl.Series(corpus()))
        for title, column in columns().items():
            yield name, title, read(attribute, column)


EVENT_COLUMNS = ("kind", "occurred_at", "amount")


def record_events(read: Callable[[str, pl.Series], list[Any]]) -> Iterator[tuple[str, str, list[Any]]]:
    """Yield the same for the columns of events."""
    luck = random.Random(2)  # noqa: S311 - no secret
    parts = [
        "2025-08-31",
        "T",
        " ",
        "10:00",
        "10:00:59",
        ".5",
        ".123456",
        ".1234560",
        "000",
        "Z",
        "+02:00",
        "-0530",
        "0",
    ]
    instants = ["".join(luck.choices(parts, k=luck.randint(1, 5))) for _ in range(300)]
    days = [
        f"{y}-{m:02}-{d:02}"
        for y in ("0000", "0001", "1970", "2000", "2100", "9999")
        for m in (2, 12)
        for d in (28, 29, 30)
    ]
    zones = [
        f"{day}T23:59:59{zone}"
        for day in ("1970-01-01", "2199-12-31", "0000-01-01", "9999-12-31")
        for zone in ("Z", "+23:59", "-23:59")
    ]
    kinds = ["salary", " salary", "salary\n", "note", "gift", "Salary"]
    for name in EVENT_COLUMNS:
        yield name, "texts", read(name, pl.Series([*corpus(), *dict.fromkeys([*instants, *days, *zones]), *kinds]))
        for title, column in columns().items():
            yield name, title, read(name, column)
