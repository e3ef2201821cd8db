"""The second pass over decisions: block by block into the window that is watched, with outcomes where known."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import InputError
from features.matrix import list_features
from features.spec.class_values import match_classes
from features.spec.contract import Spec
from monitoring.nightly.agreement import SAME, Doors
from monitoring.nightly.survey import Plan
from monitoring.nightly.truth import Labelled
from monitoring.nightly.window import Block, Window
from scoring.bundle import Bundle, Reference
from scoring.lookup import Lookup

FEATURE = "feature:"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """True classes (indices) of applications, and the newest of their dates, if they bear some."""

    applications: Lookup
    actual: NDArray[np.int64]
    newest: datetime | None

    @classmethod
    def of(cls, table: pl.DataFrame, spec: Spec) -> "Outcomes":
        """Take application_id, credit_class and outcome_at (null: not known), one row per application.

        Raises:
            InputError: a class is none of the spec's.

        """
        actual = match_classes(table["credit_class"], spec).fill_null(-1)
        if unknown := int((actual == -1).sum()):
            raise InputError(
                f"outcomes: {unknown} have a credit_class that is none of {', '.join(spec.classes)}. Correct them, or "
                "name the bundle that decided."
            )
        dates = table["outcome_at"].drop_nulls()
        newest = dates.max() if len(dates) else None
        return cls(Lookup(table["application_id"]), actual.to_numpy(), newest)  # type: ignore[arg-type]

    def find(self, applications: pl.Series) -> NDArray[np.int64]:
        """Return the class of each application, -1 where it is not known."""
        places = self.applications.find(applications)
        return np.where(places >= 0, self.actual[places], -1) if len(self.actual) else places

    def matured(self, plan: Plan, periods: Iterable[int], days: int) -> frozenset[int]:
        """Return the periods that ended so many days before the newest outcome; all, if outcomes bear no dates."""
        if self.newest is None:
            return frozenset(periods)
        limit = self.newest - timedelta(days=days)
        return frozenset(period for period in periods if plan.end(period) <= limit)


class Intake:
    """The second pass: decisions with identity, door, features, probabilities, class and score."""

    def __init__(self, bundle: Bundle, reference: Reference, plan: Plan, outcomes: Outcomes | None) -> None:
        """Begin with an empty window."""
        self.window = Window(reference, plan.sample_every)
        self._bundle, self._plan, self._outcomes = bundle, plan, outcomes
        self._features = [FEATURE + feature.name for feature in list_features(bundle.spec)]
        self._classes = {name: i for i, name in enumerate(bundle.spec.classes)}
        self.doors = Doors(("decision_id", *bundle.spec.probability_columns, "credit_class", "credit_score"))
        self._fresh, self._labelled = iter(plan.fresh), list[Labelled]()

    @property
    def columns(self) -> list[str]:
        """The columns that blocks need."""
        spec = self._bundle.spec
        return [
            *SAME,
            "decision_id",
            "door",
            *self._features,
            *spec.probability_columns,
            "credit_class",
            "credit_score",
        ]

    def add(self, frame: pl.DataFrame) -> None:
        """Count a block; blocks come in the order of the survey.

        Raises:
            InputError: a class is none of the bundle's.

        """
        if len(self._plan.doors) > 1:
            self.doors.add(frame)
        fresh = next(self._fresh)
        for door in frame["door"].unique(maintain_order=True):
            block, applications = self._block(frame.filter(pl.Series(fresh), pl.col("door") == door), door)
            self.window.add(block)
            self._label(block, applications)

    def _block(self, frame: pl.DataFrame, door: str) -> tuple[Block, pl.Series]:
        assigned = (
            frame["credit_class"].cast(pl.String).replace_strict(self._classes, default=-1, return_dtype=pl.Int64)
        )
        if (assigned == -1).any():
            raise InputError("decisions: a credit_class is none of the bundle's. Name the bundle that decided.")
        probabilities = np.empty((frame.height, len(self._classes)), dtype=np.float32)
        for i, name in enumerate(self._bundle.spec.probability_columns):
            probabilities[:, i] = frame[name].to_numpy()
        return Block(
            door=door,
            columns=[frame[name].to_numpy() for name in self._features],
            probabilities=probabilities,
            assigned=assigned.to_numpy(),
            scores=frame["credit_score"].cast(pl.Int64).to_numpy(),
            periods=frame["as_of"].dt.truncate(self._plan.unit).to_physical().to_numpy(),
            customers=frame["customer_id"].hash(seed=4).to_numpy(),
        ), frame["application_id"]

    def _label(self, block: Block, applications: pl.Series) -> None:
        if self._outcomes is None:
            return
        actual = self._outcomes.find(applications)
        known = actual >= 0
        self._labelled.append(
            Labelled(
                probabilities=block.probabilities[known],
                assigned=block.assigned[known],
                actual=actual[known],
                customers=block.customers[known].view(np.int64),
                periods=block.periods[known],
            )
        )

    def labelled(self) -> Labelled | None:
        """Return the decisions whose outcome is known, with customers as codes; None without outcomes."""
        if self._outcomes is None or not self._labelled:
            return None
        columns = {
            name: np.concatenate([getattr(part, name) for part in self._labelled])
            for name in ("probabilities", "assigned", "actual", "customers", "periods")
        }
        columns["customers"] = np.unique(columns["customers"], return_inverse=True)[1]
        return Labelled(**columns)
