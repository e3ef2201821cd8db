"""Do reasons hold: contradicting and weak ones among the refused, and whether putting the first one right helps.

    python -m benchmarks.reason_quality synthetic
    python -m benchmarks.reason_quality credit_score_panel.parquet 5000    # its first so many customers

Before: the rule of bundles of format 2 (medians of all, every state may be named) on the same model. After: this code.
Both are judged by the directions that the book freezes (declared, else by dependence) and the medians of the Good.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from features.spec.directions import feature_directions
from features.spec.file import parse_spec
from model_export.reasons import Applicants, make_book
from model_export.trees.tabulate import tabulate
from model_export.trees.trees import from_model
from recipes.kaggle import kaggle
from recipes.synthetic import synthetic
from scoring.reasons.book import ReasonBook
from scoring.reasons.explainer import Explainer
from scoring.reasons.quality import check_reasons
from training.data import TrainingData
from training.run import train

CUSTOMERS = 4000


def main(source: str, customers: int) -> None:
    """Print the shares."""
    dataset = synthetic(customers, seed=1) if source == "synthetic" else kaggle(pl.read_parquet(Path(source)))
    spec = parse_spec(dataset.spec_text)
    chosen = dataset.applications.select("customer_id").unique().sort("customer_id").head(customers)
    applications = dataset.applications.join(chosen, on="customer_id", how="semi", maintain_order="left")
    events = dataset.events.join(chosen, on="customer_id", how="semi", maintain_order="left")
    trained = train(TrainingData(applications, events, dataset.labels), spec)
    matrix, best = trained.features.matrix, len(spec.classes) - 1
    probabilities = trained.calibration.probabilities(trained.model.margins(matrix)).astype(np.float32)
    assigned = trained.policy.assign(probabilities)
    tables = tabulate(from_model(trained.model), trained.calibration.scale)
    book = make_book(spec, tables, Applicants(matrix, assigned == best, feature_directions(spec)), margins=True)
    everybody = make_book(
        spec, tables, Applicants(matrix, np.ones(len(matrix), dtype=bool), feature_directions(spec)), margins=True
    )
    old = ReasonBook(book.language, book.unit, tuple(replace(entry, against=None) for entry in everybody.entries))
    refused = assigned < best
    print(  # noqa: T201
        f"{int(refused.sum())} refused of {len(matrix)}"
    )
    for name, explainer in (("before", Explainer(tables, old)), ("after", Explainer(tables, book))):
        found = check_reasons(explainer, matrix[refused], assigned[refused], Explainer(tables, book))
        after = trained.calibration.probabilities(trained.model.margins(found.after)).astype(np.float32)
        better = trained.policy.assign(after) > assigned[refused]
        print(  # noqa: T201
            f"{name}: contradicting {found.contradicting.mean():.2%}, weak {found.weak.mean():.2%}, first reason "
            f"put right raises the margin {found.risen.mean():.2%}, "
            f"another class {better.mean():.2%}"
        )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else CUSTOMERS)
