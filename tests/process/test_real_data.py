"""Real data sets, where they are on the machine; each absence is a visible skip."""

import json
from pathlib import Path

import polars as pl
import pytest

from benchmarks.kaggle_cleaning import compare
from tests.conftest import Credit, real_data
from tests.sizes import KIND

pytestmark = pytest.mark.slow

# Columns that the panel's makers imputed in another way, and in how many cells in range they differ.
DIFFERENT = {
    "Amount_invested_monthly": 7729,
    "Credit_History_Age": 887,
    "Num_of_Delayed_Payment": 226,
    "Monthly_Balance": 96,
    "Num_Credit_Inquiries": 17,
    "Monthly_Inhand_Salary": 14,
}


@pytest.fixture(scope="module")
def panel() -> Path:
    return real_data("credit_score_panel.parquet")


@pytest.fixture(scope="module")
def raw() -> Path:
    return real_data("credit_score_raw_august.csv")


def test_dirty_cells_equal_the_cleaned_copy_or_are_counted_as_missing(raw: Path, panel: Path) -> None:
    table = compare(raw, panel)
    assert table["missing"].equals(table["counted as missing"])
    assert {name: n for name, n in table.select("column", "different").iter_rows() if n} == DIFFERENT
    assert table.select(pl.sum_horizontal("equal", "missing", "different")).to_series().unique().to_list() == [10_012]


@pytest.mark.process
def test_the_raw_august_file_is_scored_end_to_end(raw: Path, panel: Path, tmp_path: Path, credit: Credit) -> None:
    for arguments in (
        ("dataset", "kaggle", panel, "--out", tmp_path / "panel"),
        ("dataset", "kaggle-raw", raw, "--history", panel, "--out", tmp_path / "august"),
    ):
        assert credit(*arguments).returncode == 0
    untouched = pl.read_csv(tmp_path / "august/applications.csv", infer_schema=False)
    source = pl.read_csv(raw, infer_schema=False)
    assert "Name" not in untouched.columns
    assert "SSN" not in untouched.columns
    assert all(untouched[name].equals(source[name]) for name in untouched.columns if name in source.columns)
    trained = credit("train", tmp_path / "panel", "--bundles", tmp_path / "bundles", "--model", KIND)
    assert trained.returncode == 0, trained.stderr
    bundle = trained.stdout.splitlines()[-1]
    held_out = json.loads(credit("bundle", "show", bundle, "--json").stdout)["evaluation"]["held_out_customers"]
    assert held_out["argmax"]["metrics"]["accuracy"]["high"] > (0.708 if KIND == "xgboost" else 0.69)
    policy, argmax = held_out["policy"]["metrics"], held_out["argmax"]["metrics"]
    assert policy["false_negative_rate"]["value"] < argmax["false_negative_rate"]["value"]
    out = tmp_path / "decisions.csv"
    inputs = ("--applications", tmp_path / "august/applications.csv", "--events", tmp_path / "august/events.parquet")
    scored = credit("score", "--bundle", bundle, *inputs, "--out", out)
    assert scored.returncode == 0, scored.stderr
    assert pl.read_csv(out).height == 10_012
    assert credit("evaluate", "--decisions", out, "--labels", tmp_path / "august/labels.parquet").returncode == 0
    verified = credit("verify", "--bundle", bundle, *inputs, "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    report = json.loads(verified.stdout)
    assert (report["decisions"], report["repeated"]) == (10_012, 0)
    assert all(c["compared"] == 10_012 for c in report["comparisons"])


def test_an_application_never_sees_its_own_month(panel: Path) -> None:
    from recipes.kaggle import kaggle  # noqa: PLC0415

    dataset = kaggle(pl.read_parquet(panel).filter(pl.col("Customer_ID") == 4096))
    for as_of in dataset.applications["as_of"]:
        seen = dataset.events.filter(pl.col("occurred_at") < as_of)
        assert seen.filter(pl.col("occurred_at").dt.month() >= as_of.month).is_empty()
    assert set(dataset.events["kind"]).isdisjoint({"Poor", "Standard", "Good", "Credit_Score"})


def test_cdnow_totals_to_the_cent_and_later_purchases_are_invisible(tmp_path: Path, credit: Credit) -> None:
    source = real_data("cdnow_transactions.txt")
    assert credit("dataset", "cdnow", source, "--out", tmp_path).returncode == 0
    events = pl.read_parquet(tmp_path / "events.parquet").filter(pl.col("kind") == "purchase")
    assert (events.height, str(events["amount"].sum()), events["customer_id"].n_unique()) == (
        69_659,
        "2500315.63",
        23_570,
    )
    inputs = ("--applications", tmp_path / "applications.parquet", "--events", tmp_path / "events.parquet")
    spec = ("--spec", tmp_path / "spec.toml")
    assert credit("features", *spec, *inputs, "--out", tmp_path / "matrix.parquet").returncode == 0
    before = events.filter(pl.col("occurred_at").dt.date() < pl.date(1997, 10, 1))
    matrix = pl.read_parquet(tmp_path / "matrix.parquet")
    assert matrix["purchases_count_365d"].sum() == before.height


def test_uci_exponent_cells_are_exact_and_months_are_in_order(tmp_path: Path, credit: Credit) -> None:
    source = real_data("uci_default_of_credit_card_clients.csv")
    assert credit("dataset", "uci", source, "--out", tmp_path).returncode == 0
    inputs = ("--applications", tmp_path / "applications.parquet", "--events", tmp_path / "events.parquet")
    done = credit("features", "--spec", tmp_path / "spec.toml", *inputs, "--out", tmp_path / "matrix.parquet")
    assert done.returncode == 0, done.stderr
    matrix, raw = pl.read_parquet(tmp_path / "matrix.parquet"), pl.read_csv(source, infer_schema=False)
    exponents = raw.filter(pl.col("LIMIT_BAL").str.contains("E"))
    assert exponents.height > 1000
    wanted = raw["LIMIT_BAL"].cast(pl.Float64).cast(pl.Float32)
    assert matrix["LIMIT_BAL"].equals(wanted)
    last = pl.when(pl.col("PAY_0").cast(pl.Float64) >= 1).then(pl.col("PAY_0").cast(pl.Float64)).otherwise(0)
    assert matrix["delays_sum_30d"].equals(raw.select(last.cast(pl.Float32)).to_series(), check_names=False)
    assert matrix["EDUCATION=1"].null_count() == raw["EDUCATION"].is_in(["0", "5", "6"]).sum()
