"""What letters say is true of the raw tables, by an oracle that knows neither features nor the rule of reasons.

Medians of the applicants rated Good come from the decisions alone; figures come from cells and events as given.
"""

from collections import Counter
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from features.matrix import build_features, list_features
from features.spec.contract import Spec
from features.spec.directions import no_event_ends
from model_export.reasons import _without_nothing
from recipes.dataset import Dataset
from scoring.scorer import Scorer

ROUNDED = 2e-3  # medians in a bundle have four significant digits
LOWEST, HIGHEST = "below", "above"
RANGES = {
    "months_employed": 600,
    "annual_income": 1e7,
    "credit_utilisation": 150,
    "credit_enquiries": 50,
    "outstanding_debt": 1e7,
}
SAID = {  # sentence of the spec: columns of the oracle of which one must lie there
    "Your yearly income is too low.": (LOWEST, ["annual_income"]),
    "You have worked for your present employer for too short a time.": (LOWEST, ["months_employed"]),
    "You use too large a part of your credit card limits.": (HIGHEST, ["credit_utilisation"]),
    "You applied for credit too often in the last year.": (HIGHEST, ["credit_enquiries"]),
    "You owe too much to other lenders.": (HIGHEST, ["outstanding_debt"]),
    "Salary was paid into your account too rarely.": (LOWEST, ["salary_count_90", "salary_count_365"]),
    "Too little salary was paid into your account.": (
        LOWEST,
        ["salary_sum_90", "salary_sum_365", "salary_mean_90", "salary_mean_365"],
    ),
    "Late fees or overdrafts were charged to your account too often.": (
        HIGHEST,
        ["trouble_count_90", "trouble_count_365"],
    ),
    "You pay too many loan instalments.": (HIGHEST, ["instalment_count_90", "instalment_count_365"]),
    "You spend less by card than most applicants who are rated Good.": (
        HIGHEST,
        [f"purchase_{what}_{days}" for what in ("sum", "mean", "min") for days in (30, 90, 365)],
    ),
    "You spend too much by card.": (
        LOWEST,
        [f"purchase_{what}_{days}" for what in ("sum", "mean", "min") for days in (30, 90, 365)],
    ),
    "Late fees and overdrafts on your account were too high.": (
        LOWEST,
        [f"trouble_{what}_{days}" for what in ("sum", "max") for days in (90, 365)],
    ),
}
KINDS = {
    "salary": ["salary"],
    "trouble": ["late_fee", "overdraft"],
    "instalment": ["instalment"],
    "purchase": ["purchase"],
}


def _cells(applications: pl.DataFrame) -> pl.DataFrame:
    """Attributes as numbers, null where they are none or out of range."""
    columns = []
    for name, most in RANGES.items():
        value = pl.col(name).cast(pl.String).str.strip_chars("_ ").cast(pl.Float64, strict=False)
        columns.append(pl.when((value >= 0) & (value <= most)).then(value).alias(name))
    as_of = pl.col("as_of").str.slice(0, 19).str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False).alias("as_of")
    return applications.select("application_id", "customer_id", as_of, *columns)


def _measured(cells: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Counts, sums, means and ends of what moved before `as_of`, straight from a join."""
    naive = events["occurred_at"].cast(pl.Datetime("us")) if events["occurred_at"].dtype != pl.String else None
    instant = (
        naive if naive is not None else events["occurred_at"].str.slice(0, 19).str.to_datetime("%Y-%m-%dT%H:%M:%S")
    )
    moved = events.select("customer_id", "kind", pl.col("amount").cast(pl.Float64), instant.alias("occurred_at"))
    joined = cells.select("application_id", "customer_id", "as_of").join(moved, on="customer_id")
    found = cells
    for group, kinds in KINDS.items():
        for days in (30, 90, 365):
            inside = joined.filter(
                pl.col("kind").is_in(kinds)
                & (pl.col("occurred_at") < pl.col("as_of"))
                & (pl.col("occurred_at") >= pl.col("as_of") - pl.duration(days=days))
            )
            amount, end = pl.col("amount"), f"_{days}"
            own = inside.group_by("application_id").agg(
                pl.len().cast(pl.Float64).alias(f"{group}_count{end}"),
                amount.sum().alias(f"{group}_sum{end}"),
                amount.mean().alias(f"{group}_mean{end}"),
                amount.min().alias(f"{group}_min{end}"),
                amount.max().alias(f"{group}_max{end}"),
            )
            found = found.join(own, on="application_id", how="left")
            found = found.with_columns(pl.col(f"{group}_count{end}", f"{group}_sum{end}").fill_null(0.0))
    return found


def test_no_event_is_the_least_of_what_would_have_happened(dataset: Dataset, spec: Spec) -> None:
    few = dataset.applications.head(200)
    matrix = build_features(few, dataset.events.join(few, on="customer_id", how="semi"), spec).matrix
    ends = dict(zip([feature.name for feature in list_features(spec)], no_event_ends(spec, matrix), strict=True))
    assert ends["trouble_max_90d"] == ends["spending_mean_365d"] == 1, (
        "nothing went out: the largest of amounts below 0"
    )
    assert ends["income_mean_90d"] == ends["income_trend_90d_365d"] == ends["spending_share_30d"] == -1
    assert ends["trouble_days_since_last_365d"] == 1
    assert ends["income_std_90d"] == ends["income_count_90d"] == ends["annual_income"] == 0
    assert _without_nothing(("low", "missing"), 1) == ("low",), "many fees speak against, so none does not"
    assert _without_nothing(("low", "missing"), -1) == ("low", "missing")
    assert _without_nothing(("low", "missing"), 0) == ("low", "missing")
    assert _without_nothing(("missing",), 1) == ("missing",)


def _median(values: pl.Series) -> float:
    return float(np.median(values.drop_nulls().to_numpy()))


@pytest.mark.slow
def test_sentences_are_true_of_the_tables_they_were_made_from(scorer: Scorer, dataset: Dataset) -> None:
    decisions = scorer.score(dataset.applications, dataset.events).decisions
    decided = decisions.select("application_id", "credit_class", "reasons")
    measured = _measured(_cells(dataset.applications), dataset.events).join(decided, on="application_id")
    good = measured.filter(pl.col("credit_class") == "Good")
    medians = {name: _median(good[name]) for name in good.columns if good[name].dtype == pl.Float64}
    lies: dict[str, Callable[[float, float], bool]] = {
        LOWEST: lambda value, median: value <= median + ROUNDED * abs(median),
        HIGHEST: lambda value, median: value >= median - ROUNDED * abs(median),
    }
    checked, wrong, refused, in_spite = 0, [], 0, Counter[str]()
    for row in measured.filter(pl.col("credit_class") != "Good").iter_rows(named=True):
        texts = [reason["text"] for reason in row["reasons"]]
        refused += 1
        in_spite.update([text for text in texts if "did not speak for you" in text][:1])
        for text in texts:
            side, columns = SAID.get(text, ("", []))
            known = [(row[name], medians[name]) for name in columns if row[name] is not None]
            if known:
                checked += 1
                wrong += [] if any(lies[side](value, median) for value, median in known) else [(text, known)]
    assert checked > 200
    assert not wrong, f"{len(wrong)} of {checked}: {wrong[:3]}"
    # by common sense, written into the sentences: what is good for everybody is told as a reason to almost nobody
    assert sum(in_spite.values()) <= 0.05 * refused, f"{in_spite} of {refused}"
