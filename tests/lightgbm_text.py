"""LightGBM's text written by hand, so that tests meet every decision a split may make, trained or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np
from numpy.typing import NDArray

from features.spec.contract import Spec
from features.spec.file import parse_spec
from model_export.trees.load import Loaded, load_model

SPEC = parse_spec("""
spec_version = 2
name = "two columns"
classes = ["Bad", "Good"]
currency = { code = "EUR", minor_digits = 2 }
score = { base_score = 600, base_odds = 2, points_to_double_odds = 50 }
[attributes.a]
kind = "number"
[attributes.b]
kind = "number"
[policy.costs]
Bad = { Bad = 0, Good = 4 }
Good = { Bad = 3, Good = 0 }
[reasons.ALL]
of = ["a", "b"]
high = "high"
low = "low"
missing = "missing"
""")
NEAR_ZERO = np.float32(1e-35)
SETTINGS = {"verbose": -1, "num_threads": 1, "seed": 1, "deterministic": True, "max_depth": 5}


@dataclass(frozen=True)
class Split:
    """A split; `left` and `right` are places of splits behind it, or -1 for a leaf."""

    feature: int
    threshold: float
    decision: int
    left: int = -1
    right: int = -1


def tree_text(number: int, splits: Sequence[Split], leaves: Sequence[float]) -> str:
    """Write a tree; its leaves stand in the order in which the splits name them."""
    free = iter(range(len(leaves)))
    children = [[~next(free) if side < 0 else side for side in (s.left, s.right)] for s in splits]

    def line(key: str, values: Sequence[object]) -> str:
        return f"{key}={' '.join(map(str, values))}\n"

    return (
        f"Tree={number}\n"
        + line("num_leaves", [len(leaves)])
        + line("num_cat", [0])
        + line("split_feature", [s.feature for s in splits])
        + line("split_gain", [1] * len(splits))
        + line("threshold", [f"{s.threshold:.17g}" for s in splits])
        + line("decision_type", [s.decision for s in splits])
        + line("left_child", [left for left, _ in children])
        + line("right_child", [right for _, right in children])
        + line("leaf_value", [f"{value:.17g}" for value in leaves])
        + line("leaf_weight", [1] * len(leaves))
        + line("leaf_count", [10 + i for i in range(len(leaves))])
        + line("internal_value", [0] * len(splits))
        + line("internal_weight", [1] * len(splits))
        + line("internal_count", [1] * len(splits))
        + "is_linear=0\nshrinkage=1\n\n\n"
    )


def model_text(trees: Sequence[str], objective: str = "binary sigmoid:1", a_round: int = 1, **head: str) -> str:
    lines = {
        "version": "v4",
        "num_class": str(a_round),
        "num_tree_per_iteration": str(a_round),
        "label_index": "0",
        "max_feature_idx": "1",
        "objective": objective,
        "feature_names": "a b",
        "feature_infos": "[-1:1] [-1:1]",
        "tree_sizes": " ".join(str(len(tree)) for tree in trees),
        **head,
    }
    return "tree\n" + "".join(f"{k}={v}\n" for k, v in lines.items()) + "\n" + "".join(trees) + "end of trees\n"


def read(text: str, folder: Path, spec: Spec = SPEC) -> Loaded:
    (folder / "model.txt").write_bytes(text.encode())
    return load_model(folder / "model.txt", spec)


def by_lightgbm(text: str, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """LightGBM's own raw scores, one column per class."""
    raw = np.asarray(lightgbm.Booster(model_str=text).predict(rows, raw_score=True), dtype=np.float64)
    return raw if raw.ndim == 2 else np.column_stack([np.zeros(len(raw)), raw])


def around(thresholds: Sequence[float]) -> NDArray[np.float32]:
    """The float32 values at and beside thresholds, beside 0, the ends, and missing."""
    least, most = np.finfo(np.float32).min, np.finfo(np.float32).max
    nearest = np.clip(np.array(thresholds, dtype=np.float64), least, most).astype(np.float32)
    centres = np.concatenate([nearest, np.array([-NEAR_ZERO, NEAR_ZERO, 0], dtype=np.float32)])
    beside = [np.nextafter(centres, end) for end in (least, most)]
    further = [np.nextafter(values, end) for values, end in zip(beside, (least, most), strict=True)]
    rest = np.array([-0.0, least, most, -1, 1, np.nan], dtype=np.float32)
    return np.unique(np.concatenate([centres, *beside, *further, rest]))
