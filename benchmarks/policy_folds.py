"""False negatives and cost under the policy against the argmax, at equal precision too; 5 folds by customer.

    python -m benchmarks.policy_folds kaggle credit_score_panel.parquet
    python -m benchmarks.policy_folds uci uci_default_of_credit_card_clients.csv

Every application is judged once, by a model of the default parameters that never saw its customer. "At equal
precision": the policy with its price of wrong approvals raised or lowered to the first point that is as precise as the
argmax, found on the judged applications themselves. Differences are paired by customer, bootstrapped over customers.
"""

import sys
from pathlib import Path

import polars as pl

from benchmarks.cross_fitted import run_folds
from features.spec.file import parse_spec
from metrics import paired_by_customer
from pages.html import number, percent
from recipes.dataset import Dataset
from recipes.kaggle import kaggle
from recipes.uci import uci
from training.data import TrainingData, label_examples
from training.evaluate.judged import Judged
from training.report.figures.trade_off import named_decisions, trade_off

_AT_PRECISION = "policy_at_the_precision_of_argmax"


def main(name: str, path: Path) -> None:
    """Print the points with intervals and the paired differences to the argmax."""
    judged = _judge(kaggle(pl.read_parquet(path)) if name == "kaggle" else uci(pl.read_csv(path, infer_schema=False)))
    points = trade_off(judged)["points"]
    for point in ("policy", "argmax", _AT_PRECISION):
        found = points[point]
        shown = [f"{key} {percent(found[key], 2)}" for key in ("precision", "recall", "false_negative_rate")]
        print(f"{point}: {', '.join(shown)}, cost {number(found['expected_cost'], 2)}")  # noqa: T201
    decisions = dict(named_decisions(judged))
    actual, customers = judged.examples.actual, judged.examples.customers
    good = actual == len(judged.spec.classes) - 1
    for point in ("policy", _AT_PRECISION):
        saved = judged.costs[actual, decisions["argmax"]] - judged.costs[actual, decisions[point]]
        lost = (decisions["argmax"] == 0).astype(float) - (decisions[point] == 0)
        print(f"{point} against argmax, paired by customer:")  # noqa: T201
        print(f"  cost saved an application {paired_by_customer(saved, customers)}")  # noqa: T201
        print(f"  fewer false negatives {paired_by_customer(lost[good], customers[good])}")  # noqa: T201


def _judge(dataset: Dataset) -> Judged:
    spec = parse_spec(dataset.spec_text)
    examples, _ = label_examples(TrainingData(dataset.applications, dataset.events, dataset.labels), spec)
    return run_folds(spec, examples).crossed.judged


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
