"""Judge the model of a bundle by labelled applications: held-out customers of its training data, or new ones."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from features.matrix import list_features
from scoring.bundle import Bundle
from scoring.model import Model
from scoring.policy import Policy
from training.adopt import halves
from training.data import Examples, TrainingData, label_examples, split_by_customer, usable_examples
from training.evaluate.judged import Judged, evaluate_judged
from training.fit.cross_fit import judge_folds, out_of_fold
from training.fit.recipe import Plan
from training.folds import assign_folds, hold_out
from training.report.content import Content
from training.report.figures.figures import judged_figures
from training.report.figures.reason_figures import reason_figures
from training.report.files import content_of
from training.run import CROSS_FITTED, HOLDOUT, fingerprint
from training.weights import weighted_shares

__all__ = ["Rejudged", "content_on", "rejudge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejudged:
    """The judged applications with their ids, in the same order.

    `known` tells whether the data is what the model was trained on; then only its held-out customers are judged.
    """

    judged: Judged
    application_ids: pl.Series
    known: bool
    rejected: int


def rejudge(bundle: Bundle, data: TrainingData, policy: Policy | None = None) -> Rejudged:
    """Score `data` with the bundle's model, under its policy or another one.

    Raises:
        InputError: the data cannot be used.
        BundleError: the model does not load.

    """
    spec = bundle.spec
    examples, table = label_examples(data, spec)
    ids = table.applications["application_id"].filter(pl.Series(usable_examples(data, table, spec)[0]))
    known = fingerprint(examples) == bundle.manifest["training_data"]["sha256"]
    by_folds = known and bundle.manifest["evaluation"].get("protocol") == CROSS_FITTED
    chosen = np.ones(len(examples), dtype=bool) if by_folds or not known else _held_out(bundle, examples)
    judged = examples.only(chosen)
    return Rejudged(
        judged=Judged(
            spec=spec,
            policy=policy or bundle.policy,
            examples=judged,
            probabilities=_by_folds(bundle, judged) if by_folds else _probabilities(bundle, judged),
            prior=weighted_shares(judged.actual, judged.weights, len(spec.classes)),
        ),
        application_ids=ids.filter(pl.Series(chosen)),
        known=known,
        rejected=int((table.rejects["table"] == "applications").sum()),
    )


def _held_out(bundle: Bundle, examples: Examples) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    evaluation = bundle.manifest["evaluation"]
    if evaluation.get("protocol") == HOLDOUT:
        _, test = hold_out(examples, evaluation["holdout"], evaluation["seed"])
        return np.isin(examples.customers, [] if test is None else test.customers)
    split = split_by_customer if "train" in evaluation["rows"] else halves
    return np.isin(examples.customers, split(examples, evaluation["seed"]).test.customers)


def _probabilities(bundle: Bundle, examples: Examples) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    model = Model(bundle.model, len(list_features(bundle.spec)), len(bundle.spec.classes))
    return model.probabilities(examples.matrix)


def _by_folds(bundle: Bundle, examples: Examples) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Grow the models of the training's folds anew and let each state its fold: the published model saw everybody."""
    plan = Plan.from_json(bundle.manifest["model"]["recipe"])
    fold_of = assign_folds(examples, plan.folds, plan.seed)
    return judge_folds(bundle.spec, examples, out_of_fold(examples, plan, fold_of), fold_of).probabilities


def content_on(bundle: Bundle, rejudged: Rejudged, fairness: dict[str, Any] | None) -> Content:
    """Return the content of a report on what was judged anew; what only the training knew stays as it was."""
    old = content_of(bundle)
    found = judged_figures(rejudged.judged, bundle.explainer.tables)
    model = Model(bundle.model, len(list_features(bundle.spec)), len(bundle.spec.classes))
    matrix = rejudged.judged.examples.matrix
    found["reasons"] = reason_figures(bundle.explainer, matrix, model.probabilities, bundle.policy)
    figures = {**old.figures, **found, "data": {**old.figures["data"], **found["data"]}}
    if not rejudged.known:
        figures.pop("leaks", None)
    evaluation = {
        **old.facts["evaluation"],
        "given": not rejudged.known,
        "held_out_customers": evaluate_judged(rejudged.judged),
        "rejected_applications": rejudged.rejected,
    }
    if not rejudged.known:
        evaluation["held_out_customers_and_later"] = None
    return replace(old, facts={**old.facts, "evaluation": evaluation}, figures=figures, fairness=fairness)
