"""Reasons: the codes that spoke against the applicant most, in the right words, as plain Python finds them."""

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.matrix import build_features, list_features
from features.spec.contract import Spec
from features.why_missing import marks_of
from model_export.reasons import Applicants, make_book
from model_export.trees.native_contributions import native_contributions
from model_export.trees.tabulate import tabulate
from model_export.trees.trees import from_model
from recipes.dataset import Dataset
from scoring.decisions import mark_as_decided
from scoring.reasons.book import FeatureEntry, ReasonBook
from scoring.reasons.explainer import Explainer
from scoring.reasons.shap_tables import ShapTables
from scoring.scorer import Scorer
from training.run import Trained

Records = list[list[dict[str, Any]]]
Rises = dict[str, NDArray[np.bool_]]


def plainly(
    against: NDArray[np.float64],
    matrix: NDArray[np.float32],
    entries: tuple[FeatureEntry, ...],
    rises: Rises | None,
    *,
    best: bool,
) -> Records:
    """The rules of docs/reasons.md in plain Python; `against` is rows x features."""
    result = []
    rows = zip(against.tolist(), matrix.tolist(), marks_of(matrix).tolist(), strict=True)
    for number, (values, row, marks) in enumerate(rows):
        sums: dict[str, float] = defaultdict(float)
        for entry, value in zip(entries, values, strict=True):
            sums[entry.code] += value
        ranked = sorted(sums, key=lambda code: (-float(np.float32(sums[code])), code))
        own = [i for i, entry in enumerate(entries) if speaks(entry, row[i])]
        holding = {entries[i].code for i in own if values[i] > 0}
        strong = [code for code in ranked if np.float32(sums[code]) > 0 and code in holding]
        nearest = [code for code in ranked if code in {entries[i].code for i in own}] or ranked
        told = [(code, False) for code in strong[:4]] or [(nearest[0], True)]
        if rises is not None:
            own_codes = [code for code in nearest if code in {entries[i].code for i in own}]
            tried = [*strong, *[code for code in own_codes if code not in strong]]
            first = next((code for code in tried if rises[code][number]), None)
            if first in strong:
                told = [(code, False) for code in strong[strong.index(first) :][:4]]
            else:
                told = [(first or [*strong, *nearest][0], True)]
        said = [_told(code, sums, values, row, marks, entries) | {"weak": weak} for code, weak in told]
        result.append([] if best else said)
    return result


def rising(
    score: Callable[[NDArray[np.float32]], NDArray[np.float64]],
    matrix: NDArray[np.float32],
    entries: tuple[FeatureEntry, ...],
) -> Rises:
    """For each code and row: does what is explained fall in `score` when the code's features are put right?"""
    right = np.array([np.nan if e.median is None else e.median for e in entries], dtype=np.float32)
    codes = np.array([entry.code for entry in entries])
    before = score(matrix)
    return {code: before - score(np.where(codes == code, right, matrix)) > 1e-5 for code in sorted(set(codes))}


def speaks(entry: FeatureEntry, x: float) -> bool:
    """Whether a value speaks against the applicant in the feature's own direction."""
    if entry.against is None:
        return True
    if math.isnan(x):
        return "missing" in entry.against
    median = -math.inf if entry.median is None else np.float32(entry.median)
    return bool((x > median and "high" in entry.against) or (x < median and "low" in entry.against))


def _told(  # noqa: PLR0913, PLR0917 - an oracle in plain Python
    code: str,
    sums: dict[str, float],
    values: list[float],
    row: list[float],
    marks: list[int],
    entries: tuple[FeatureEntry, ...],
) -> dict[str, Any]:
    members = [i for i, entry in enumerate(entries) if entry.code == code]
    members = [i for i in members if speaks(entries[i], row[i])] or members
    largest = max(members, key=lambda i: values[i])
    entry, x = entries[largest], row[largest]
    if math.isnan(x):
        text = (entry.missing, entry.unusable or entry.missing, *[own for _, own in entry.codes])[marks[largest]]
    elif entry.median is None or x > np.float32(entry.median):
        text = entry.high
    elif x < np.float32(entry.median):
        text = entry.low
    else:
        text = getattr(entry, entry.at_median)
    return {"code": code, "text": text, "contribution": sums[code]}


def close(found: Records, expected: Records, tolerance: float) -> None:
    assert [len(row) for row in found] == [len(row) for row in expected]
    for ours, theirs in zip(found, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert {**a, "contribution": 0} == {**b, "contribution": 0}
            assert abs(a["contribution"] - b["contribution"]) <= tolerance


def test_reasons_are_those_of_xgboosts_own_contributions(trained: Trained, scorer: Scorer, dataset: Dataset) -> None:
    decisions = scorer.score(dataset.applications, dataset.events).decisions
    table = build_features(dataset.applications, dataset.events, trained.spec)
    mark_as_decided(table, scorer.bundle.explainer, trained.spec)
    matrix = table.matrix
    native = native_contributions(trained.model, from_model(trained.model), matrix)
    scale = trained.calibration.scale.astype(np.float64)
    for index, name in enumerate(trained.spec.classes):
        rows = (decisions["credit_class"] == name).to_numpy()
        assert rows.sum() > 20
        against = -scale[min(index, 1)] * native[rows, :, min(index, 1)]  # better than the class, given at least it
        entries, number = scorer.bundle.explainer.book.entries, min(index, 1)

        def score(changed: NDArray[np.float32], number: int = number) -> NDArray[np.float64]:
            return np.asarray(-scale[number] * trained.model.margins(changed)[:, number], dtype=np.float64)

        rises = rising(score, matrix[rows], entries)
        expected = plainly(against, matrix[rows], entries, rises, best=index == 2)
        close(decisions.filter(rows)["reasons"].to_list(), expected, 1e-5)


def test_each_class_below_the_best_has_one_to_four_reasons_and_the_best_none(scorer: Scorer, dataset: Dataset) -> None:
    decisions = scorer.score(dataset.applications, dataset.events).decisions
    counts = decisions.group_by("credit_class").agg(pl.col("reasons").list.len().unique())
    by_class = {name: set(found) for name, found in counts.iter_rows()}
    assert by_class["Good"] == {0}
    assert by_class["Poor"] | by_class["Standard"] <= {1, 2, 3, 4}
    reasons = decisions.explode("reasons").drop_nulls("reasons").unnest("reasons")
    assert (reasons.filter(~pl.col("weak"))["contribution"] > 0).all()
    assert set(reasons["code"]) <= {reason.code for reason in scorer.bundle.spec.reasons}


def test_where_nothing_spoke_against_the_applicant_the_nearest_reason_is_flagged_weak(
    scorer: Scorer, dataset: Dataset
) -> None:
    """A policy that refuses everybody refuses those too for whom every code speaks."""
    matrix = build_features(dataset.applications, dataset.events, scorer.bundle.spec).matrix
    explainer = scorer.bundle.explainer
    refused = explainer.reasons(matrix, np.zeros(len(matrix), dtype=np.int64))
    weak = refused.list.eval(pl.element().struct.field("weak")).list.any()
    assert 0 < weak.sum() < len(matrix)
    assert (refused.filter(weak).list.len() == 1).all()
    against = explainer.tables.against(matrix, 0).T
    rises = rising(lambda rows: explainer.tables.against(rows, 0).sum(axis=0), matrix, explainer.book.entries)
    close(refused.to_list(), plainly(against, matrix, explainer.book.entries, rises, best=False), 1e-6)


@st.composite
def explained(draw: st.DrawFn) -> tuple[Explainer, NDArray[np.float32]]:
    """Trees of single splits over few features and values, so that ties and missing values abound."""
    count = draw(st.integers(1, 7))
    codes = draw(st.lists(st.sampled_from("ABCDEF"), min_size=count, max_size=count))
    directed = draw(st.booleans())
    entries = tuple(
        FeatureEntry(
            feature=f"f{i}",
            code=code,
            high=f"high {i}",
            low=f"low {i}",
            missing=f"missing {i}",
            median=draw(st.sampled_from([None, 0.0, 1.0])),
            at_median=draw(st.sampled_from(["high", "low"])),
            against=draw(st.sets(st.sampled_from(["high", "low", "missing"])).map(sorted).map(tuple))
            if directed
            else None,
        )
        for i, code in enumerate(codes)
    )
    weights = draw(st.lists(st.integers(-2, 2), min_size=2 * count, max_size=2 * count))
    tables = ShapTables(
        shape=np.array([count, 2], dtype=np.int32),
        condition_feature=np.arange(count, dtype=np.int32),
        threshold=np.ones(count, dtype=np.float32),
        at_least=np.zeros(count, dtype=np.bool_),
        group_conditions=np.array([[i, *[count] * 7] for i in range(count)], dtype=np.int32),
        entry_group=np.arange(count, dtype=np.int32),
        entry_feature=np.arange(count, dtype=np.int32),
        entry_class=np.zeros(count, dtype=np.int32),
        entry_start=np.arange(0, 2 * count, 2, dtype=np.int32),
        table=np.array(weights, dtype=np.int32),
        step=np.array(0.25),
        base_values=np.zeros(2),
        scale=np.ones(2),
    )
    cells = st.lists(st.sampled_from([0.0, 1.0, 2.0, np.nan]), min_size=count, max_size=count)
    rows = draw(st.lists(cells, min_size=1, max_size=8))
    book = ReasonBook("en", "log-odds", entries, put_right=directed and draw(st.booleans()))
    return Explainer(tables, book), np.array(rows, dtype=np.float32)


@given(explained())
def test_ties_go_by_code_and_words_follow_the_largest_member(case: tuple[Explainer, NDArray[np.float32]]) -> None:
    explainer, matrix = case
    found = explainer.reasons(matrix, np.zeros(len(matrix), dtype=np.int64))
    entries, rises = explainer.book.entries, None
    if explainer.book.put_right:
        rises = rising(lambda rows: explainer.tables.against(rows, 0).sum(axis=0), matrix, entries)
    expected = plainly(explainer.tables.against(matrix, 0).T, matrix, entries, rises, best=False)
    close(found.to_list(), expected, 0)
    for i in range(len(matrix)):
        alone = explainer.reasons(matrix[i : i + 1], np.zeros(1, dtype=np.int64))
        assert alone.equals(found[i : i + 1])
    many = explainer.reasons(np.tile(matrix, (60, 1)), np.zeros(60 * len(matrix), dtype=np.int64))
    assert many[: len(matrix)].equals(found)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3, np.nan], (2.0, "high")),  # contributions rise with the value
        ([0, 0, 0, 5], (0.0, "low")),  # the least value: 0 late fees are few, never many
        ([-5, 0, 0, 0], (0.0, "high")),
        ([1, 1, 1, 1], (1.0, "low")),
        ([np.nan] * 4, (None, "high")),
        ([123456.7, 123456.7, 0, 123456.7], (123500.0, "high")),  # four digits: no customer's exact income
    ],
)
def test_the_reference_median_and_how_a_value_at_it_reads(
    values: list[float], expected: tuple[float | None, str], spec: Spec, trained: Trained
) -> None:
    tables = tabulate(from_model(trained.model), trained.calibration.scale)
    names = [feature.name for feature in list_features(spec)]
    column = names.index("outstanding_debt")  # more debt speaks against the applicant
    matrix = np.repeat(trained.features.matrix[:4], 100, axis=0)
    matrix[:, column] = np.repeat(np.array(values, dtype=np.float32), 100)
    if expected[0] == 2.0:
        matrix[:, column] *= 1000
        expected = (2000.0, "high")
    everybody = Applicants(matrix, np.ones(len(matrix), dtype=bool))
    entry = make_book(spec, tables, everybody, margins=True).entries[column]
    assert (entry.median, entry.at_median) == expected
