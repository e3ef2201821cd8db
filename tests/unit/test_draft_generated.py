"""Lenders made by chance: whatever their columns hold, the draft names each cell that it loses and each column."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.draft import Draft, Tables, draft_spec
from features.matrix import build_features
from features.spec.file import parse_spec
from tests.conftest import Credit

Generator = np.random.Generator
ROWS = 160
NO_EVENTS = pl.DataFrame(schema=dict.fromkeys(("customer_id", "occurred_at", "kind", "amount"), pl.String))


MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
POINTS = str.maketrans(",.", ".,")


def _days(g: Generator) -> tuple[Any, Any, Any]:
    return g.integers(1, 13, ROWS), g.integers(1, 29, ROWS), g.integers(1990, 2020, ROWS)


def _texts(values: np.ndarray[Any, Any], form: str) -> list[str]:
    return [form.format(value) for value in values]


COLUMNS: dict[str, Callable[[Generator], Any]] = {
    "counts": lambda g: g.poisson(0.2, ROWS),
    "counts_with_codes": lambda g: [*g.poisson(1, ROWS - 12).tolist(), *[96] * 5, *[98] * 7],
    "bureau": lambda g: [*g.integers(300, 850, ROWS - 9).tolist(), -9, -9, -9, -8, -8, -8, -7, -7, -7],
    "income": lambda g: g.lognormal(9, 1, ROWS).round(2),
    "dollars": lambda g: _texts(g.lognormal(9, 1, ROWS), "${:,.2f}"),
    "negative": lambda g: [f"({-v:,.2f})" if v < 0 else f"{v:,.2f}" for v in g.normal(0, 2000, ROWS)],
    "comma": lambda g: [f"{v:.2f}".replace(".", ",") for v in g.uniform(0, 900, ROWS)],
    "rate": lambda g: _texts(g.uniform(3, 30, ROWS), "{:.2f}%"),
    "term": lambda g: _texts(g.choice([12, 36, 60], ROWS), " {} months"),
    "job": lambda g: g.choice(["10+ years", "< 1 year", "1 year", "4 years", "n/a"], ROWS),
    "flag": lambda g: g.choice(["0.0", "1.0", "1"], ROWS),
    "answer": lambda g: g.choice(["Y", "N", ""], ROWS),
    "truth": lambda g: g.random(ROWS) < 0.3,
    "floats": lambda g: np.where(g.random(ROWS) < 0.1, np.nan, g.integers(0, 2, ROWS)),
    "band": lambda g: g.choice(["600-649", "650-699", "700-749", "750+"], ROWS),
    "home": lambda g: g.choice(["OWN", "RENT", "MORTGAGE_", "MORTGAGE"], ROWS),
    "grade": lambda g: g.choice([1, 2, 3], ROWS),
    "loans": lambda g: g.choice(["car", "car, card", "card, and car", "card", "home, car"], ROWS),
    "dirty": lambda g: [*_texts(g.integers(18, 70, ROWS - 4), "{}_"), "?", "#F%$D@*&8", "12x", "_______"],
    "zip": lambda g: _texts(g.integers(100, 99999, ROWS), "{:05d}"),
    "remark": lambda g: _texts(g.integers(0, 10**9, ROWS), "spoke to the client about {}"),
    "age": lambda g: g.integers(18, 90, ROWS),
    "born": lambda g: _texts(g.integers(1940, 2000, ROWS), "{}-02-11"),
    "since": lambda g: _texts(g.integers(1980, 2020, ROWS), "Dec-{}"),
    "constant": lambda _: ["x"] * ROWS,
    "empty": lambda _: [None] * ROWS,
    "phone": lambda g: _texts(g.integers(600_000_000, 700_000_000, ROWS), "{}"),
    "scientific": lambda g: _texts(g.lognormal(8, 1, ROWS), "{:.3E}"),
    "kind": lambda g: g.choice(["a", "b"], ROWS),
    "days": lambda g: [*(-g.integers(1, 9000, ROWS - 20)).tolist(), *[365243] * 20],
    "huge": lambda g: [*g.uniform(0, 100, ROWS - 1).round(1).tolist(), 1e12],
    "euros": lambda g: [f"{v:,.2f} €".translate(POINTS) for v in g.lognormal(8, 1, ROWS)],
    "francs": lambda g: [f"CHF {v:,.2f}".replace(",", "'") for v in g.lognormal(8, 1, ROWS)],
    "cents": lambda g: pl.Series(g.lognormal(8, 1, ROWS).round(2)).cast(pl.Decimal(18, 2)),
    "single": lambda g: pl.Series(g.normal(0, 1, ROWS)).cast(pl.Float32),
    "short": lambda g: pl.Series(g.integers(0, 99, ROWS)).cast(pl.Int8),
    "unsigned": lambda g: pl.Series(g.integers(0, 2**40, ROWS)).cast(pl.UInt64),
    "share": lambda g: [f"{v:.1f} %".replace(".", ",") for v in g.uniform(0, 100, ROWS)],
    "monate": lambda g: _texts(g.integers(1, 99, ROWS), "{} Monate"),
    "history": lambda g: [f"{y} Years and {m} Months" for y, m in g.integers(0, 12, (ROWS, 2))],
    "employed": lambda g: g.choice(["unemployed", "<1", "1<=X<4", "4<=X<7", ">=7"], ROWS),
    "limits": lambda g: g.choice(["unter 1.000", "1.000 bis 2.500", "\u00fcber 2.500"], ROWS),
    "joined": lambda g: pl.Series(g.integers(3000, 20_000, ROWS)).cast(pl.Date),
    "seen": lambda g: pl.Series(g.integers(10**15, 17 * 10**14, ROWS)).cast(pl.Datetime("us")),
    "us_dates": lambda g: [f"{m}/{d}/{y}" for m, d, y in zip(*_days(g), strict=True)],
    "german_dates": lambda g: [f"{d:02d}.{m:02d}.{y}" for m, d, y in zip(*_days(g), strict=True)],
    "sas_dates": lambda g: [f"{d:02d}{MONTHS[m - 1]}{y}" for m, d, y in zip(*_days(g), strict=True)],
    "SAS_DT": lambda g: g.integers(8000, 20_000, ROWS),
    "millis": lambda g: g.integers(10**12, 17 * 10**11, ROWS),
    "to_come": lambda g: _texts(g.integers(2020, 2030, ROWS), "{}-06-01"),
    "either_way": lambda g: [f"{a:02d}/{b:02d}/2019" for a, b in g.integers(1, 13, (ROWS, 2))],
    "never": lambda g: g.choice(["2015-03-01", "2016-07-09", "2018-11-30", "1900-01-01", "9999-12-31"], ROWS),
    "shouted": lambda g: g.choice(["TRUE", "False", "true", ""], ROWS),
    "ja": lambda g: g.choice(["ja", "nein", "k.A."], ROWS),
    "padded": lambda g: g.choice(["01", "02", "10"], ROWS),
    "category": lambda g: pl.Series(g.choice(["A11", "A12"], ROWS)).cast(pl.Categorical),
    "guarantor": lambda g: g.choice(["none", "guarantor", "co-applicant"], ROWS),
    "nested": lambda g: [[int(v)] for v in g.integers(0, 9, ROWS)],
    "bytes": lambda g: [bytes([v]) for v in g.integers(0, 255, ROWS).tolist()],
    "clock": lambda g: pl.Series(g.integers(0, 86_399 * 10**9, ROWS)).cast(pl.Time),
    "lasted": lambda g: pl.Series(g.integers(0, 10**12, ROWS)).cast(pl.Duration("us")),
    "null_typed": lambda _: pl.Series([None] * ROWS, dtype=pl.Null),
    "infinite": lambda g: [*g.normal(0, 1, ROWS - 3).tolist(), float("inf"), float("-inf"), float("nan")],
    "quoted": lambda g: g.choice(['say "hi"', "a;b", "tab\there", "line\nend", "\u00e9"], ROWS),
    "excel_errors": lambda g: [*_texts(g.integers(0, 99, ROWS - 3), "{}"), "#N/A", "#DIV/0!", "#REF!"],
    "sex": lambda g: g.choice(["m", "f"], ROWS),
    "amount": lambda g: g.lognormal(5, 1, ROWS).round(2),
}


NOT_IN_CSV = ["nested", "bytes", "lasted"]
LEFT_OUT = {"zip", "remark", "age", "born", "constant", "empty", "null_typed", "phone", "sex", *NOT_IN_CSV}
KINDS = {
    **dict.fromkeys(("negative", "dollars", "euros", "francs", "cents", "comma", "scientific", "amount"), "number"),
    **dict.fromkeys(("rate", "share"), "percent"),
    **dict.fromkeys(("term", "job", "monate", "history"), "duration"),
    **dict.fromkeys(("flag", "answer", "truth", "floats", "shouted", "ja"), "boolean"),
    **dict.fromkeys(("since", "joined", "seen", "us_dates", "german_dates", "sas_dates", "never", "to_come"), "date"),
    **dict.fromkeys(("band", "limits", "padded", "category", "guarantor", "home", "employed"), "category"),
}


def lender(seed: int, names: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    generator = np.random.default_rng(seed)
    ids = [f"A{i}" for i in range(ROWS)]
    own = {name: pl.Series(COLUMNS[name](generator)) for name in names}
    table = pl.DataFrame({"application_id": ids, "customer_id": ids, "as_of": "2026-01-15", **own})
    labels = pl.DataFrame(
        {"application_id": ids, "credit_class": generator.choice(["good", "bad"], ROWS, p=[0.7, 0.3])}
    )
    return table, labels


def unnamed(table: pl.DataFrame, draft: Draft) -> list[str]:
    """Columns that the draft does not name, and cells that it loses without a word."""
    spec = parse_spec(draft.text)
    looks = {look.split(":")[0]: look for look in draft.looks}
    known = {a.name: a for a in spec.attributes}
    silent = [name for name in table.columns[3:] if name not in known and "left out" not in looks.get(name, "")]
    dirt = build_features(table, NO_EVENTS, spec).dirt
    for column, cause, cells in dirt.select("column", "cause", "cells").iter_rows():
        look = looks.get(column, "")
        words = {"out_of_range": "cut by the range", "missing": "", "missing_token": ""}
        words["after_as_of"] = f"{cells:,} cells lie after as_of"
        if words.get(cause, f"{cells:,} cells are no ") not in look:
            silent.append(f"{column}: {cells} {cause}")
    numbers = {a.name: [t for t in a.missing_tokens if any(c.isdigit() for c in t)] for a in spec.attributes}
    for name, tokens in numbers.items():
        said = any(words in looks.get(name, "") for words in ("special code", "taken as no date"))
        silent += [f"{name}: {token}" for token in tokens if not said and "#" not in token]
    return silent


def as_texts(table: pl.DataFrame) -> pl.DataFrame:
    """The table as a CSV file has it, without columns that no CSV file can hold."""
    buffer = BytesIO()
    table.select(pl.exclude(NOT_IN_CSV)).write_csv(buffer)
    return pl.read_csv(buffer.getvalue(), infer_schema=False)


@given(st.integers(0, 10_000), st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=6, unique=True))
@pytest.mark.slow
def test_no_cell_and_no_column_is_lost_without_a_word(seed: int, names: list[str]) -> None:
    table, labels = lender(seed, [*names, "income"] if "income" not in names else names)
    for spelled in (table, as_texts(table)) if seed % 2 else (as_texts(table),):
        assert unnamed(spelled, draft_spec(Tables.of(spelled, None, labels))) == []


@pytest.mark.parametrize("labelled", [True, False])
def test_every_column_in_both_spellings_is_named(*, labelled: bool) -> None:
    table, labels = lender(7, list(COLUMNS))
    for spelled in (table, as_texts(table)):
        draft = draft_spec(Tables.of(spelled, None, labels if labelled else None))
        assert unnamed(spelled, draft) == []
        kinds = {a.name: a.kind for a in parse_spec(draft.text).attributes}
        assert LEFT_OUT & set(kinds) == set()
        assert {name: kinds.get(name) for name in KINDS} == KINDS
        (never,) = [look for look in draft.looks if look.startswith("never: ")]
        assert "lie after as_of" not in never, "what stands for no date lies nowhere"


@pytest.mark.slow
@pytest.mark.parametrize(("given", "form"), [(2, "parquet"), (3, "csv"), ("3, events without rows", "parquet")])
def test_generated_lenders_draft_train_and_score_without_a_traceback(
    given: int | str, form: str, tmp_path: Path, credit: Credit
) -> None:
    """Two tables of every kind of column, or three; typed in Parquet, as text in CSV."""
    table, labels = lender(3, list(COLUMNS))
    own, options = tmp_path / f"applications.{form}", []
    if form == "csv":
        as_texts(table).write_csv(own)
    else:
        table.drop("null_typed").write_parquet(own)
    labels.write_csv(tmp_path / "labels.csv")
    if given != 2:
        account = {"customer_id": ["A1", "A2"] * 40, "occurred_at": "2025-12-20", "kind": "salary", "amount": "5.00"}
        (pl.DataFrame(account) if given == 3 else NO_EVENTS).write_csv(tmp_path / "events.csv")
        options = ["--events", tmp_path / "events.csv"]
    tables = ("--applications", own, *options)
    done = credit("spec", "draft", *tables, "--labels", tmp_path / "labels.csv", "--out", tmp_path / "spec.toml")
    assert done.returncode == 0, done.stderr
    done = credit("train", tmp_path, "--bundles", tmp_path / "bundles", "--model", "decision-tree")
    assert done.returncode == 0, done.stderr
    bundle = done.stdout.splitlines()[-1]
    done = credit("score", "--bundle", bundle, *tables, "--out", tmp_path / "decisions.csv")
    assert done.returncode == 0, done.stderr
    assert pl.read_csv(tmp_path / "decisions.csv").height == ROWS


def test_of_no_table_or_of_applications_alone_what_is_missing_is_said(tmp_path: Path, credit: Credit) -> None:
    own, spec = tmp_path / "applications.csv", tmp_path / "spec.toml"
    draft = ("spec", "draft", "--applications", own, "--out", spec)
    train = ("train", tmp_path, "--bundles", tmp_path / "bundles", "--model", "decision-tree")
    for command, said in ((draft, "applications.csv: no such file"), (train, "spec.toml")):
        done = credit(*command)
        assert (done.returncode in {1, 2}, said in done.stderr) == (True, True), done.stderr
    as_texts(lender(3, list(COLUMNS))[0]).write_csv(own)
    done = credit(*draft)
    assert done.returncode == 0, done.stderr
    done = credit("check", "--spec", spec, "--applications", own)
    assert done.returncode == 0, done.stderr
    done = credit(*train)
    assert done.returncode in {1, 2}
    assert "labels" in done.stderr
