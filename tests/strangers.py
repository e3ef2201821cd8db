"""Tables of strangers: invented ones of the kinds that real files have, and what tests ask of their drafts."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.draft import Draft, Tables, draft_spec
from features.matrix import build_features
from features.spec.contract import Attribute, Spec
from features.spec.file import parse_spec
from tests.conftest import PROJECT, Credit

NO_EVENTS = pl.DataFrame(schema=dict.fromkeys(("customer_id", "occurred_at", "kind", "amount"), pl.String))


def given(folder: str) -> Path:
    found = sorted(PROJECT.parent.glob(f"*/cases/{folder}"))
    if not found:
        pytest.skip("the given cases are not on this machine; the invented ones are tested")
    return found[0]


def table_of(rows: int, **columns: Any) -> pl.DataFrame:
    ids = [f"A{i:04d}" for i in range(rows)]
    return pl.DataFrame({"application_id": ids, "customer_id": ids, "as_of": "2024-01-01", **columns})


def labels_of(table: pl.DataFrame, classes: Any) -> pl.DataFrame:
    return pl.DataFrame({"application_id": table["application_id"], "credit_class": classes})


def drafted(table: pl.DataFrame, labels: pl.DataFrame | None = None) -> tuple[Draft, dict[str, Attribute]]:
    draft = draft_spec(Tables.of(table, None, labels))
    return draft, {attribute.name: attribute for attribute in parse_spec(draft.text).attributes}


def said_of(draft: Draft, column: str) -> str:
    return next((look for look in draft.looks if look.startswith(f"{column}: ")), "")


def cells_of(table: pl.DataFrame, spec: Spec, column: str) -> list[float]:
    """What the model sees of a column that is one feature."""
    features = build_features(table, NO_EVENTS, spec)
    place = [attribute.name for attribute in spec.attributes].index(column)
    assert features.matrix.shape[1] == len(spec.attributes), "one feature for each attribute"
    numbers: list[float] = features.matrix[:, place].tolist()
    return numbers


def invented_own_data(rows: int = 300) -> tuple[pl.DataFrame, pl.DataFrame]:
    luck = np.random.default_rng(14)
    bad = luck.random(rows) < 0.3
    late = np.where(luck.random(rows) < 0.9, 0, luck.integers(1, 6, rows))
    late[[7, 70, 170]] = 11, 23, 48
    band = 5 * luck.integers(120, 160, rows)
    years = luck.integers(0, 12, rows)
    months = ("Jan", "Mar", "Jun", "Dec")
    table = table_of(
        rows,
        rate=[f"{rate:.2f}%" for rate in luck.uniform(4, 20, rows) + 6 * bad],
        income=[f"${income:,.2f}" for income in luck.lognormal(10.5, 0.5, rows)],
        months=[f" {term} months" for term in luck.choice([36, 60], rows)],
        job_years=[
            "10+ years" if y >= 10 else "< 1 year" if y == 0 else f"{y} year{'s' if y > 1 else ''}" for y in years
        ],
        score_band=[f"{low}-{low + 4}" for low in band],
        opened=[f"{months[i % 4]}-{year}" for i, year in enumerate(luck.integers(1980, 2020, rows))],
        born=[f"{year}-0{1 + i % 9}-11 00:00:00.000000" for i, year in enumerate(luck.integers(1940, 2000, rows))],
        zip5=[f"{code:05d}" for code in luck.integers(501, 9900, rows)],
        late_amount=np.where(late > 0, late * 70_000 // 3, 0),
        late_count=late,
        flag_f=[f"{flag}.0" for flag in luck.integers(0, 2, rows)],
    )
    return table, labels_of(table, bad.astype(int))


def trained(folder: Path, credit: Credit) -> str:
    """Draft and train what lies in a folder, without events; return the bundle's folder."""
    files = ("--applications", folder / "applications.csv", "--labels", folder / "labels.csv")
    done = credit("spec", "draft", *files, "--out", folder / "spec.toml")
    assert done.returncode == 0, done.stderr
    done = credit("train", folder, "--bundles", folder / "bundles", "--model", "decision-tree")
    assert done.returncode == 0, done.stderr
    return str(done.stdout.splitlines()[-1])


def invented_flags(rows: int = 300) -> tuple[pl.DataFrame, pl.DataFrame]:
    luck = np.random.default_rng(15)
    flag = luck.integers(0, 2, rows)
    table = table_of(rows, past_default=flag.astype(float), noise=luck.random(rows))
    return table, labels_of(table, np.where(luck.random(rows) < 0.1 + 0.8 * flag, "bad", "good").tolist())
