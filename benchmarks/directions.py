"""What directions of common sense cost, and the sweep that proves them, in each kind of model.

    python -m benchmarks.directions synthetic
    python -m benchmarks.directions credit_score_panel.parquet 2500      # its first so many customers

Prints what all directions cost together (log loss, money an application and its share of the expected cost), what share
of the refused then has a contradicting or weak reason, and a sweep of 1,000,000 comparisons for each kind of model.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

from features.matrix import list_features
from features.spec.contract import Spec
from features.spec.directions import feature_directions
from features.spec.file import parse_spec
from model_export.reasons import Applicants, make_book
from model_export.sweep import Proof, sweep
from model_export.trees.graph import to_onnx
from model_export.trees.tabulate import tabulate
from model_export.trees.trees import from_model
from recipes.kaggle import kaggle
from recipes.synthetic import synthetic
from scoring.model import Model
from scoring.reasons.explainer import Explainer
from scoring.reasons.quality import check_reasons
from training.data import TrainingData
from training.fit.fit import ModelKind
from training.run import Trained, train

COMPARISONS = 1_000_000
CUSTOMERS = 2_500
SENSE = {  # by table of the spec: direction, and whether a group's money comes in
    "synthetic": {
        "attributes.annual_income": ("up",),
        "attributes.months_employed": ("up",),
        "attributes.credit_history": ("up",),
        "attributes.credit_utilisation": ("down",),
        "attributes.credit_enquiries": ("down",),
        "attributes.credit_mix": ("up",),
        "attributes.outstanding_debt": ("down",),
        "rfm.income": ("up", "in"),
        "rfm.trouble": ("down", "out"),
    },
    "kaggle": {
        "attributes.Annual_Income": ("up",),
        "attributes.Interest_Rate": ("down",),
        "attributes.Num_Credit_Inquiries": ("down",),
        "attributes.Delay_from_due_date": ("down",),
        "attributes.Num_of_Delayed_Payment": ("down",),
        "attributes.Outstanding_Debt": ("down",),
        "attributes.Credit_Mix": ("up",),
        "attributes.Credit_History_Age": ("up",),
        "rfm.delay": ("down", "in"),
        "rfm.delayed_payments": ("down", "in"),
        "rfm.enquiries": ("down", "in"),
        "rfm.debt": ("down", "in"),
    },
}


def directed(text: str, name: str) -> Spec:
    """Return the spec of a data set, as version 2, with the directions of common sense."""
    text = text.replace("spec_version = 1", "spec_version = 2")
    for table, words in SENSE[name].items():
        lines = "".join(f'{key} = "{word}"\n' for key, word in zip(("direction", "flow"), words, strict=False))
        if f"[{table}]\n" not in text:
            raise ValueError(f"the spec has no table [{table}]")
        text = text.replace(f"[{table}]\n", f"[{table}]\n{lines}")
    return parse_spec(text)


def proof_of(trained: Trained) -> Proof:
    """Return the exported model of a run, as the sweep asks it."""
    content = to_onnx(from_model(trained.model), trained.calibration.scale, trained.calibration.offset)
    names = [feature.name for feature in list_features(trained.spec)]
    model = Model(content, len(names), len(trained.spec.classes))
    return Proof(model=model, spec=trained.spec, policy=trained.policy, names=names)


def swept(trained: Trained, comparisons: int) -> int:
    """Sweep a trained model and return how many comparisons there were; one against a direction raises ExportError."""
    rows = trained.features.matrix
    many = np.resize(rows, (max(len(rows), comparisons // 10), rows.shape[1])) if comparisons > 10 * len(rows) else rows
    found = sweep(proof_of(trained), from_model(trained.model), feature_directions(trained.spec), many, 2 * comparisons)
    return 0 if found is None else int(found["comparisons"])


def reasons_of(trained: Trained) -> str:
    """Say what share of the refused has contradicting and weak reasons, and how many first reasons hold."""
    matrix, best = trained.features.matrix, len(trained.spec.classes) - 1
    stated = trained.calibration.probabilities(trained.model.margins(matrix)).astype(np.float32)
    assigned = trained.policy.assign(stated)
    tables = tabulate(from_model(trained.model), trained.calibration.scale)
    applicants = Applicants(matrix, assigned == best, feature_directions(trained.spec))
    refused = assigned < best
    explainer = Explainer(tables, make_book(trained.spec, tables, applicants, margins=True))
    found = check_reasons(explainer, matrix[refused], assigned[refused])
    return (
        f"{int(refused.sum()):,} refused: contradicting {found.contradicting.mean():.2%}, "
        f"weak {found.weak.mean():.2%}, first reason put right raises the margin {found.risen.mean():.2%}"
    )


def main(
    source: str, customers: int, comparisons: int = COMPARISONS, kinds: tuple[ModelKind, ...] = tuple(ModelKind)
) -> int:
    """Print prices and sweeps; return the number of comparisons."""
    name = "synthetic" if source == "synthetic" else "kaggle"
    dataset = synthetic(customers, seed=1) if name == "synthetic" else kaggle(pl.read_parquet(Path(source)))
    spec = directed(dataset.spec_text, name)
    chosen = dataset.applications.select("customer_id").unique().sort("customer_id").head(customers)
    applications = dataset.applications.join(chosen, on="customer_id", how="semi", maintain_order="left")
    events = dataset.events.join(chosen, on="customer_id", how="semi", maintain_order="left")
    count = 0
    for kind in kinds:
        trained = train(TrainingData(applications, events, dataset.labels), spec, kind)
        own = swept(trained, comparisons)
        count += own
        paid = trained.evaluation["directions"]["all"]
        whole = trained.evaluation["held_out_customers"]["policy"]["metrics"]["expected_cost"]["value"]
        loss, cost = (
            f"{p['value']:+.4f} ({p['low']:+.4f} to {p['high']:+.4f})" for p in (paid["log_loss"], paid["cost"])
        )
        share = 100 * paid["cost"]["value"] / (whole - paid["cost"]["value"])
        lines = [
            f"{kind}: {len(applications):,} applications, {sum(map(bool, feature_directions(spec)))} features directed",
            f"  cost of directions: log loss {loss}; money {cost}, {share:+.1f} % of {whole:.2f}",
            f"  {reasons_of(trained)}",
            f"  swept {own:,} comparisons, 0 against a direction",
        ]
        print("\n".join(lines), flush=True)  # noqa: T201
    return count


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else CUSTOMERS)
