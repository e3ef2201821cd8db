"""The `Scorer`: applications and their events in, decisions out. The same bits alone, in bulk, and at every door."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.carried import Carried
from features.matrix import FeatureTable, build_carried, build_features, list_features
from features.rfm import NO_MATCHES, Matches
from scoring.bundle.folder import Bundle, read_bundle
from scoring.bundle.golden import GoldenMatch, check_golden
from scoring.decisions import Decided, Rules, as_frame, decide
from scoring.machine import cpu_family
from scoring.model import Model

__all__ = ["Scored", "Scorer"]


@dataclass(frozen=True, slots=True)
class Scored:
    """`decisions` and `rejects` account for every application; `dirt` counts cells that became missing, by cause.

    `features`: the float32 row that was scored for each decision, in the order of `list_features`. `matches` counts the
    applications that have a usable event.
    """

    decisions: pl.DataFrame
    rejects: pl.DataFrame
    dirt: pl.DataFrame
    features: NDArray[np.float32]
    matches: Matches = NO_MATCHES


class Scorer:
    """The only way to a score. No I/O, no clock, no state after construction; safe to share between threads."""

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        """Build the model and re-score the golden rows.

        Raises:
            BundleError: the model does not fit the spec, or a golden row comes out differently.

        """
        self.bundle = bundle
        self._threads = threads
        self._model = Model(bundle.model, len(list_features(bundle.spec)), len(bundle.spec.classes))
        self._rules = Rules(
            spec=bundle.spec, policy=bundle.policy, explainer=bundle.explainer, bundle_id=bundle.bundle_id
        )
        same_family = bundle.manifest.get("cpu_family") == cpu_family()
        self.golden: GoldenMatch = check_golden(bundle, self.score, same_family=same_family)

    @classmethod
    def open(cls, path: Path, threads: int = 1) -> "Scorer":
        """Read, verify and load a bundle folder.

        Raises:
            BundleError: see `read_bundle` and the constructor.

        """
        return cls(read_bundle(path), threads)

    def has_rows_of(self, other: "Scorer") -> bool:
        """Tell whether both compute the same feature rows, with the same marks of why a value is missing."""
        books = [one.bundle.explainer.book.tells_unusable for one in (self, other)]
        return self.bundle.spec.text == other.bundle.spec.text and books[0] == books[1]

    def score(self, applications: pl.DataFrame, events: pl.DataFrame) -> Scored:
        """Score canonical applications with their customers' events. Rows in = decisions + rejected applications.

        Decisions come in input order. Rejects name the 1-based row, a code and what was expected, no values.

        Raises:
            InputError: a table lacks a column or holds one of a type that cannot be read.

        """
        decided, table = self.decide(applications, events)
        return Scored(as_frame(decided), table.rejects, table.dirt, table.matrix, table.matches)

    def decide(self, applications: pl.DataFrame, events: pl.DataFrame) -> tuple[Decided, FeatureTable]:
        """Score like `score`; the decisions have no form yet, which for a few of them saves most of the time.

        Raises:
            InputError: as `score`.

        """
        table = build_features(applications, events, self.bundle.spec)
        return self.decide_on(table), table

    def decide_carried(self, carried: Carried) -> tuple[Decided, FeatureTable]:
        """Score applications that carry their events, with the same bits; a few of them need no frames.

        Raises:
            InputError: one has more events in one window than exact sums are guaranteed for.

        """
        table = build_carried(carried, self.bundle.spec)
        return self.decide_on(table), table

    def decide_on(self, table: FeatureTable) -> Decided:
        """Decide on feature rows that `build_features` made just now, or once, where a receipt kept them for replay.

        Doors call `score` or `decide_carried`, so that none can compute features in its own way.
        """
        return decide(table, self._model.probabilities(table.matrix, self._threads), self._rules)
