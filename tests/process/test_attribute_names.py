"""Columns that bear the names of the product's own columns are attributes like any other."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from features.errors import SpecError
from features.spec.file import parse_spec
from tests.conftest import Credit

NAMES = ("amount", "kind", "customer", "code", "row", "column", "occurred_at", "recorded_at", "events", "class")
ROWS = 240


@pytest.fixture(scope="module")
def lender(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names")
    generator = np.random.default_rng(2)
    worth = generator.normal(size=ROWS)
    own = {name: np.round(1000 * generator.normal(size=ROWS) + 700 * worth, 1) for name in NAMES}
    identity = {"application_id": [f"A{i}" for i in range(ROWS)], "customer_id": [f"C{i}" for i in range(ROWS)]}
    pl.DataFrame({**identity, "as_of": "2026-01-15", **own}).write_csv(folder / "applications.csv")
    events = {"customer_id": ["C3", "C3", "C4"], "occurred_at": "2026-01-01", "kind": "salary"}
    pl.DataFrame({**events, "amount": ["1.00", "2.50", "no number"]}).write_csv(folder / "events.csv")
    classes = np.where(worth > 0, "Good", "Poor")
    pl.DataFrame({"application_id": identity["application_id"], "credit_class": classes}).write_csv(
        folder / "labels.csv"
    )
    return folder


@pytest.mark.process
def test_names_of_our_own_columns_draft_train_and_score_alike_at_every_door(lender: Path, credit: Credit) -> None:
    tables = ("--applications", lender / "applications.csv", "--events", lender / "events.csv")
    done = credit("spec", "draft", *tables, "--labels", lender / "labels.csv", "--out", lender / "spec.toml")
    assert done.returncode == 0, done.stderr
    assert [a.name for a in parse_spec((lender / "spec.toml").read_text()).attributes] == list(NAMES)
    done = credit("train", lender, "--bundles", lender / "bundles", "--model", "decision-tree")
    assert done.returncode == 0, done.stderr
    bundle = done.stdout.splitlines()[-1]
    done = credit("verify", "--bundle", bundle, *tables)
    assert done.returncode == 0, done.stderr
    done = credit("score", "--bundle", bundle, *tables, "--out", lender / "decisions.csv")
    assert done.returncode == 0, done.stderr
    (reject,) = pl.read_csv(lender / "decisions.rejects.csv").to_dicts()
    told = (reject["application_id"], reject["row"], reject["column"], reject["event_row"])
    assert told == ("A4", 5, "events.amount", 3)


def test_names_of_the_identity_cannot_be_attributes(lender: Path, credit: Credit) -> None:
    tables = ("--applications", lender / "applications.csv", "--labels", lender / "labels.csv")
    assert credit("spec", "draft", *tables, "--out", lender / "identity.toml").returncode == 0
    text = (lender / "identity.toml").read_text()
    with pytest.raises(SpecError, match="application_id, as_of, customer_id"):
        parse_spec(text.replace('[attributes."amount"]', '[attributes."as_of"]'))
