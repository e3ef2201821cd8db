"""The training table: features with labels, and who belongs to which side of the splits."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.applications import identifier
from features.cells.instant_advice import instant_advice
from features.errors import InputError
from features.matrix import FeatureTable, build_features
from features.sampling_weights import sampling_weights
from features.spec.class_values import match_classes, without_class
from features.spec.contract import Spec
from training.weights import class_weights, normalised

__all__ = ["Examples", "TrainingData", "label_examples"]

SHARES = {"train": 0.65, "calibration": 0.15, "test": 0.20}
_LEAST_CUSTOMERS = 60


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The canonical tables of a training run.

    `truth`, known for synthetic data alone: application_id and the best probabilities that anyone could state.
    """

    applications: pl.DataFrame
    events: pl.DataFrame
    labels: pl.DataFrame
    truth: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Labelled feature rows. `customers` are codes, `as_of` microseconds, `actual` class indices, worst first.

    `truth` as in `TrainingData`, one column per class. `weights`, where the spec asks for them, say how many applicants
    each row stands for (mean 1, all above 0); `class_weights` is what rows of each class are multiplied by in fits.
    """

    matrix: NDArray[np.float32]
    actual: NDArray[np.int64]
    customers: NDArray[np.int64]
    as_of: NDArray[np.int64]
    truth: NDArray[np.float32] | None = None
    weights: NDArray[np.float64] | None = None
    class_weights: NDArray[np.float64] | None = None

    def only(self, wanted: NDArray[np.bool_]) -> "Examples":
        """Select rows by mask."""
        return Examples(
            matrix=self.matrix[wanted],
            actual=self.actual[wanted],
            customers=self.customers[wanted],
            as_of=self.as_of[wanted],
            truth=None if self.truth is None else self.truth[wanted],
            weights=None if self.weights is None else self.weights[wanted],
            class_weights=self.class_weights,
        )

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.actual)

    @property
    def counted_in_fits(self) -> NDArray[np.float64] | None:
        """What each row counts in a fit: its own weight times that of its class; None: one each."""
        if self.class_weights is None:
            return self.weights
        own = self.class_weights[self.actual] * (1 if self.weights is None else self.weights)
        return np.asarray(own / own.mean()) if len(own) else own


@dataclass(frozen=True, slots=True)
class Split:
    """Examples by side: who was fitted on, who gave calibration and policy, who was judged.

    No customer is on two sides. In a cross-fitted run each side is everybody, and folds keep customers apart.
    """

    train: Examples
    calibration: Examples
    test: Examples


def label_examples(data: TrainingData, spec: Spec) -> tuple[Examples, FeatureTable]:
    """Build features and join the labels. Applications without a label, and rejected ones, are left out.

    Raises:
        InputError: the labels lack a column, repeat an application, name an unknown class, or match too few rows.

    """
    table = build_features(data.applications, data.events, spec)
    _check_instants(data, table.rejects)
    classes = check_labels(data.labels, spec)
    if table.applications["application_id"].is_duplicated().any():
        raise InputError("applications: an application_id is repeated. Training needs each application once.")
    joined = table.applications.select("application_id", "customer_id", "as_of").join(
        classes, on="application_id", how="left", maintain_order="left"
    )
    customers = joined["customer_id"].rank("dense").cast(pl.Int64).to_numpy() - 1
    examples = Examples(
        matrix=table.matrix,
        actual=joined["actual"].fill_null(-1).to_numpy(),
        customers=customers,
        as_of=joined["as_of"].to_numpy(),
        truth=_truth(data.truth, joined, spec),
    )
    usable, weights = usable_examples(data, table, spec)
    labelled = examples.only(usable)
    _check_size(labelled, table.rejects, spec)
    weights = None if weights is None else normalised(weights)
    return replace(labelled, weights=weights, class_weights=class_weights(labelled.actual, weights, spec)), table


def usable_examples(
    data: TrainingData, table: FeatureTable, spec: Spec
) -> tuple[NDArray[np.bool_], NDArray[np.float64] | None]:
    """Return a mask of the applications of `table` that have a label and count, and the weights of those in the mask.

    Raises:
        InputError: labels or weights are unusable.

    """
    ids = table.applications["application_id"]
    usable = ids.is_in(check_labels(data.labels, spec)["application_id"].implode()).to_numpy()
    tables = {"labels": data.labels, "applications": data.applications}
    weights = sampling_weights(tables, ids.filter(pl.Series(usable)), spec)
    if weights is None:
        return usable, None
    counted = weights > 0
    usable = usable.copy()
    usable[usable] = counted
    return usable, weights[counted]


def _check_instants(data: TrainingData, rejects: pl.DataFrame) -> None:
    codes = dict(rejects["code"].value_counts().iter_rows())
    advice = instant_advice(data.applications, data.events, codes, data.applications.height)
    if advice:
        raise InputError(f"applications: most are rejected, because instants are not read. {advice}")


def _truth(truth: pl.DataFrame | None, joined: pl.DataFrame, spec: Spec) -> NDArray[np.float32] | None:
    """Put the best reachable probabilities into the order of the applications; None if they are not all known."""
    columns = list(spec.probability_columns)
    if truth is None or not {"application_id", *columns} <= set(truth.columns):
        return None
    known = truth.select("application_id", *columns).unique("application_id")
    table = joined.select("application_id").join(known, on="application_id", how="left", maintain_order="left")
    if table.select(pl.any_horizontal(pl.all().is_null().any())).item():
        return None
    return table.select(pl.col(name).cast(pl.Float32) for name in columns).to_numpy()


def check_labels(labels: pl.DataFrame, spec: Spec) -> pl.DataFrame:
    """Return labels as (application_id, actual), `actual` being the index of the class. Rows without one are left out.

    Raises:
        InputError: a column is missing, an application repeated or a class unknown.

    """
    missing = [name for name in ("application_id", "credit_class") if name not in labels.columns]
    if missing:
        raise InputError(f"labels: column {', '.join(missing)} is missing. Expected application_id and credit_class.")
    ids = labels.select(identifier(labels.schema, "labels", "application_id")).to_series()
    if ids.is_duplicated().any() or ids.null_count():
        raise InputError("labels: application_id must be present and not repeated. Keep one label per application.")
    actual = match_classes(labels["credit_class"], spec)
    unknown = int((actual.is_null() & ~without_class(labels["credit_class"], spec)).sum())
    if unknown:
        raise InputError(
            f"labels: {unknown} rows have a credit_class that is none of {', '.join(spec.classes)}. "
            "Correct them, or declare the class in the spec."
        )
    return pl.DataFrame({"application_id": ids, "actual": actual}).drop_nulls("actual")


def _check_size(examples: Examples, rejects: pl.DataFrame, spec: Spec) -> None:
    customers = len(np.unique(examples.customers))
    if customers < _LEAST_CUSTOMERS:
        raise InputError(
            f"labels: {customers} customers have a usable, labelled application, expected {_LEAST_CUSTOMERS} at least. "
            f"Check that the application_ids of labels and applications agree.{_causes(rejects)}"
        )
    absent = [name for i, name in enumerate(spec.classes) if not (examples.actual == i).any()]
    weighed = f" whose {spec.weights.column} is above 0" if spec.weights.column else ""
    if absent:
        raise InputError(
            f"labels: no application of class {', '.join(absent)}{weighed}. "
            f"Expected examples of each.{_causes(rejects)}"
        )


def _causes(rejects: pl.DataFrame) -> str:
    """Say which codes rejected how many rows, most frequent first."""
    counts = rejects["code"].value_counts().sort("count", "code", descending=[True, False])
    listed = ", ".join(f"{code} {count}" for code, count in counts.iter_rows())
    return f" Rejected rows: {listed}." if listed else ""


def split_by_customer(examples: Examples, seed: int) -> Split:
    """Split as releases before bundle format 3 did: 65 % of the customers train, 15 % calibrate, 20 % test."""
    customers = np.unique(examples.customers)
    np.random.default_rng(seed).shuffle(customers)
    bounds = np.rint(np.cumsum(list(SHARES.values()))[:-1] * len(customers)).astype(int)
    sides = [examples.only(np.isin(examples.customers, side)) for side in np.split(customers, bounds)]
    split = Split(*sides)
    check_no_leak(split)
    return split


def check_no_leak(split: Split) -> None:
    """Fail if a customer is on two sides: the test would measure memory.

    Raises:
        InputError: a customer is on two sides.

    """
    sides = {"train": split.train, "calibration": split.calibration, "test": split.test}
    names = list(sides)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            shared = np.intersect1d(sides[one].customers, sides[other].customers)
            if len(shared):
                raise InputError(f"split: {len(shared)} customers are in {one} and in {other}; figures would be wrong.")


def last_period(as_of: NDArray[np.int64], share: float = 0.25) -> int | None:
    """Return the first instant of the last label periods (calendar months) that hold up to `share` of the rows.

    At least one month; None where all applications fall into one month, so that there is no later period to test on.
    """
    months = pl.Series(as_of).cast(pl.Datetime("us")).dt.truncate("1mo").cast(pl.Int64)
    counts = pl.DataFrame({"month": months}).group_by("month").agg(pl.len().alias("rows"))
    counts = counts.sort("month", descending=True)
    if counts.height < 2:
        return None
    fitting = int((counts["rows"].cum_sum() <= share * len(as_of)).sum())
    return int(counts["month"][max(1, min(fitting, counts.height - 1)) - 1])
