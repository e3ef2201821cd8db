"""The parts of two bundles that can be swapped, alone or only together, and what a mixture of them decides.

spec         how the cells of an application are read: its attributes, instants, and what is rejected
features     what is measured of account events: groups, windows, kinds of events
model        the trees
calibration  what makes probabilities of the trees' sums
policy       the costs that make a class of probabilities
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from compare.graphs import Graph
from features.errors import BundleError
from features.matrix import FeatureTable, build_features, list_features
from features.spec.contract import Spec
from scoring.bundle import Bundle
from scoring.model import Model

PARTS = ("spec", "features", "model", "calibration", "policy")
REJECTED = -1
Outcomes = NDArray[np.int64]  # of each application the index of its class, or REJECTED
Sides = tuple[int, ...]  # of each part: 0 for that of the first bundle, 1 for that of the second


class Swapped:
    """Two bundles and the applications that both decide. `groups`: parts that differ, by what is swapped together."""

    def __init__(self, bundles: tuple[Bundle, Bundle], applications: pl.DataFrame, events: pl.DataFrame) -> None:
        """Take two bundles of the same classes.

        Raises:
            BundleError: their classes differ.

        """
        self._specs = tuple(bundle.spec for bundle in bundles)
        if len({bundle.policy.classes for bundle in bundles}) > 1:
            raise BundleError(
                f"{bundles[1].path}: has other classes than {bundles[0].path}, so that no decision can be compared. "
                "Give two bundles of the same classes, in the same order."
            )
        self._bundles, self._tables = bundles, (applications, events)
        self._graphs = tuple(Graph.of(bundle.model) for bundle in bundles)
        self.classes = bundles[0].policy.classes
        self.groups = _merged(self._different(), self._together())
        self._table, self._model = cache(self._build), cache(self._load)

    def everyone(self, side: int) -> Outcomes:
        """Return what one of the bundles decides on each application."""
        return self.outcomes((side,) * len(PARTS), np.arange(self._tables[0].height))

    def outcomes(self, sides: Sides, rows: NDArray[np.int64]) -> Outcomes:
        """Return what a mixture decides on some applications, by their positions in order."""
        spec, features, model, calibration, policy = sides
        table = self._table(spec, features)
        positions = table.applications["|row"].to_numpy() - 1
        wanted = np.isin(positions, rows)
        found = np.full(len(rows), REJECTED, dtype=np.int64)
        if wanted.any():
            probabilities = self._model(model, calibration).probabilities(table.matrix[wanted])
            assigned = self._bundles[policy].policy.assign(probabilities)
            found[np.searchsorted(rows, positions[wanted])] = assigned
        return found

    def ids(self) -> pl.DataFrame:
        """Return the ids of the applications by |row, as far as one of the bundles accepts them."""
        frames = [self._table(side, side).applications for side in (0, 1)]
        return pl.concat([frame.select("|row", "application_id", "customer_id") for frame in frames]).unique("|row")

    def _build(self, spec: int, features: int) -> FeatureTable:
        return build_features(*self._tables, self._mixed(spec, features))

    def _mixed(self, spec: int, features: int) -> Spec:
        events = self._specs[features]
        if spec == features:
            return events
        own = self._specs[spec]
        return replace(own, groups=events.groups, event_kinds=events.event_kinds, ignored_kinds=events.ignored_kinds)

    def _load(self, model: int, calibration: int) -> Model:
        bundle, trees, behind = self._bundles[model], self._graphs[model], self._graphs[calibration]
        content = bundle.model
        if trees is not None and behind is not None:
            content = trees.with_calibration_of(behind)
        return Model(content, len(list_features(bundle.spec)), len(self.classes))

    def _different(self) -> set[str]:
        one, other = self._specs
        different = {
            "spec": _read_by(one) != _read_by(other),
            "features": _measured_by(one) != _measured_by(other),
            "policy": self._bundles[0].policy != self._bundles[1].policy,
        }
        first, second = self._graphs
        if first is None or second is None:
            different["model"] = different["calibration"] = self._bundles[0].model != self._bundles[1].model
        else:
            different["model"] = first.trees != second.trees
            different["calibration"] = not first.calibrated_as(second)
        return {name for name, differs in different.items() if differs}

    def _together(self) -> list[set[str]]:
        """Return pairs of parts that cannot be swapped alone."""
        one, other = self._specs
        pairs = []
        if _shared(one) != _shared(other):
            pairs.append({"spec", "features"})
        if _names(replace(one, groups=())) != _names(replace(other, groups=())):
            pairs.append({"spec", "model"})
        if _of_events(one) != _of_events(other):
            pairs.append({"features", "model"})
        first, second = self._graphs
        if first is None or second is None or not first.can_take(second):
            pairs.append({"model", "calibration"})
        return pairs


def _read_by(spec: Spec) -> tuple[object, ...]:
    """Return what decides how the cells of applications are read; a unit may, as that of a duration."""
    read = [replace(one, description="", direction=0, never_worse_from=None) for one in spec.attributes]
    return (*read, *_shared(spec))


def _measured_by(spec: Spec) -> tuple[object, ...]:
    """Return what decides which features account events give."""
    groups = [replace(one, description="", unit="", direction=0, flow=0) for one in spec.groups]
    return (*groups, spec.event_kinds, spec.ignored_kinds)


def _shared(spec: Spec) -> tuple[object, ...]:
    """Return what decides how the cells of applications and of events are read."""
    return (spec.version, spec.currency, spec.decimal, spec.instants)


def _names(spec: Spec) -> list[str]:
    return [feature.name for feature in list_features(spec)]


def _of_events(spec: Spec) -> list[str]:
    return _names(spec)[len(_names(replace(spec, groups=()))) :]


def _merged(different: Iterable[str], together: Iterable[set[str]]) -> list[tuple[str, ...]]:
    """Join parts that differ and are swapped together, in the order of `PARTS`."""
    of = {name: {name} for name in PARTS if name in set(different)}
    for pair in together:
        for one, other in pairwise(sorted(pair & of.keys())):
            joined = of[one] | of[other]
            of |= dict.fromkeys(joined, joined)
    groups = {id(members): tuple(name for name in PARTS if name in members) for members in of.values()}
    return list(groups.values())
