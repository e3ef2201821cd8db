"""A new policy for a bundle: the same model bytes, another class for the same probabilities; nothing is trained."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from features.matrix import build_features, list_features
from features.spec.contract import Spec
from metrics import find
from model_export.freeze_reference import under_policy
from model_export.write_bundle import publish
from scoring.bundle import (
    GOLDEN,
    MODEL,
    POLICY,
    REASONS,
    REFERENCE,
    SHAP,
    SPEC,
    Bundle,
    golden_frame,
    read_reference,
    stored_file,
)
from scoring.decisions import Rules, make_decisions
from scoring.machine import cpu_family, library_versions
from scoring.model import Model
from scoring.policy import Policy
from training.choose_policy import choose_policy
from training.data import Examples
from training.evaluate.judged import Judged, evaluate_judged
from training.evaluate.rejudge import Rejudged
from training.report.content import Content
from training.report.figures.figures import judged_figures
from training.report.figures.histogram import expand
from training.report.figures.slices import without_policy
from training.report.figures.trade_off import trade_off
from training.report.files import STUDY, content_of, report_files

_NO_ID = "00" * 32


def choose_new_policy(bundle: Bundle, asked: Spec) -> Policy:
    """Return the policy with the costs of `asked`; its floors bind on the bundle's histogram of calibration customers.

    Raises:
        FloorsError: no multiplier meets the floors.

    """
    return choose_policy(asked, *expand(content_of(bundle).figures["histogram"]["calibration"]))


def on_histogram(bundle: Bundle, policy: Policy) -> Judged:
    """Return the judged applications as the bundle's histogram has them: no features, no customers, no instants."""
    figures = content_of(bundle).figures
    probabilities, actual, weights = expand(figures["histogram"]["test"])
    rows = np.arange(len(actual))
    examples = Examples(
        matrix=np.empty((len(rows), 0), dtype=np.float32),
        actual=actual,
        customers=rows,
        as_of=np.zeros_like(rows),
        weights=weights,
    )
    known = figures["data"].get("train", figures["data"]["test"])["classes"]
    prior = np.array([known[name] for name in policy.classes], dtype=np.float64)
    return Judged(
        spec=bundle.spec, policy=policy, examples=examples, probabilities=probabilities, prior=prior / prior.sum()
    )


def publish_policy(bundle: Bundle, policy: Policy, bundles: Path, rejudged: Rejudged | None) -> Path:
    """Publish a bundle with another policy; its figures come from `rejudged`, or else from the stored histogram.

    Raises:
        DeliveryError: the bundle could not be written.

    """
    old = content_of(bundle)
    facts = _facts(bundle, old, policy, rejudged)
    figures = _figures(bundle, old, policy, rejudged)
    study = stored_file(bundle, STUDY) if STUDY in bundle.manifest["files"] else None
    contents = {
        MODEL: bundle.model,
        SPEC: bundle.spec.text.encode(),
        POLICY: policy.to_toml().encode(),
        GOLDEN: _golden(bundle, policy),
        SHAP: stored_file(bundle, SHAP),
        REASONS: stored_file(bundle, REASONS),
        **report_files(facts, figures, bundle.spec, policy, study),
    }
    if REFERENCE in bundle.manifest["files"]:
        judged = on_histogram(bundle, policy) if rejudged is None else rejudged.judged
        contents[REFERENCE] = under_policy(read_reference(bundle), judged).to_bytes()
    return publish(contents, facts, bundles)


def _facts(bundle: Bundle, old: Content, policy: Policy, rejudged: Rejudged | None) -> dict[str, Any]:
    held_out = _from_histogram(bundle, old, policy) if rejudged is None else evaluate_judged(rejudged.judged)
    evaluation = {
        **old.facts["evaluation"],
        "held_out_customers": held_out,
        "given": rejudged is not None and not rejudged.known,
        "held_out_customers_and_later": None,  # was judged under the former policy, by a model that was not kept
        "policy_changed": "from the stored histogram" if rejudged is None else "judged again",
    }
    versions = {**old.facts["libraries"], **library_versions("numpy", "polars", "onnxruntime")}
    return {
        **old.facts,
        "evaluation": evaluation,
        "former_bundle": bundle.bundle_id,
        "cpu_family": cpu_family(),
        "libraries": versions,
    }


def _from_histogram(bundle: Bundle, old: Content, policy: Policy) -> dict[str, Any]:
    """Evaluate on the histogram, without intervals: who belongs to which customer is not stored."""
    found = evaluate_judged(on_histogram(bundle, policy))
    found["policy"]["against"] = {
        name: {**gain, "low": None, "high": None} for name, gain in found["policy"]["against"].items()
    }
    for name, part in found.items():
        former = old.evaluation.judged.get(name)
        if former is None:  # of a release without this baseline
            continue
        part.update({name: former[name] for name in ("applications", "customers", "counts") if name in former})
        for metric, figure in part["metrics"].items():
            known = find(metric)
            same = known is not None and not known.of_decisions and metric in former["metrics"]
            part["metrics"][metric] = former["metrics"][metric] if same else {**figure, "low": None, "high": None}
    return found


def _figures(bundle: Bundle, old: Content, policy: Policy, rejudged: Rejudged | None) -> dict[str, Any]:
    if rejudged is not None:
        found = judged_figures(rejudged.judged, bundle.explainer.tables)
        data = {**old.figures["data"], **found["data"]}
        histograms = {**old.figures["histogram"], **found["histogram"]}
        return {**old.figures, **found, "data": data, "histogram": histograms}
    found = trade_off(on_histogram(bundle, policy), intervals=False)
    stale: dict[str, Any] = {name: [without_policy(row) for row in old.figures[name]] for name in ("months", "slices")}
    return {**old.figures, **stale, "trade_off": found, "reasons": None}


def _golden(bundle: Bundle, policy: Policy) -> bytes:
    """Decide the golden rows anew under the policy."""
    spec = bundle.spec
    applications = bundle.golden.select("application").unnest("application")
    events = bundle.golden.select(pl.col("events").explode()).drop_nulls("events").unnest("events")
    table = build_features(applications, events, spec)
    model = Model(bundle.model, len(list_features(spec)), len(spec.classes))
    rules = Rules(spec=spec, policy=policy, explainer=bundle.explainer, bundle_id=_NO_ID)
    decisions = make_decisions(table, model.probabilities(table.matrix), rules)
    buffer = io.BytesIO()
    golden_frame(applications, events, decisions).write_parquet(buffer)
    return buffer.getvalue()
