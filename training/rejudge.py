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
from training.data import Examples, TrainingData, check_labels, label_examples, split_by_customer
from training.judged import Judged, evaluate_judged
from training.report.content import Content
from training.report.figures import judged_figures
from training.report.files import content_of
from training.run import fingerprint


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
    labelled = check_labels(data.labels, spec.classes)["application_id"]
    ids = table.applications["application_id"]
    ids = ids.filter(ids.is_in(labelled.implode()))
    known = fingerprint(examples) == bundle.manifest["training_data"]["sha256"]
    chosen = _held_out(bundle, examples) if known else np.ones(len(examples), dtype=bool)
    judged = examples.only(chosen)
    model = Model(bundle.model, len(list_features(spec)), len(spec.classes))
    counts = np.bincount(judged.actual, minlength=len(spec.classes))
    return Rejudged(
        judged=Judged(
            spec=spec,
            policy=policy or bundle.policy,
            examples=judged,
            probabilities=model.probabilities(judged.matrix),
            prior=counts / counts.sum(),
        ),
        application_ids=ids.filter(pl.Series(chosen)),
        known=known,
        rejected=int((table.rejects["table"] == "applications").sum()),
    )


def _held_out(bundle: Bundle, examples: Examples) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    evaluation = bundle.manifest["evaluation"]
    split = split_by_customer if "train" in evaluation["rows"] else halves
    customers = split(examples, evaluation["seed"]).test.customers
    return np.isin(examples.customers, customers)


def content_on(bundle: Bundle, rejudged: Rejudged, fairness: dict[str, Any] | None) -> Content:
    """Return the content of a report on what was judged anew; what only the training knew stays as it was."""
    old = content_of(bundle)
    found = judged_figures(rejudged.judged, bundle.explainer.tables)
    figures = {**old.figures, **found, "data": {**old.figures["data"], **found["data"]}}
    if not rejudged.known:
        figures.pop("leaks", None)
    evaluation = {
        **old.facts["evaluation"],
        "held_out_customers": evaluate_judged(rejudged.judged),
        "rejected_applications": rejudged.rejected,
    }
    if not rejudged.known:
        evaluation["held_out_customers_and_later"] = None
    judged = old.judged if rejudged.known else "applications that were given with this report"
    return replace(
        old, facts={**old.facts, "evaluation": evaluation}, figures=figures, judged=judged, fairness=fairness
    )
