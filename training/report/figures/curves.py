"""Curves over the probabilities: precision and recall by threshold, calibration, and the distribution of scores."""

from typing import Any

import numpy as np

from metrics import CALIBRATION_BINS, share, weighted_mean
from scoring.decisions import credit_scores
from training.evaluate.judged import Judged

_THRESHOLDS = np.linspace(0, 1, 101)
_LEAST_IN_A_BIN = 20
_SCORE_BIN = 25


def by_threshold(judged: Judged) -> dict[str, Any]:
    """Return precision and recall of each class against the rest where it is called from a probability on."""
    found = {}
    for i, name in enumerate(judged.spec.classes):
        is_class, weights = judged.examples.actual == i, judged.examples.weights
        order = np.argsort(judged.probabilities[:, i], kind="stable")
        p, hits = judged.probabilities[order, i].astype(np.float64), is_class[order]
        own = np.ones(len(p), dtype=np.int64) if weights is None else weights[order]
        first = np.searchsorted(p, _THRESHOLDS, side="left")
        remaining, called = (np.append(np.cumsum(part[::-1])[::-1], 0)[first] for part in (own * hits, own))
        found[name] = {
            "threshold": [round(float(t), 2) for t in _THRESHOLDS],
            "precision": [round(float(h / c), 5) if c else None for h, c in zip(remaining, called, strict=True)],
            "recall": [round(float(h / ((own * hits).sum() or 1)), 5) for h in remaining],
        }
    return found


def calibration(judged: Judged) -> dict[str, list[dict[str, Any]]]:
    """Return stated against actual shares in bins of equal width; bins with fewer than 20 applications are left out."""
    found, examples, weights = {}, judged.examples, judged.examples.weights
    for i, name in enumerate(judged.spec.classes):
        p = judged.probabilities[:, i].astype(np.float64)
        bins = np.minimum((p * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
        found[name] = [
            {
                "stated": round(weighted_mean(p[bins == b], None if weights is None else weights[bins == b]), 5),
                "actual": share(examples.actual == i, bins == b, examples.customers, weights=weights),
            }
            for b in range(CALIBRATION_BINS)
            if (bins == b).sum() >= _LEAST_IN_A_BIN
        ]
    return found


def scores(judged: Judged) -> dict[str, Any]:
    """Return for each actual class the share of its applications by credit score, in steps of 25 points."""
    scaling = judged.spec.scaling
    edges = np.arange(scaling.minimum, scaling.maximum + _SCORE_BIN, _SCORE_BIN)
    points = credit_scores(judged.probabilities[:, 0], scaling)
    shares, weights = {}, judged.examples.weights
    for i, name in enumerate(judged.spec.classes):
        own = judged.examples.actual == i
        counts, _ = np.histogram(points[own], edges, weights=None if weights is None else weights[own])
        shares[name] = [round(float(c / (counts.sum() or 1)), 5) for c in counts]
    return {"edges": edges.tolist(), "shares": shares}
