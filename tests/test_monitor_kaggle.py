"""Real decay: the Kaggle panel, whose labels are redrawn at April and July, watched month by month."""

import json
import shutil

import polars as pl
import pytest

from tests.conftest import Credit, real_data


@pytest.fixture(scope="module")
def watched(credit: Credit, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """A model of months 1 to 3, and what `credit monitor` says about each later month."""
    folder = tmp_path_factory.mktemp("kaggle")
    assert credit("dataset", "kaggle", real_data("credit_score_panel.parquet"), "--out", folder / "all").returncode == 0
    applications, labels = (pl.read_parquet(folder / f"all/{name}.parquet") for name in ("applications", "labels"))
    for name, months in (("train", (1, 2, 3)), *[(str(month), (month,)) for month in (4, 6, 7, 8)]):
        own = applications.filter(pl.col("as_of").dt.month().is_in(months))
        (folder / name).mkdir()
        own.write_parquet(folder / name / "applications.parquet")
        labels.join(own, on="application_id", how="semi").write_parquet(folder / name / "labels.parquet")
        shutil.copy(folder / "all/events.parquet", folder / name)
    shutil.copy(folder / "all/spec.toml", folder / "train")
    trained = credit("train", folder / "train", "--bundles", folder / "bundles")
    assert trained.returncode == 0, trained.stderr
    bundle, found = trained.stdout.splitlines()[-1], {}
    for month in ("4", "6", "7", "8"):
        data, out = folder / month, folder / f"{month}.html"
        inputs = ("--applications", data / "applications.parquet", "--events", data / "events.parquet")
        assert credit("score", "--bundle", bundle, *inputs, "--out", data / "decisions.parquet").returncode == 0
        source = ("--decisions", data / "decisions.parquet", *inputs, "--labels", data / "labels.parquet")
        assert credit("monitor", *source, "--bundle", bundle, "--out", out).returncode == 8
        found[month] = json.loads(out.with_suffix(".json").read_text())
    return found


def accuracy(found: dict[str, object]) -> tuple[float, float]:
    """As it came true, and at training."""
    cohort = found["outcomes"]["cohorts"][0]  # type: ignore[index]
    metric = next(m for m in cohort["metrics"] if m["metric"] == "accuracy")
    assert metric["alarm"]
    assert metric["surprising"], "the estimate from probabilities cannot see it, and the page says so"
    return metric["value"], metric["trained"]


def test_the_falls_at_april_and_july_are_seen_and_put_down_to_the_concept(
    watched: dict[str, dict[str, object]],
) -> None:
    by_month = {month: accuracy(found)[0] for month, found in watched.items()}
    trained = accuracy(watched["4"])[1]
    assert trained > 0.75
    assert trained - by_month["4"] > 0.06
    assert abs(by_month["4"] - by_month["6"]) < 0.02, "level between the steps"
    assert by_month["6"] - by_month["7"] > 0.03
    assert abs(by_month["7"] - by_month["8"]) < 0.02
    for found in watched.values():
        assert found["light"] == "red"
        assert found["statement"]["state"] == "contradicted"  # type: ignore[index]
        falls = found["outcomes"]["falls"]  # type: ignore[index]
        assert {fall["named"] for fall in falls if fall["metric"] == "accuracy"} == {"concept"}
        assert "comes from the concept" in str(found["headline"])
