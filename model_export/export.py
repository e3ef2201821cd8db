"""Export a trained model: trees, graph, parity gate, golden rows, bundle."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit

from features.matrix import build_features, list_features
from features.reason_codes import complete_reasons
from features.spec.directions import feature_directions
from metrics import Evaluation
from model_export.adversarial import Case, adversarial_cases
from model_export.freeze_reference import make_reference
from model_export.gate import check_parity
from model_export.golden_inputs import invent
from model_export.reasons import Applicants, check_contributions, make_book
from model_export.sweep import Proof, sweep
from model_export.trees.graph import to_onnx
from model_export.trees.native_contributions import native_contributions
from model_export.trees.tabulate import tabulate
from model_export.trees.trees import Ensemble, from_model
from model_export.write_bundle import publish
from scoring.bundle import GOLDEN, MODEL, POLICY, REASONS, REFERENCE, SHAP, SPEC, canonical_json, golden_frame
from scoring.decisions import Rules, make_decisions
from scoring.machine import cpu_family, library_versions
from scoring.model import Model
from scoring.reasons import Explainer, ShapTables
from training.fit import Fit
from training.report.figures.figures import Sides, training_figures
from training.report.figures.reason_figures import reason_figures
from training.report.files import report_files
from training.run import Trained

_NO_ID = "00" * 32
_OWN_ROWS = 2000
_SWEPT_ROWS = 4000


def export(trained: Trained, bundles: Path) -> Path:
    """Convert, prove and publish; return the bundle's folder.

    Raises:
        ExportError: the model has a part that does not export faithfully, or the parity gate found a difference.
        SpecError: a feature has no reason code.
        DeliveryError: the bundle could not be written.

    """
    return export_ensemble(trained, from_model(trained.model), bundles)


def export_ensemble(trained: Trained, ensemble: Ensemble, bundles: Path) -> Path:
    """Export with these trees, which the gate compares with the native model of `trained`."""
    spec, policy = trained.spec, trained.policy
    content = to_onnx(ensemble, trained.calibration.scale, trained.calibration.offset)
    names = [reason.feature for reason in complete_reasons(spec)]
    model = Model(content, len(names), len(spec.classes))
    applications, events = invent(spec)
    golden = build_features(applications, events, spec)

    def native(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        return trained.calibration.probabilities(trained.model.margins(rows))

    cases = [Case("golden", golden.matrix, np.full(len(golden.matrix), -1)), *adversarial_cases(ensemble)]
    cases += _own_applications(trained)
    certificate = check_parity(cases, native, model.probabilities, policy, names)
    proof = Proof(model=model, spec=spec, policy=policy, names=names)
    swept = np.concatenate([_some_rows(trained.features.matrix), golden.matrix])
    certificate["directions"] = sweep(proof, ensemble, feature_directions(spec), swept)
    tables = tabulate(ensemble, trained.calibration.scale)
    certificate["contributions"] = _check_tables(trained, ensemble, tables, cases)
    matrix = trained.features.matrix
    rated = policy.assign(model.probabilities(matrix))
    applicants = Applicants(matrix, rated == len(spec.classes) - 1, feature_directions(spec))
    book = make_book(spec, tables, applicants, margins=ensemble.least_probability is None)
    rules = Rules(spec=spec, policy=policy, explainer=Explainer(tables, book), bundle_id=_NO_ID)
    decisions = make_decisions(golden, model.probabilities(golden.matrix), rules)
    contents = {
        MODEL: content,
        SPEC: spec.text.encode(),
        POLICY: policy.to_toml().encode(),
        GOLDEN: _parquet(golden_frame(applications, events, decisions)),
        SHAP: tables.to_bytes(),
        REASONS: canonical_json(book.to_json()),
        REFERENCE: make_reference(trained.features, trained.judged, tables).to_bytes(),
    }
    model_facts = {
        "trees": sum(not tree.is_nothing for tree in ensemble.trees),
        "depth": max(tree.depth for tree in ensemble.trees),
        "features": names,
        "form": "ordinal" if ensemble.ordinal else "softmax",
    }
    facts = _facts(trained, model_facts, certificate)
    return publish({**contents, **_report(trained, rules.explainer, facts)}, facts, bundles)


def _own_applications(trained: Trained) -> list[Case]:
    """Return applications of the owner of an adopted model, whose predictions may have been compared with it."""
    rows = trained.features.matrix
    some = np.unique(np.linspace(0, len(rows) - 1, min(_OWN_ROWS, len(rows))).astype(int))
    return [] if trained.source is None else [Case("own applications", rows[some], np.full(len(some), -1))]


def _some_rows(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows from all over the matrix, in an order that mixes them."""
    chosen = np.unique(np.linspace(0, len(matrix) - 1, min(len(matrix), _SWEPT_ROWS)).astype(int))
    some: NDArray[np.float32] = matrix[np.random.default_rng(0).permutation(chosen)]
    return some


def _facts(trained: Trained, model: dict[str, object], certificate: dict[str, Any]) -> dict[str, object]:
    return {
        "name": trained.spec.name,
        "model": {
            "kind": str(trained.model.kind),
            **model,
            "recipe": None if trained.plan is None else trained.plan.to_json(),
            **({"source": trained.source} if trained.source else {}),
        },
        "training_data": {"sha256": trained.fingerprint},
        "evaluation": {**trained.evaluation, "origin": str(Evaluation.of_facts(trained.evaluation).origin)},
        "parity": certificate,
        "cpu_family": cpu_family(),
        "libraries": library_versions("numpy", "polars", "onnxruntime", "xgboost-cpu", "scikit-learn", "skl2onnx"),
    }


def _report(trained: Trained, explainer: Explainer, facts: dict[str, object]) -> dict[str, bytes]:
    fitted = Fit(trained.model, trained.calibration, trained.policy)
    sides = Sides(split=trained.split, fold_of=trained.fold_of, stated=trained.stated)
    figures = training_figures(trained.judged, sides, fitted, explainer.tables)
    judged = trained.judged.examples.matrix
    figures["reasons"] = reason_figures(explainer, judged, fitted.probabilities, trained.policy)
    study = None if trained.tuned is None else trained.tuned.trials.write_csv().encode()
    return report_files(facts, figures, trained.spec, trained.policy, study)


def _check_tables(trained: Trained, ensemble: Ensemble, tables: ShapTables, cases: list[Case]) -> dict[str, object]:
    def native(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        return native_contributions(trained.model, ensemble, rows)

    def raw(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        margins = trained.model.margins(rows)
        if ensemble.least_probability is None:
            return margins
        return expit(margins) if ensemble.ordinal else np.exp(margins)

    names = [feature.name for feature in list_features(trained.spec)]
    return check_contributions(cases, native, raw, tables, names)


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
