"""Real decay: the Kaggle panel, whose labels are redrawn at April and July; silence on what training looked like."""

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.conftest import Credit, real_data

pytestmark = pytest.mark.slow

TRAINED, LATER = (1, 2, 3), (4, 5, 6, 7, 8)


@pytest.fixture(scope="module")
def panel(credit: Credit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of half of the customers in months 1 to 3, and what came later, or to others then."""
    folder = tmp_path_factory.mktemp("kaggle")
    assert credit("dataset", "kaggle", real_data("credit_score_panel.parquet"), "--out", folder / "all").returncode == 0
    names = pl.read_parquet(folder / "all/applications.parquet")["customer_id"].unique().sort()
    for name, customers, months in (
        ("train", names[::2], TRAINED),
        ("later", names[::2], LATER),
        ("others", names[1::2], TRAINED),
    ):
        _write(folder, name, customers, months)
    trained = credit("train", folder / "train", "--bundles", folder / "bundles")
    assert trained.returncode == 0, trained.stderr
    (folder / "bundle").symlink_to(trained.stdout.splitlines()[-1])
    return folder


def _write(folder: Path, name: str, customers: pl.Series, months: tuple[int, ...]) -> None:
    (folder / name).mkdir()
    own = pl.read_parquet(folder / "all/applications.parquet").filter(
        pl.col("customer_id").is_in(customers.implode()), pl.col("as_of").dt.month().is_in(months)
    )
    own.write_parquet(folder / name / "applications.parquet")
    for table, key in (("labels", "application_id"), ("events", "customer_id")):
        rows = pl.read_parquet(folder / f"all/{table}.parquet").join(own, on=key, how="semi", maintain_order="left")
        rows.write_parquet(folder / name / f"{table}.parquet")
    shutil.copy(folder / "all/spec.toml", folder / name)


def monitor(credit: Credit, panel: Path, name: str) -> tuple[int, dict[str, Any]]:
    """Exit code and figures."""
    data, bundle = panel / name, ("--bundle", panel / "bundle")
    inputs = ("--applications", data / "applications.parquet", "--events", data / "events.parquet")
    assert credit("score", *bundle, *inputs, "--out", data / "decisions.parquet").returncode == 0
    source = ("--decisions", data / "decisions.parquet", *inputs, "--labels", data / "labels.parquet")
    done = credit("monitor", *source, *bundle, "--out", data / "m.html")
    return done.returncode, json.loads((data / "m.json").read_text())


def test_the_falls_at_april_and_july_are_seen_and_put_down_to_the_concept(credit: Credit, panel: Path) -> None:
    code, found = monitor(credit, panel, "later")
    assert (code, found["light"], found["statement"]["state"]) == (8, "red", "contradicted")
    metrics = {
        cohort["where"][-2:]: next(m for m in cohort["metrics"] if m["metric"] == "accuracy")
        for cohort in found["outcomes"]["cohorts"]
        if cohort["where"].startswith("20")
    }
    assert all(m["alarm"] for m in metrics.values())
    assert all(m["surprising"] for m in metrics.values()), "the estimate cannot see it, and the page says so"
    by_month, trained = {month: m["value"] for month, m in metrics.items()}, metrics["04"]["trained"]
    assert trained > 0.75
    assert trained - by_month["04"] > 0.06
    assert abs(by_month["04"] - by_month["06"]) < 0.03, "level between the steps"
    assert by_month["06"] - by_month["07"] > 0.02
    assert abs(by_month["07"] - by_month["08"]) < 0.03
    falls = [fall for fall in found["outcomes"]["falls"] if fall["metric"] == "accuracy"]
    assert {fall["named"] for fall in falls} == {"concept"}
    assert "comes from the concept" in found["headline"]


def test_other_customers_of_the_months_of_training_raise_no_alarm(credit: Credit, panel: Path) -> None:
    code, found = monitor(credit, panel, "others")
    assert (code, found["light"], found["alarms"]) == (0, "green", [])
    assert len(found["window"]["periods"]) == 3, "each of them looks unlike training as a whole: histories grow"
