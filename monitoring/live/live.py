"""What is watched of each decision while it is made: scores, missing values, drift against training, dirt."""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from features.matrix import FeatureTable
from features.rejects import Dirt
from monitoring.divergence import Counts, psi
from monitoring.live.families import gauge
from monitoring.live.live_counts import Layout, Matrix, Seen
from monitoring.live.live_health import LiveHealth, Say
from monitoring.live.live_window import SharedWindow
from monitoring.live.metric_names import LIVE
from scoring.bundle import REFERENCE, Bundle, Reference, read_reference
from scoring.decisions import Decided

LEAST_DECISIONS = 500  # no PSI of fewer: of 500 the one of ten bins is beyond 0.05 by chance in one window of 500
_TOGETHER = 64  # decisions that are counted in one go, which is far cheaper than one by one
_MOST_TOGETHER = 4096
_LOOK_EVERY = 512  # decisions after which the window is compared with training
NO_REFERENCE = (
    "the bundle holds no reference.json: it was published by a release before monitoring, so there are no metrics of "
    "drift. Train or export the model again to have them"
)
DirtCounts = Counter[tuple[str, str, str]]  # by table, column and cause
_POINTS = next(metric for metric in LIVE if metric.name == "credit_score_points")
_STEPS = _POINTS.buckets


@dataclass(frozen=True, slots=True)
class _Round:
    """What is counted of decisions that were made together."""

    matrix: Matrix
    scores: NDArray[np.int32]
    assigned: NDArray[np.int64]
    matched: NDArray[np.bool_]
    dirt: list[Dirt]


class Live:
    """Counts what is scored, and says what it found whenever Prometheus asks. Safe between threads.

    A round is noted when it is scored, and counts once it is settled: a batch of the stream that is read again counts
    once. `drift` is false where the bundle has no reference to compare with.
    """

    def __init__(
        self, bundle: Bundle, decisions: int, folder: Path | None = None, say: Say = lambda _text: None
    ) -> None:
        """Begin at zero. `decisions`: size of the sliding window; `folder`: where several workers count together.

        `say` tells a person what the window shows to be far worse than at training.

        Raises:
            BundleError: the reference changed since the bundle was read, or is none.

        """
        known = REFERENCE in bundle.manifest["files"]
        self._reference: Reference | None = read_reference(bundle) if known else None
        self._bundle_id = bundle.bundle_id
        self._health = LiveHealth(bundle.spec, self._reference, say)
        self._unseen = 0
        self._layout = Layout(bundle.spec, self._reference, _STEPS)
        self._window = SharedWindow(self._layout.width, decisions, folder, bundle.bundle_id[:16])
        self._noted: list[_Round] = []
        self._settled: list[_Round] = []
        self._waiting = 0
        self._lock = threading.Lock()

    @property
    def drift(self) -> bool:
        """Say whether there is something to compare with."""
        return self._reference is not None

    @property
    def compared(self) -> bool:
        """Say whether matches and columns can be compared with training's."""
        return self._reference is not None and self._reference.matches is not None

    def note(self, decided: Decided, table: FeatureTable) -> None:
        """Take what was scored."""
        matched = np.zeros(len(table.matrix), np.bool_) if table.matching is None else table.matching.mask
        self._noted.append(_Round(table.matrix, decided.scores, decided.assigned, matched, table.counted))

    def settle(self) -> DirtCounts:
        """Count what was noted; return the cells that became missing, as far as they are counted by now."""
        with self._lock:
            self._settled += self._noted
            self._waiting += sum(len(one.matrix) for one in self._noted)
            self._noted.clear()
            return self._count() if self._waiting >= _TOGETHER else Counter()

    def forget(self) -> None:
        """Do not count what was noted."""
        self._noted.clear()

    def count(self) -> DirtCounts:
        """Count all that was settled; return the cells that became missing."""
        with self._lock:
            return self._count()

    def collect(self) -> Iterator[Family]:
        """Give Prometheus what is known now, of all workers that share the folder."""
        with self._lock:
            window, ever = (self._layout.read(counts) for counts in self._window.totals())
        yield gauge("credit_bundle_info", {self._bundle_id: 1})
        yield _points(ever)
        yield gauge("credit_window_decisions", {"": window.rows})
        names = [item.name for item in self._layout.items]
        if window.rows:
            missing = [count / window.rows for count in window.missing]
            yield gauge("credit_feature_missing_share", dict(zip(names, missing, strict=True)))
        yield from self._health.collect(window)
        if self._reference is not None:
            known = [item.missing / max(item.rows, 1) for item in self._reference.items]
            yield gauge("credit_feature_missing_reference", dict(zip(names, known, strict=True)))
            if window.rows >= LEAST_DECISIONS:
                yield from _drift(self._reference, window)

    def _count(self) -> DirtCounts:
        rounds, self._settled, self._waiting = self._settled, [], 0
        dirt: DirtCounts = Counter()
        for one in rounds:
            for table, column, cause, cells in one.dirt:
                dirt[table, column, cause] += cells
        if rounds:
            self._add(rounds)
        return dirt

    def _add(self, rounds: list[_Round]) -> None:
        matrix = np.concatenate([one.matrix for one in rounds])
        scores = np.concatenate([one.scores for one in rounds])
        assigned = np.concatenate([one.assigned for one in rounds])
        matched = np.concatenate([one.matched for one in rounds])
        start = 0
        while start < len(matrix):
            end = min(len(matrix), start + self._window.room(), start + _MOST_TOGETHER)
            counts = self._layout.count(matrix[start:end], scores[start:end], assigned[start:end], matched[start:end])
            self._window.add(counts, end - start)
            start = end
        self._unseen += len(matrix)
        if self._unseen >= _LOOK_EVERY:  # also where nobody asks for metrics
            self._unseen = 0
            self._health.look(self._layout.read(self._window.totals()[0]))


def _points(seen: Seen) -> Family:
    """Make the histogram of scores: cumulative, as Prometheus has them."""
    ends = [*[f"{step:.1f}" for step in _STEPS], "+Inf"]
    buckets = list(zip(ends, np.cumsum(seen.points).tolist(), strict=True))
    return HistogramMetricFamily("credit_score_points", _POINTS.meaning, buckets=buckets, sum_value=seen.points_sum)


def _drift(reference: Reference, window: Seen) -> Iterator[Family]:
    """Compare with training: the values that are there; how many are missing is a figure of its own."""
    found = {item.name: _psi(item.counts, bins) for item, bins in zip(reference.items, window.bins, strict=True)}
    yield gauge("credit_feature_psi", found)
    yield gauge("credit_score_psi", {"": _psi(reference.outputs.score_counts, window.scores)})
    yield gauge("credit_class_psi", {"": _psi(reference.outputs.class_counts, window.classes)})


def _psi(known: tuple[int, ...], found: Counts) -> float:
    return psi(np.array(known), found)
