"""Rates by group: what they mean, what is kept back, and that groups never reach model or bundle."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from features.errors import InputError
from recipes.dataset import Dataset
from tests.conftest import Credit
from training.evaluate.fairness import fairness, read_groups
from training.evaluate.judged import Judged
from training.run import Trained


@pytest.fixture(scope="module")
def judged(trained: Trained) -> Judged:
    """All labelled applications, so that groups are large enough; what is tested are sums."""
    split = trained.split
    margins = trained.model.margins(split.train.matrix)
    probabilities = trained.calibration.probabilities(margins).astype(np.float32)
    return replace(trained.judged, examples=split.train, probabilities=probabilities)


@pytest.fixture(scope="module")
def ids(judged: Judged) -> pl.Series:
    return pl.Series([f"a{i}" for i in range(len(judged.examples))])


def groups(ids: pl.Series, member: list[str | None]) -> pl.DataFrame:
    return pl.DataFrame({"application_id": ids, "group": pl.Series(member)})


def test_blank_groups_are_no_group(ids: pl.Series) -> None:
    member = [" ", "", None, "a "] + ["b"] * (len(ids) - 4)
    read = read_groups(groups(ids, member), pl.DataFrame({"application_id": ids}))
    assert read["group"].head(5).to_list() == [None, None, None, "a", "b"]


def test_rates_ratios_and_suppression_equal_a_count_by_hand(judged: Judged, ids: pl.Series) -> None:
    generator = np.random.default_rng(0)
    member = np.where(generator.random(len(ids)) < 0.4, "a", "b").astype(object)
    tiny = judged.examples.customers < np.sort(np.unique(judged.examples.customers))[20]
    member[tiny] = "few"
    member[-5:] = None
    found = fairness(judged, ids, groups(ids, member.tolist()))
    rows = {row["group"]: row for row in found["groups"]}
    assert found["without_group"] == 5
    assert rows["few"] == {"group": "few", "suppressed": "fewer than 50 customers"}
    actual, assigned = judged.examples.actual, judged.assigned
    refused = {}
    for name in "ab":
        inside = member == name
        refused[name] = 1 - (assigned[inside] == 0).mean()
        assert rows[name]["n"] == inside.sum()
        assert rows[name]["not_refused_share"]["value"] == pytest.approx(refused[name], abs=1e-6)
        good = inside & (actual == 2)
        assert rows[name]["false_negative_rate"]["value"] == pytest.approx((assigned[good] == 0).mean(), abs=1e-6)
        called = inside & (assigned == 2)
        assert rows[name]["precision"]["value"] == pytest.approx((actual[called] == 2).mean(), abs=1e-6)
        assert rows[name]["precision"]["low"] <= rows[name]["precision"]["value"] <= rows[name]["precision"]["high"]
    ratio = min(refused.values()) / max(refused.values())
    least = found["least_ratios"]["not_refused"]
    assert least["value"] == pytest.approx(ratio, abs=1e-3)
    assert least["low"] < ratio < least["high"]
    assert found["reference"] == max(refused, key=lambda name: refused[name])


def test_features_that_stand_in_for_a_group_are_found_and_chance_is_called_chance(
    judged: Judged, ids: pl.Series
) -> None:
    income = np.nan_to_num(judged.examples.matrix[:, 1])
    by_income = np.where(income > np.median(income), "rich", "poor")
    told = fairness(judged, ids, groups(ids, by_income.tolist()))["proxy"]
    assert told["auc"]["rich"]["low"] > 0.95
    assert "may stand in for it" in told["verdict"]
    assert "annual_income" in told["strongest"][:1]
    by_chance = np.random.default_rng(1).choice(["x", "y"], len(ids))
    chance = fairness(judged, ids, groups(ids, by_chance.tolist()))["proxy"]
    assert "no better than chance" in chance["verdict"]


def test_groups_that_do_not_fit_are_refused(judged: Judged, ids: pl.Series) -> None:
    applications = pl.DataFrame({"application_id": ids})
    whole = groups(ids, ["a"] * len(ids))
    wrong = {
        "2 application_ids are not among": pl.concat([whole, groups(pl.Series(["zz1", "zz2"]), ["a", "b"])]),
        "must be present and not repeated": pl.concat([whole, whole.head(1)]),
        "column group is missing": whole.drop("group"),
    }
    for message, table in wrong.items():
        with pytest.raises(InputError, match=message) as found:
            read_groups(table, applications)
        assert "zz1" not in str(found.value)
    with pytest.raises(InputError, match="1 groups have 50 judged customers"):
        fairness(judged, ids, read_groups(whole, applications))


@pytest.mark.slow
def test_the_command_adds_fairness_and_leaves_the_bundle_alone(
    bundle: Path, credit: Credit, dataset: Dataset, tmp_path: Path
) -> None:
    for name in ("applications", "events", "labels"):
        getattr(dataset, name).write_parquet(tmp_path / f"{name}.parquet")
    ids = dataset.labels["application_id"]
    member = np.where(np.arange(len(ids)) % 3 == 0, "violet", "orange")
    groups(ids, member.tolist()).write_csv(tmp_path / "groups.csv")
    before = {p: p.read_bytes() for p in bundle.rglob("*") if p.is_file()}
    arguments = ("--data", tmp_path, "--groups", tmp_path / "groups.csv", "--card", tmp_path / "card.md")
    done = credit("report", bundle, "--out", tmp_path / "report.html", *arguments)
    assert done.returncode == 0, done.stderr
    assert "Least adverse impact ratio, not refused:" in done.stdout
    assert "Least adverse impact ratio, called Good:" in done.stdout
    page = (tmp_path / "report.html").read_text()
    assert "all customers of the training data, each by models that had not seen it" in page
    for text in (page, (tmp_path / "card.md").read_text(), done.stdout):
        assert "violet" in text
        assert "orange" in text
    assert {p: p.read_bytes() for p in bundle.rglob("*") if p.is_file()} == before
    assert not any(b"violet" in content for content in before.values())
    over = credit("report", bundle, "--out", tmp_path / "labels.parquet", *arguments[:2])
    assert over.returncode == 2
    assert "Choose another place" in over.stderr
    unknown = groups(pl.Series(["nobody"]), ["a"])
    unknown.write_csv(tmp_path / "groups.csv")
    refused = credit("report", bundle, "--out", tmp_path / "other.html", *arguments[:4])
    assert refused.returncode == 1
    assert "1 application_ids are not among the applications" in refused.stderr
    assert not (tmp_path / "other.html").exists()
