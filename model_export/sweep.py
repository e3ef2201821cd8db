"""The proof of directions: sweep each feature that has one over its values, and see that nothing goes the other way.

Asked is the exported graph: P(best) must not fall and P(worst) not rise as the feature moves in its direction, and with
them the score. The class follows where the costs have the Monge property, which makes the cheapest class move up
whenever every P(at least this class) does; else it is left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import ExportError
from features.spec.contract import Spec
from model_export.trees.trees import Ensemble
from scoring.decisions import credit_scores
from scoring.model import Model
from scoring.policy import Policy

COMPARISONS = 200_000
_LEAST_ROWS, _MOST_VALUES = 4, 60
_END = 1e30  # no value lies beyond

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The model that is asked, and how it decides."""

    model: Model
    spec: Spec
    policy: Policy
    names: Sequence[str]


def sweep(
    proof: Proof, ensemble: Ensemble, directions: Sequence[int], rows: Floats, comparisons: int = COMPARISONS
) -> dict[str, Any] | None:
    """Return the certificate of the directions; None where no feature has one. `rows` are swept with each value.

    Raises:
        ExportError: a probability, a score or a class moved against a direction; names the feature.

    """
    directed = [i for i, direction in enumerate(directions) if direction]
    if not directed:
        return None
    monge = proof.policy.is_monge()
    count = 0
    for feature in directed:
        values = _values(ensemble, feature)
        share = comparisons // len(directed)
        some = rows[: max(_LEAST_ROWS, share // len(values))]
        for swept in _swept(some, feature, values[:: directions[feature]]):
            _check(proof, proof.names[feature], swept, len(values), classes=monge)
        count += len(some) * (len(values) - 1)
    return {
        "features": [proof.names[i] for i in directed],
        "comparisons": count,
        "violations": 0,
        "proved": ["P(best class)", "P(worst class)", "credit score", *(["credit class"] if monge else [])],
        "class_left_out": None if monge else NOT_MONGE,
        "never_worse": list(_never_worse(proof, ensemble, rows[: max(_LEAST_ROWS, comparisons // 2000)])),
    }


NOT_MONGE = (
    "The costs do not have the Monge property (costs[a][c] + costs[b][d] <= costs[a][d] + costs[b][c] for a worse than "
    "b, c worse than d), so a better applicant may be called by a worse class; probabilities and score follow all the "
    "same."
)


def _never_worse(proof: Proof, ensemble: Ensemble, rows: Floats) -> Iterator[dict[str, Any]]:
    """Prove of each attribute with `never_worse_from` that its value is at least as good as every lower one.

    Features stop at that value, so all higher ones are the same row.
    """
    for attribute in proof.spec.attributes:
        if attribute.never_worse_from is None:
            continue
        feature = list(proof.names).index(attribute.name)
        end = np.float32(attribute.never_worse_from)
        lower = _values(ensemble, feature)
        lower = lower[lower < end]
        for swept in _swept(rows, feature, np.append(lower, end)):
            figures = _figures(proof, swept, classes=proof.policy.is_monge())
            for what, found in figures.items():
                table = found.reshape(-1, len(lower) + 1)
                wrong = int((table[:, :-1] > table[:, -1:]).sum())
                if wrong:
                    raise ExportError(
                        f"sweep: {what} is worse from {attribute.name} {end:g} on than below it in {wrong} of "
                        f"{len(swept)} comparisons, so no bundle was written. attributes.{attribute.name}."
                        "never_worse_from forbids it. Train with `credit train`, which keeps it, or leave the "
                        "attribute out."
                    )
        yield {"feature": attribute.name, "from": attribute.never_worse_from, "comparisons": len(rows) * len(lower)}


def _values(ensemble: Ensemble, feature: int) -> Floats:
    """Return values of a feature in rising order: both sides of its thresholds (at most 60), and the ends."""
    found = [t.threshold[(t.left >= 0) & (t.feature == feature)] for t in ensemble.trees]
    thresholds = np.unique(np.concatenate(found)) if found else np.zeros(0, np.float32)
    if len(thresholds) > _MOST_VALUES:
        thresholds = thresholds[np.linspace(0, len(thresholds) - 1, _MOST_VALUES).astype(int)]
    thresholds = thresholds[np.abs(thresholds) < _END]  # beyond are those that part missing values from all others
    ends = np.array([-_END, _END], dtype=np.float32)
    below = np.nextafter(thresholds, np.float32(-np.inf))
    above = np.nextafter(thresholds, np.float32(np.inf))
    return np.unique(np.concatenate([ends, below, above]))


def _swept(rows: Floats, feature: int, values: Floats) -> Iterator[Floats]:
    """Yield rows x values, each row with every value of the feature, in blocks."""
    block = max(1, 20_000 // len(values))
    for start in range(0, len(rows), block):
        swept = np.repeat(rows[start : start + block], len(values), axis=0)
        swept[:, feature] = np.tile(values, len(swept) // len(values))
        yield swept


def _check(proof: Proof, name: str, swept: Floats, values: int, *, classes: bool) -> None:
    for what, figures in _figures(proof, swept, classes=classes).items():
        wrong = int((np.diff(figures.reshape(-1, values).astype(np.float64), axis=1) < 0).sum())
        if wrong:
            raise ExportError(
                f"sweep: {what} moves against the direction of {name} in {wrong} of {len(swept)} steps, so no bundle "
                "was written. A model of `credit train` keeps directions: report it; to adopt a model that was "
                "trained without the direction, leave it out of the spec."
            )


def _figures(proof: Proof, rows: Floats, *, classes: bool) -> dict[str, NDArray[Any]]:
    """Return what must not fall as an applicant gets better."""
    p = proof.model.probabilities(rows)
    return {
        "the probability of the best class": p[:, -1],
        "the probability of the worst class": -p[:, 0],
        "the score": credit_scores(p[:, 0], proof.spec.scaling),
        **({"the class": proof.policy.assign(p)} if classes else {}),
    }
