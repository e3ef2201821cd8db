"""UCI credit card default: AUC of our pipeline with RFM features on and off, beside XGBoost on the raw columns.

    python -m benchmarks.uci_folds uci_default_of_credit_card_clients.csv

The same 5 folds for all, each judged by models of the others. The raw baseline is what one writes in a notebook: every
column as a number, 100 trees of depth 4.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl
import xgboost
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks.cross_fitted import run_folds
from benchmarks.kaggle_folds import narrowed
from features.matrix import list_features
from features.spec.file import parse_spec
from recipes.uci import uci
from training.data import Examples, TrainingData, label_examples
from training.folds import FOLDS, assign_folds


def main(clients: Path) -> None:
    """Print the AUC of each variant: mean of the folds and its standard error."""
    cells = pl.read_csv(clients, infer_schema=False)
    dataset = uci(cells)
    spec = parse_spec(dataset.spec_text)
    examples, table = label_examples(TrainingData(dataset.applications, dataset.events, dataset.labels), spec)
    order = table.applications["|row"].to_numpy() - 1
    raw = cells.drop("ID", "Default").select(pl.all().cast(pl.Float32)).to_numpy()[order]
    attributes = {attribute.name for attribute in spec.attributes}
    row_columns = np.array([feature.source in attributes for feature in list_features(spec)])
    variants = {"RFM off": narrowed(examples, row_columns), "RFM on": examples}
    for name, some in variants.items():
        _report(name, some, run_folds(spec, some).crossed.margins[:, 0])
    scores = np.zeros(len(examples))
    parameters = {"objective": "binary:logistic", "max_depth": 4, "learning_rate": 0.1, "nthread": 1, "verbosity": 0}
    fold_of = assign_folds(examples, FOLDS, 0)
    for fold in range(FOLDS):
        test = fold_of == fold
        data = xgboost.DMatrix(raw[~test], label=examples.actual[~test])
        scores[test] = xgboost.train(parameters, data, 100).predict(xgboost.DMatrix(raw[test]))
    _report("raw XGBoost", examples, scores)


def _report(name: str, examples: Examples, scores: NDArray[np.float64]) -> None:
    fold_of = assign_folds(examples, FOLDS, 0)
    values = [roc_auc_score(examples.actual[fold_of == f], scores[fold_of == f]) for f in range(FOLDS)]
    error = np.std(values, ddof=1) / np.sqrt(FOLDS)
    print(f"{name:12} AUC {np.mean(values):.4f}, standard error {error:.4f}")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
