"""Lenders made by chance: whatever their columns hold, the draft names each cell that it loses and each column."""

from collections.abc import Callable
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


def _texts(values: np.ndarray[Any, Any], form: str) -> list[str]:
    return [form.format(value) for value in values]


COLUMNS: dict[str, Callable[[Generator], Any]] = {
    "counts": lambda g: g.poisson(0.2, ROWS),
    "counts_with_codes": lambda g: [*g.poisson(1, ROWS - 12).tolist(), *[96] * 5, *[98] * 7],
    "bureau": lambda g: [*g.integers(300, 850, ROWS - 9).tolist(), -9, -9, -9, -8, -8, -8, -7, -7, -7],
    "income": lambda g: g.lognormal(9, 1, ROWS).round(2),
    "dollars": lambda g: _texts(g.lognormal(9, 1, ROWS), "${:,.2f}"),
    "negative": lambda g: [f"({v:,.2f})" if v < 0 else f"{v:,.2f}" for v in g.normal(0, 2000, ROWS)],
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
        if words.get(cause, f"{cells:,} cells are no ") not in look:
            silent.append(f"{column}: {cells} {cause}")
    numbers = {a.name: [t for t in a.missing_tokens if any(c.isdigit() for c in t)] for a in spec.attributes}
    silent += [
        f"{n}: {t}" for n, ts in numbers.items() for t in ts if "special code" not in looks.get(n, "") and "#" not in t
    ]
    return silent


@given(st.integers(0, 10_000), st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=6, unique=True))
@pytest.mark.slow
def test_no_cell_and_no_column_is_lost_without_a_word(seed: int, names: list[str]) -> None:
    table, labels = lender(seed, [*names, "income"] if "income" not in names else names)
    assert unnamed(table, draft_spec(Tables.of(table, None, labels))) == []


def test_every_column_together_is_named(tmp_path: Path) -> None:
    table, labels = lender(7, list(COLUMNS))
    draft = draft_spec(Tables.of(table, None, labels))
    assert unnamed(table, draft) == []
    table.write_csv(tmp_path / "a.csv")
    texts = pl.read_csv(tmp_path / "a.csv", infer_schema=False)
    assert unnamed(texts, draft_spec(Tables.of(texts, None, labels))) == []
    kinds = {a.name: a.kind for a in parse_spec(draft.text).attributes}
    assert {"zip", "remark", "age", "born", "constant", "empty", "phone"} & set(kinds) == set()
    assert (kinds["rate"], kinds["term"], kinds["since"]) == ("percent", "duration", "date")
    assert {kinds[n] for n in ("flag", "answer", "truth", "floats")} == {"boolean"}


@pytest.mark.slow
@pytest.mark.parametrize("events", ["none", "header", "some"])
def test_generated_lenders_draft_train_and_score_without_a_traceback(
    events: str, tmp_path: Path, credit: Credit
) -> None:
    table, labels = lender(3, list(COLUMNS))
    table.write_csv(tmp_path / "applications.csv")
    labels.write_csv(tmp_path / "labels.csv")
    options: tuple[object, ...] = ()
    if events != "none":
        account = {"customer_id": ["A1", "A2"] * 40, "occurred_at": "2025-12-20", "kind": "salary", "amount": "5.00"}
        frame = pl.DataFrame(account) if events == "some" else NO_EVENTS
        frame.write_csv(tmp_path / "events.csv")
        options = ("--events", tmp_path / "events.csv")
    tables = ("--applications", tmp_path / "applications.csv", *options)
    done = credit("spec", "draft", *tables, "--labels", tmp_path / "labels.csv", "--out", tmp_path / "spec.toml")
    assert done.returncode == 0, done.stderr
    done = credit("train", tmp_path, "--bundles", tmp_path / "bundles", "--model", "decision-tree")
    assert done.returncode == 0, done.stderr
    bundle = done.stdout.splitlines()[-1]
    done = credit("score", "--bundle", bundle, *tables, "--out", tmp_path / "decisions.csv")
    assert done.returncode == 0, done.stderr
    assert pl.read_csv(tmp_path / "decisions.csv").height == ROWS


@pytest.mark.slow
def test_a_flag_scores_to_the_same_bits_in_every_spelling(tmp_path: Path, credit: Credit) -> None:
    generator = np.random.default_rng(2)
    flag = generator.integers(0, 2, 3 * ROWS)
    ids = [f"A{i}" for i in range(len(flag))]
    own = {"application_id": ids, "customer_id": ids, "as_of": "2024-01-01", "past_default": flag.astype(float)}
    table = pl.DataFrame({**own, "noise": generator.random(len(flag))})
    classes = np.where(generator.random(len(flag)) < 0.1 + 0.8 * flag, "bad", "good")
    table.write_csv(tmp_path / "applications.csv")
    pl.DataFrame({"application_id": ids, "credit_class": classes}).write_csv(tmp_path / "labels.csv")
    tables = ("--applications", tmp_path / "applications.csv", "--labels", tmp_path / "labels.csv")
    assert credit("spec", "draft", *tables, "--out", tmp_path / "spec.toml").returncode == 0
    done = credit("train", tmp_path, "--bundles", tmp_path / "bundles", "--model", "decision-tree")
    assert done.returncode == 0, done.stderr
    table.write_parquet(tmp_path / "floats.parquet")
    table.with_columns(pl.col("past_default").cast(pl.Int64)).write_csv(tmp_path / "digits.csv")
    table.with_columns(pl.col("past_default").cast(pl.Boolean)).write_parquet(tmp_path / "booleans.parquet")
    made = set()
    for name in ("applications.csv", "floats.parquet", "digits.csv", "booleans.parquet"):
        files = ("--applications", tmp_path / name, "--out", tmp_path / "decisions.csv")
        scored = credit("score", "--bundle", done.stdout.splitlines()[-1], *files)
        assert scored.returncode == 0, scored.stderr
        made.add((tmp_path / "decisions.csv").read_bytes())
    assert len(made) == 1
