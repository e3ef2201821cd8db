"""Replay: whoever holds the receipt and the bundle makes the same decision again, bit for bit."""

import json
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from model_export.new_policy import choose_new_policy, publish_policy
from recipes.dataset import Dataset
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.receipt_parts import some_receipts, write_log


@dataclass(frozen=True)
class Lab:
    """What a replay needs: where the log goes, who scored, and the command."""

    scorer: Scorer
    dataset: Dataset
    folder: Path
    credit: Credit

    @property
    def bundle(self) -> Path:
        return self.scorer.bundle.path

    def receipts(self, rows: int = 40, *, full: bool) -> pl.DataFrame:
        return some_receipts(self.scorer, self.dataset, rows, full=full)

    def replay(self, *options: object) -> "subprocess.CompletedProcess[str]":
        return self.credit("replay", self.folder / "log", "--bundles", self.bundle.parent, *options)

    def report(self, *options: object) -> tuple[int, dict[str, Any]]:
        done = self.replay(*options, "--json")
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)


@pytest.fixture
def lab(scorer: Scorer, dataset: Dataset, tmp_path: Path, credit: Credit) -> Lab:
    return Lab(scorer, dataset, tmp_path, credit)


FULL = pytest.mark.parametrize("full", [True, False], ids=["application", "feature row"])


@pytest.fixture(scope="module")
def log(scorer: Scorer, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replay") / "log"
    full, rows = some_receipts(scorer, dataset, full=True), some_receipts(scorer, dataset)
    write_log(folder, [full, rows.head(7)])
    return folder


@FULL
def test_one_receipt_and_its_bundle_are_enough(lab: Lab, *, full: bool) -> None:
    one = lab.receipts(1, full=full)
    write_log(lab.folder / "log", [one])
    shutil.copytree(lab.bundle, lab.folder / lab.bundle.name)
    done = lab.credit("replay", "log", "--decision-id", one["decision_id"][0], "--bundles", ".", cwd=lab.folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Every bit of 1 decisions agrees." in done.stdout


def test_all_receipts_are_replayed_from_what_they_hold(log: Path, bundle: Path, credit: Credit) -> None:
    done = credit("replay", log, "--bundles", bundle.parent, "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["receipts"], report["different"]) == (0, 46, 0)
    assert (report["from_applications"], report["from_features"]) == (39, 7)
    later = json.loads(credit("replay", log, "--bundles", bundle, "--since", "2026-11-24T12:00:30Z", "--json").stdout)
    assert later["receipts"] == 9


def another(column: str, receipts: pl.DataFrame) -> pl.DataFrame:
    """The receipts, one of which has another value in a column."""
    changed = {
        "p_good": pl.col("p_good").cast(pl.Float64).mul(1 + 2**-23).cast(pl.Float32),
        "credit_class": pl.lit("Poor"),
        "credit_score": pl.col("credit_score") + 1,
        "reasons": pl.col("reasons").list.head(0),
        "feature:months_employed": pl.col("feature:months_employed") + 1,
        "application_id": pl.col("application_id") + "x",
        "decision_id": pl.col("decision_id").str.replace(".$", "x"),
    }
    at = pl.int_range(pl.len()) == receipts["credit_class"].to_list().index("Standard")
    return receipts.with_columns(pl.when(at).then(changed[column]).otherwise(pl.col(column)).alias(column))


@pytest.mark.parametrize("column", ["p_good", "credit_class", "credit_score", "reasons", "decision_id"])
@FULL
def test_another_bit_is_named_by_its_column(lab: Lab, column: str, *, full: bool) -> None:
    write_log(lab.folder / "log", [another(column, lab.receipts(full=full))])
    code, report = lab.report()
    assert (code, report["by_column"]) == (7, {column: 1})
    assert report["first"][column]["writer"] == "batch-1"
    if column == "p_good":
        assert "1 of 39 decisions differ" in lab.replay().stdout


@FULL
def test_a_feature_row_that_was_changed_shows_in_what_is_made_of_it(lab: Lab, *, full: bool) -> None:
    write_log(lab.folder / "log", [another("feature:months_employed", lab.receipts(full=full))])
    _, report = lab.report()
    assert report["different"] == 1
    assert ("feature:months_employed" if full else "decision_id") in report["by_column"]


def test_an_application_that_is_refused_now_is_a_difference(lab: Lab) -> None:
    receipts = lab.receipts(full=True)
    broken = receipts.with_columns(pl.col("application").str.replace('"as_of":"', '"as_of":"never '))
    write_log(lab.folder / "log", [pl.concat([receipts.head(3), broken[3:5]])])
    code, report = lab.report()
    assert (code, report["by_column"]) == (7, {"application": 2})


def test_a_missing_bundle_is_named(log: Path, bundle: Path, tmp_path: Path, credit: Credit) -> None:
    done = credit("replay", log, "--bundles", tmp_path)
    assert done.returncode == 2
    assert f"lacks the bundle {bundle.name}, which made 46 of the decisions" in done.stderr


@pytest.mark.slow
def test_bundles_are_replayed_each_by_its_own(lab: Lab, harsher: Path) -> None:
    write_log(
        lab.folder / "log", [some_receipts(s, lab.dataset) for s in (lab.scorer, Scorer.open(harsher), lab.scorer)]
    )
    code, report = lab.report()
    assert (code, report["receipts"], len(report["bundles"])) == (0, 3 * 39, 2)


@pytest.fixture(scope="module")
def harsher(scorer: Scorer) -> Path:
    """A bundle with the same model, to which a lost good applicant costs little."""
    asked = replace(scorer.bundle.spec, costs=((0.0, 50.0, 900.0), (10.0, 0.0, 300.0), (10.0, 5.0, 0.0)))
    policy = choose_new_policy(scorer.bundle, asked)
    return publish_policy(scorer.bundle, policy, scorer.bundle.path.parent, None)


@FULL
def test_what_another_policy_would_have_decided_is_shown_in_money(lab: Lab, harsher: Path, *, full: bool) -> None:
    receipts = lab.receipts(200, full=full)
    write_log(lab.folder / "log", [receipts])
    code, shown = lab.report("--against", harsher)
    assert (code, shown["receipts"]) == (0, receipts.height)
    policy = Scorer.open(harsher).bundle.policy
    p = receipts.select("p_poor", "p_standard", "p_good").to_numpy()
    expected, former = 0.0, 0.0
    moved: dict[tuple[str, str], int] = {}
    for row, name in zip(p.tolist(), receipts["credit_class"], strict=True):
        costs = [sum(row[i] * policy.costs[i][j] for i in range(3)) for j in range(3)]
        would = policy.classes[costs.index(min(costs))]
        expected, former = expected + min(costs), former + costs[policy.classes.index(name)]
        moved[name, would] = moved.get((name, would), 0) + (name != would)
    assert {(c["from"], c["to"]): c["receipts"] for c in shown["changes"]} == {k: v for k, v in moved.items() if v}
    assert shown["changed"] > 20, "else nothing is shown here"
    assert shown["total"]["cost_after"] == pytest.approx(expected, abs=0.01)
    assert shown["total"]["cost_before"] == pytest.approx(former, abs=0.01)
    assert shown["by_column"]["credit_class"] == shown["changed"]
    assert "p_good" not in shown["by_column"], "the model is the same"
    assert f"{shown['changed']} would get another class" in lab.replay("--against", harsher).stdout


def test_a_log_without_such_receipts_is_said(log: Path, bundle: Path, tmp_path: Path, credit: Credit) -> None:
    cases = {
        ("--decision-id", "00" * 32): (1, "holds no receipt with this decision_id"),
        ("--since", "2030-01-01"): (1, "holds no receipts from then on"),
        ("--since", "yesterday"): (2, "expected a date or instant"),
        ("--since", "2020-01-01", "--decision-id", "00"): (2, "expected one of the two"),
    }
    for options, (code, text) in cases.items():
        done = credit("replay", log, "--bundles", bundle, *options)
        assert (done.returncode, text in done.stderr) == (code, True), done.stderr
    assert credit("replay", tmp_path, "--bundles", bundle).returncode == 1
