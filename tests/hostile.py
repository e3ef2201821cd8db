"""A battery of hostile inputs, each a kind of file or cell that was seen somewhere, with what becomes of it.

`python -m tests.hostile > docs/hostile-input.md` writes the table; a test keeps it current.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl

from batch.job import BatchJob, run_batch
from features.errors import CreditError
from features.spec_file import parse_spec
from model_export.export import export
from recipes.synthetic import synthetic
from scoring.scorer import Scorer
from training.data import TrainingData
from training.fit import ModelKind
from training.run import train

APPLICATION = {
    "application_id": "A1",
    "customer_id": "C1",
    "as_of": "2025-06-30",
    "age": "41",
    "annual_income": "30000.50",
    "occupation": "nurse",
    "credit_history": "10 Years and 3 Months",
    "credit_utilisation": "12.5",
    "credit_enquiries": "2",
    "credit_mix": "Good",
    "outstanding_debt": "1000",
    "loans": "mortgage",
}
EVENT = {"customer_id": "C1", "occurred_at": "2025-06-01", "kind": "salary", "amount": "2500.00", "recorded_at": ""}

NUMBERS = {
    "decimal comma": "1.234,56",
    "thousands commas": "1,234.56",
    "thousands spaces": "1 234.56",
    "thousands apostrophes": "1'234.56",
    "thousands underscores": "1_234",
    "full-width digits": "１２",  # noqa: RUF001
    "Arabic digits": "١٢",
    "superscript": "1²",
    "a fraction sign": "½",
    "an infinity sign": "∞",
    "exponent": "1E+02",
    "exponent without digits": "1e",
    "only an exponent": "e5",
    "exponent beyond float": "1e400",
    "exponent below float": "1e-400",
    "exponent of 10 digits": "1e9999999999",
    "exponent of 20 digits": "1e99999999999999999999",
    "hexadecimal": "0x1F",
    "octal": "0o17",
    "NaN": "NaN",
    "minus nan": "-nan",
    "inf": "inf",
    "Infinity": "-Infinity",
    "minus zero": "-0",
    "plus": "+5",
    "two signs": "--5",
    "sign behind": "5-",
    "accounting negative": "(5)",
    "currency sign": "$5",
    "currency behind": "5 EUR",
    "percent": "5%",
    "only a sign": "-",
    "only a point": ".",
    "two points": "1.2.3",
    "no digit before the point": ".5",
    "no digit behind the point": "5.",
    "400 digits": "9" * 400,
    "400 zeros in front": "0" * 400 + "5",
    "50 decimals": "0." + "1" * 50,
    "a date": "2023-01-01",
    "a time": "12:30",
    "true": "true",
    "boolean and a number": "1 true",
}
TEXTS = {
    "NULL": "NULL",
    "None": "None",
    "N/A": "N/A",
    "\\N": "\\N",
    "a spreadsheet error": "#REF!",
    "division by zero": "#DIV/0!",
    "a formula": "=1+1",
    "a command formula": "+cmd|' /C calc'!A0",
    "an at formula": "@SUM(A1)",
    "SQL": "'; DROP TABLE applications; --",
    "HTML": "<script>alert(1)</script>",
    "a path": "../../etc/passwd",
    "a format string": "%s%n{0}",
    "a template": "{{7*7}}",
    "JSON": '{"a": [1]}',
    "a quote": 'a"b',
    "two quotes": '""',
    "a comma": "a,b",
    "a line feed": "a\nb",
    "carriage return and line feed": "a\r\nb",
    "a tab": "a\tb",
    "a backslash": "\\",
    "spaces around": "  5  ",
    "only spaces": "    ",
    "a no-break space": "5\u00a0",
    "a zero-width space": "\u200b5",
    "a byte order mark": "\ufeff5",
    "a right-to-left mark": "\u202e5",
    "a line separator": "a\u2028b",
    "a next-line character": "5\x85",
    "control character 1": "\x01",
    "delete": "\x7f",
    "an emoji": "😀",
    "combining marks": "e\u0301\u0301\u0301",
    "another normal form": "Cafe\u0301",
    "a private-use character": "\ue000",
    "the last code point": "\U0010ffff",
    "10,000 characters": "x" * 10_000,
    "a million characters": "y" * 1_000_000,
    "underscores": "_______",
    "garble": "!@9#%8",
    "underscored number": "__10000__",
    "a huge negative": "__-333333333333333333333333333__",
    "a duration in words": "two years",
    "half a duration": "2 Years and",
    "another category": "Superb",
    "a category in capitals": "GOOD",
    "a list with an end": "mortgage,",
    "a list of strangers": "mortgage, yacht",
}
INSTANTS = {
    "day first": "31/08/2025",
    "month first": "08/31/2025",
    "points": "31.08.2025",
    "no separators": "20250831",
    "a week": "2025-W35-1",
    "an ordinal day": "2025-243",
    "seconds since 1970": "1756598400",
    "a spreadsheet day": "45900",
    "no such day": "2025-02-30",
    "no such month": "2025-13-01",
    "24 o'clock": "2025-08-31T24:00:00",
    "a leap second": "2025-06-30T23:59:60Z",
    "nanoseconds": "2025-08-31T00:00:00.123456789Z",
    "a zone by name": "2025-08-31 00:00 Europe/Berlin",
    "an offset of 25 hours": "2025-08-31T00:00:00+25:00",
    "a small t and z": "2025-08-31t00:00:00z",
    "two digits of a year": "25-08-31",
    "year 0": "0000-01-01",
    "year 10000": "10000-01-01",
    "before 1970": "1969-12-31",
    "2200": "2200-01-01",
    "only a time": "12:30:00",
    "a word": "today",
}
MOMENT = datetime(2025, 6, 1, tzinfo=UTC)
COLUMNS: dict[str, pl.Series] = {
    "Int8": pl.Series([41], dtype=pl.Int8),
    "Int64": pl.Series([41]),
    "the largest Int64": pl.Series([2**63 - 1]),
    "the largest UInt64": pl.Series([2**64 - 1], dtype=pl.UInt64),
    "Int128": pl.Series([2**100], dtype=pl.Int128),
    "Float32": pl.Series([0.1], dtype=pl.Float32),
    "Float64": pl.Series([30000.5]),
    "Float64 NaN": pl.Series([float("nan")]),
    "Float64 infinity": pl.Series([float("inf")]),
    "Float64 minus zero": pl.Series([-0.0]),
    "Decimal(38, 0)": pl.Series([Decimal(41)], dtype=pl.Decimal(38, 0)),
    "Decimal(18, 2)": pl.Series([Decimal("41.00")], dtype=pl.Decimal(18, 2)),
    "Decimal(38, 30)": pl.Series([Decimal("0.1")], dtype=pl.Decimal(38, 30)),
    "Boolean": pl.Series([True]),
    "Date": pl.Series([date(2025, 6, 1)]),
    "Datetime ms": pl.Series([MOMENT], dtype=pl.Datetime("ms", "UTC")),
    "Datetime us": pl.Series([MOMENT], dtype=pl.Datetime("us")),
    "Datetime ns, New York": pl.Series([MOMENT], dtype=pl.Datetime("ns", "UTC")).dt.convert_time_zone(
        "America/New_York"
    ),
    "Time": pl.Series([time(12)]),
    "Duration": pl.Series([timedelta(days=1)]),
    "Binary": pl.Series([b"A1"]),
    "Null": pl.Series([None], dtype=pl.Null),
    "Categorical": pl.Series(["Good"], dtype=pl.Categorical),
    "Enum": pl.Series(["Good"], dtype=pl.Enum(["Good"])),
    "List of text": pl.Series([["mortgage", "car loan"]]),
    "List of numbers": pl.Series([[1, 2]]),
    "List without members": pl.Series([[]], dtype=pl.List(pl.String)),
    "Array": pl.Series([[1, 2]], dtype=pl.Array(pl.Int64, 2)),
    "Struct": pl.Series([{"a": 1}]),
}
TYPED = {
    "applications": (
        "application_id",
        "as_of",
        "age",
        "annual_income",
        "credit_mix",
        "loans",
    ),
    "events": ("occurred_at", "kind", "amount"),
}
STRUCTURES: dict[str, Callable[[str], bytes]] = {
    "no bytes": lambda _: b"",
    "only line ends": lambda _: b"\n\n\n",
    "only a byte order mark": lambda _: b"\xef\xbb\xbf",
    "only a header": lambda t: t.split("\n")[0].encode() + b"\n",
    "a header without a line end": lambda t: t.split("\n")[0].encode(),
    "no header": lambda t: t.split("\n", 1)[1].encode(),
    "a byte order mark": lambda t: b"\xef\xbb\xbf" + t.encode(),
    "UTF-16": lambda t: t.encode("utf-16"),
    "UTF-32": lambda t: t.encode("utf-32"),
    "Latin-1": lambda t: (t + "Müller" + "," * 11 + "\n").encode("latin-1"),
    "a lone surrogate": lambda t: t.encode() + b"\xed\xa0\x80" + b"," * 11 + b"\n",
    "an overlong character": lambda t: t.encode() + b"\xc0\xaf" + b"," * 11 + b"\n",
    "a NUL": lambda t: t.encode() + b"\0" + b"," * 11 + b"\n",
    "CRLF": lambda t: t.replace("\n", "\r\n").encode(),
    "CR": lambda t: t.replace("\n", "\r").encode(),
    "mixed line ends": lambda t: t.replace("\n", "\r\n", 1).encode(),
    "a blank line inside": lambda t: t.replace("\n", "\n\n", 1).encode(),
    "a blank line at the end": lambda t: t.encode() + b"\n",
    "cut in a field": lambda t: t.encode()[:-3],
    "cut in a line": lambda t: t.encode()[:-30] + b"\n",
    "a field too few": lambda t: t.encode() + b"a,b,c\n",
    "a field too many": lambda t: t.encode() + b"," * 12 + b"\n",
    "an open quote": lambda t: t.encode() + b'"' + b"," * 11 + b"\n",
    "a quote inside": lambda t: t.encode() + b'a"b' + b"," * 11 + b"\n",
    "text behind a quote": lambda t: t.encode() + b'"a"b' + b"," * 11 + b"\n",
    "quoted cells": lambda t: (
        "\n".join(",".join(f'"{c}"' for c in r.split(",")) for r in t.strip().split("\n")).encode() + b"\n"
    ),
    "single quotes": lambda t: (
        "\n".join(",".join(f"'{c}'" for c in r.split(",")) for r in t.strip().split("\n")).encode() + b"\n"
    ),
    "semicolons": lambda t: t.replace(",", ";").encode(),
    "tabs": lambda t: t.replace(",", "\t").encode(),
    "bars": lambda t: t.replace(",", "|").encode(),
    "spaces behind commas": lambda t: t.replace(",", ", ").encode(),
    "a doubled column": lambda t: t.replace("age", "occupation", 1).encode(),
    "a column in capitals": lambda t: t.replace("age", "AGE", 1).encode(),
    "a column missing": lambda t: "\n".join(r.split(",", 1)[1] for r in t.strip().split("\n")).encode() + b"\n",
    "a column without name": lambda t: t.replace("age", "", 1).encode(),
    "a column more": lambda t: "\n".join(r + ",1" for r in t.strip().split("\n")).encode() + b"\n",
    "10,000 columns more": lambda t: wide(t, 10_000),
    "a comment in front": lambda t: b"# export\n" + t.encode(),
    "sep= in front": lambda t: b"sep=,\n" + t.encode(),
    "a total at the end": lambda t: t.encode() + b"TOTAL" + b"," * 11 + b"\n",
    "the header again": lambda t: t.encode() + t.split("\n")[0].encode() + b"\n",
    "every row twice": lambda t: t.encode() + t.split("\n", 1)[1].encode(),
    "a zip file": lambda _: b"PK\x03\x04" + bytes(100),
    "gzip": lambda _: b"\x1f\x8b\x08" + bytes(100),
    "a spreadsheet's XML": lambda _: b'<?xml version="1.0"?>\n<Workbook/>\n',
    "JSON lines": lambda _: b'{"application_id": "A1"}\n',
    "Parquet named CSV": lambda _: b"PAR1" + bytes(100) + b"PAR1",
}


def wide(text: str, more: int) -> bytes:
    header, *rows = text.strip().split("\n")
    names = ",".join(f"x{i}" for i in range(more))
    return ("\n".join([f"{header},{names}", *[row + "," * more for row in rows]]) + "\n").encode()


@dataclass(frozen=True)
class Case:
    """A hostile input: `write` puts it beside a good applications and events file and says what to score."""

    group: str
    name: str
    write: Callable[[Path], dict[str, Path]]


def table(row: dict[str, str], **cells: str) -> pl.DataFrame:
    good = {**row, **({"application_id": "A2", "customer_id": "C2"} if "application_id" in row else {})}
    return pl.DataFrame([{**row, **cells}, good] if "application_id" in row else [{**row, **cells}])


def cell_case(group: str, which: str, column: str, name: str, value: str) -> Case:
    def write(folder: Path) -> dict[str, Path]:
        path = folder / f"{which}.csv"
        table(APPLICATION if which == "applications" else EVENT, **{column: value}).write_csv(path)
        return {which: path}

    return Case(group, f"{column}: {name}", write)


def typed_case(which: str, column: str, name: str, values: pl.Series) -> Case:
    def write(folder: Path) -> dict[str, Path]:
        path = folder / f"{which}.parquet"
        row = APPLICATION if which == "applications" else EVENT
        pl.DataFrame([row]).with_columns(values.alias(column)).write_parquet(path)
        return {which: path}

    return Case("Parquet types", f"{which}.{column}: {name}", write)


def structure_case(name: str, change: Callable[[str], bytes]) -> Case:
    def write(folder: Path) -> dict[str, Path]:
        path = folder / "applications.csv"
        path.write_bytes(change(table(APPLICATION).write_csv()))
        return {"applications": path}

    return Case("CSV files", name, write)


CELLS: list[tuple[str, str, str, dict[str, str]]] = [
    ("cells of a number", "applications", "credit_utilisation", NUMBERS),
    ("cells of money", "applications", "annual_income", NUMBERS),
    ("cells of an integer", "applications", "age", NUMBERS),
    ("cells of a category", "applications", "credit_mix", TEXTS),
    ("cells of a duration", "applications", "credit_history", TEXTS),
    ("cells of a list", "applications", "loans", TEXTS),
    ("identifiers", "applications", "application_id", TEXTS),
    ("identifiers", "applications", "customer_id", TEXTS),
    ("instants", "applications", "as_of", INSTANTS),
    ("instants", "events", "occurred_at", INSTANTS),
    ("instants", "events", "recorded_at", INSTANTS),
    ("amounts of events", "events", "amount", NUMBERS),
    ("kinds of events", "events", "kind", TEXTS),
]


def cases() -> Iterator[Case]:
    for group, which, column, cells in CELLS:
        yield from (cell_case(group, which, column, name, value) for name, value in cells.items())
    yield from (structure_case(name, change) for name, change in STRUCTURES.items())
    for which, columns in TYPED.items():
        for column in columns:
            yield from (typed_case(which, column, name, values) for name, values in COLUMNS.items())


def outcome(case: Case, scorer: Scorer, folder: Path) -> str:
    """Score the case: a decision (with what became missing), a named reject, or a named refusal."""
    paths = {"applications": folder / "good-applications.csv", "events": folder / "good-events.csv"}
    table(APPLICATION).write_csv(paths["applications"])
    table(EVENT).write_csv(paths["events"])
    paths |= case.write(folder)
    job = BatchJob(
        applications=paths["applications"], events=paths["events"], out=folder / "decisions.csv", max_reject_share=1
    )
    try:
        run = run_batch(job, scorer)
    except CreditError as error:
        return f"refused: {' '.join(str(error).replace(str(folder) + '/', '').split('. ')[0].split())}"[:150]
    if run["applications"] != run["decisions"] + run["rejected_applications"]:
        raise AssertionError(run)
    if run["rejects_by_code"]:
        return "rejected: " + ", ".join(run["rejects_by_code"])
    dirt = {f"{d['column']} {d['cause']}" for d in run["dirt"]}
    return "decided" + (f", counted as missing: {', '.join(sorted(dirt))}" if dirt else "")


def document(outcomes: dict[tuple[str, str], str]) -> str:
    lines = [
        "# Hostile input",
        "",
        f"What becomes of {len(outcomes)} kinds of bad files and cells: a decision (what cannot be used is missing and",
        "counted), a named reject, or a named refusal of the file. `python -m tests.hostile` writes, a test runs it.",
    ]
    group = ""
    for (of, name), result in outcomes.items():
        if of != group:
            group = of
            lines += ["", f"## {group[0].upper()}{group[1:]}", "", "| input | outcome |", "| --- | --- |"]
        lines.append(f"| {escaped(name)} | {escaped(result)} |")
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")


def run_all(scorer: Scorer) -> dict[tuple[str, str], str]:
    results = {}
    for case in cases():
        with tempfile.TemporaryDirectory() as folder:
            results[case.group, case.name] = outcome(case, scorer, Path(folder))
    return results


def main() -> None:
    dataset = synthetic(300, seed=7)
    spec = parse_spec(dataset.spec_text)
    trained = train(TrainingData(dataset.applications, dataset.events, dataset.labels), spec, ModelKind.DECISION_TREE)
    with tempfile.TemporaryDirectory() as folder:
        scorer = Scorer.open(export(trained, Path(folder)))
        sys.stdout.write(document(run_all(scorer)))


if __name__ == "__main__":
    main()
