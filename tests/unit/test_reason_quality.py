"""Reasons hold: none contradicts itself, and putting the first one right raises the margin that is explained."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from features.matrix import list_features
from features.spec.contract import Spec
from model_export.reasons import Applicants, make_book
from model_export.trees.tabulate import tabulate
from model_export.trees.trees import from_model
from recipes.dataset import Dataset
from scoring.model import Model
from scoring.reasons.book import ReasonBook
from scoring.reasons.explainer import Explainer
from scoring.reasons.quality import check_reasons, contradicting
from scoring.scorer import Scorer
from training.data import TrainingData
from training.fit.fit import ModelKind
from training.run import Trained, train

Matrix = NDArray[np.float32]
Refused = tuple[Matrix, NDArray[np.int64]]


def stated(scorer: Scorer, matrix: Matrix) -> Matrix:
    bundle = scorer.bundle
    return Model(bundle.model, matrix.shape[1], len(bundle.spec.classes)).probabilities(matrix)


@pytest.fixture(scope="module")
def refused(trained: Trained, scorer: Scorer) -> Refused:
    matrix = trained.features.matrix
    assigned = scorer.bundle.policy.assign(stated(scorer, matrix))
    below = assigned < len(trained.spec.classes) - 1
    return matrix[below], assigned[below]


def test_reasons_of_the_shipped_spec_hold(scorer: Scorer, refused: Refused) -> None:
    found = check_reasons(scorer.bundle.explainer, *refused)
    assert len(found.weak) > 300
    assert found.contradicting.mean() <= 0.01, "weak ones are not left out"
    assert found.weak.mean() <= 0.05
    assert found.risen[~found.weak].all()
    assert found.risen.mean() >= 0.99


def test_the_rule_of_format_2_would_contradict_itself(scorer: Scorer, refused: Refused) -> None:
    """The same model under the old rule: what the check must be able to find."""
    explainer = scorer.bundle.explainer
    entries = tuple(replace(entry, against=None) for entry in explainer.book.entries)
    old = Explainer(explainer.tables, ReasonBook("en", "log-odds", entries))
    found = check_reasons(old, *refused, explainer)
    assert found.contradicting.mean() > 0.02
    assert contradicting(explainer, refused[0], old.rank(*refused)).tolist() == found.contradicting.tolist()


@pytest.mark.slow
def test_in_a_single_tree_a_first_reason_holds_or_is_flagged_weak(dataset: Dataset, spec: Spec) -> None:
    """A tree is all interaction; before, a first reason that moved nothing was given like any other."""
    data = TrainingData(dataset.applications, dataset.events, dataset.labels)
    trained = train(data, spec, ModelKind.DECISION_TREE)
    matrix, best = trained.features.matrix, len(spec.classes) - 1
    probabilities = trained.calibration.probabilities(trained.model.margins(matrix)).astype(np.float32)
    assigned = trained.policy.assign(probabilities)
    below = assigned < best
    tables = tabulate(from_model(trained.model), trained.calibration.scale)
    book = make_book(spec, tables, Applicants(matrix, ~below), margins=False)
    found, before = (
        check_reasons(Explainer(tables, b), matrix[below], assigned[below])
        for b in (book, replace(book, put_right=False))
    )
    assert len(found.weak) > 300
    assert found.risen[~found.weak].all()
    assert before.risen[~before.weak].mean() < 0.95
    assert found.risen.mean() >= before.risen.mean()
    assert not found.contradicting.any()


def test_the_rise_is_that_of_the_model_scored_again(trained: Trained, scorer: Scorer, refused: Refused) -> None:
    matrix, assigned = refused
    found = check_reasons(scorer.bundle.explainer, matrix, assigned)
    scale = trained.calibration.scale.astype(np.float64)
    rows = np.arange(len(matrix))
    before, after = (trained.model.margins(m)[rows, assigned] for m in (matrix, found.after))
    assert np.abs(scale[assigned] * (after - before) - found.rise).max() < 1e-4


def test_values_are_compared_with_those_who_are_rated_good(trained: Trained, scorer: Scorer) -> None:
    matrix, book = trained.features.matrix, scorer.bundle.explainer.book
    assigned = scorer.bundle.policy.assign(stated(scorer, matrix))
    good = matrix[assigned == 2]
    for i, entry in enumerate(book.entries):
        present = good[~np.isnan(good[:, i]), i]
        assert entry.median == (float(f"{np.median(present):.4g}") if len(present) else None)


def test_declared_directions_decide_what_may_be_named(trained: Trained, spec: Spec) -> None:
    tables = tabulate(from_model(trained.model), trained.calibration.scale)
    matrix = trained.features.matrix
    for direction, side in ((1, "low"), (-1, "high")):
        applicants = Applicants(matrix, np.ones(len(matrix), dtype=bool), [direction] * matrix.shape[1])
        for entry in make_book(spec, tables, applicants, margins=True).entries:
            assert set(entry.against or ()) - {"missing"} == {side}


def test_dependence_decides_where_nothing_is_declared(trained: Trained, spec: Spec) -> None:
    tables = tabulate(from_model(trained.model), trained.calibration.scale)
    matrix = trained.features.matrix
    book = make_book(spec, tables, Applicants(matrix, np.ones(len(matrix), dtype=bool)), margins=True)
    speaks = {entry.feature: entry.against or () for entry in book.entries}
    assert "low" in speaks["annual_income"]
    assert "high" in speaks["credit_utilisation"]
    assert [entry.feature for entry in book.entries] == [feature.name for feature in list_features(spec)]


def test_books_of_format_2_keep_their_rule_and_their_bytes(scorer: Scorer) -> None:
    entries = tuple(replace(entry, against=None) for entry in scorer.bundle.explainer.book.entries)
    book = ReasonBook("en", "log-odds", entries)
    assert not book.directed
    assert all("against" not in feature for feature in book.to_json()["features"])  # type: ignore[attr-defined]
