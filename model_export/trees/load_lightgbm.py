"""Load a LightGBM model from the text that it saves: each length, index and number is checked, without LightGBM."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import ExportError
from features.matrix import list_features
from features.spec.contract import Spec
from model_export.trees.lightgbm_trees import FittedLightgbm, TextTree
from scoring.reasons import GROUP_CONDITIONS
from training.adopt import check_columns

_MOST_BYTES = 64 * 2**20
_MOST_LEAVES = 2**GROUP_CONDITIONS  # with more a tree is deeper than reasons allow
_VERSIONS = ("v3", "v4")
_HEAD = {
    "version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective", "average_output",
    "feature_names", "monotone_constraints", "feature_infos", "tree_sizes",
}  # fmt: skip
_TREE = {
    "Tree", "num_leaves", "num_cat", "split_feature", "split_gain", "threshold", "decision_type", "left_child",
    "right_child", "leaf_value", "leaf_weight", "leaf_count", "internal_value", "internal_weight", "internal_count",
    "cat_boundaries", "cat_threshold", "is_linear", "leaf_const", "num_features", "leaf_features", "leaf_coeff",
    "shrinkage",
}  # fmt: skip
_NUMBER = re.compile(r"-?[0-9]{1,25}(\.[0-9]{1,25})?(e[+-]?[0-9]{1,3})?|inf")
_LARGEST_LEAF = 1e30  # sums of these stay float32
_LOWEST = np.nextafter(np.finfo(np.float32).min, np.float32(0))  # threshold with a finite float32 on both sides
_CATEGORICAL, _DEFAULT_LEFT, _DECISIONS = 1, 2, range(12)  # bits; above them what is missing: 0, 1 or 2

Section = dict[str, str]


class _DamagedError(Exception):
    """What is wrong with the text."""


def load_lightgbm(path: Path, spec: Spec) -> tuple[FittedLightgbm, dict[str, Any]]:
    """Load a model of numerical splits, of two classes (objective binary) or more (multiclass).

    All rounds of the file are used: LightGBM saves those up to `best_iteration`, unless it is told otherwise.

    Raises:
        InputError: its columns are not those of the spec.
        ExportError: it has something that does not export faithfully (named), or its text is damaged.

    """
    if path.stat().st_size > _MOST_BYTES:
        raise ExportError(f"{path}: larger than {_MOST_BYTES // 2**20} MiB. Train with fewer or smaller trees.")
    try:
        return _read(path.read_bytes(), spec)
    except _DamagedError as error:
        raise ExportError(
            f"{path}: damaged, or not the text of a LightGBM model: {error}. Save it again with save_model()."
        ) from error


def _read(data: bytes, spec: Spec) -> tuple[FittedLightgbm, dict[str, Any]]:
    head, _, rest = data.partition(b"\n\n")
    if not head.startswith(b"tree\n"):
        raise _DamagedError("it does not begin with a line `tree`")
    facts = _section(head.removeprefix(b"tree\n"), _HEAD, "the head")
    if facts.get("version") not in _VERSIONS:
        raise ExportError("the model is of another format of LightGBM than v3 and v4. Save it with LightGBM 3 or 4.")
    trees_a_round, features = _trees_a_round(facts), _columns(facts, spec)
    blocks = _blocks(facts.get("tree_sizes", ""), rest)
    if not blocks or len(blocks) % trees_a_round:
        raise _DamagedError(f"{len(blocks)} trees are not whole rounds of {trees_a_round}")
    trees = []
    for number, block in enumerate(blocks):
        try:
            trees.append(_tree(_section(block, _TREE, "it"), number, features))
        except _DamagedError as error:
            raise _DamagedError(f"tree {number}: {error}") from error
    model = FittedLightgbm(
        trees=tuple(trees), features=features, trees_a_round=trees_a_round, averaged="average_output" in facts
    )
    return model, {
        "format": f"LightGBM {facts['version']}",
        "rounds_in_file": model.rounds,
        "rounds_used": model.rounds,
    }


def _section(content: bytes, known: set[str], what: str) -> Section:
    """Read lines of the form key=value, each key known and once."""
    try:
        lines = content.decode().split("\n", len(known))
    except UnicodeDecodeError as error:
        raise _DamagedError(f"{what} is no UTF-8 text") from error
    found: Section = {}
    for line in lines:
        key, _, value = line.partition("=")
        if key not in known or key in found:
            raise _DamagedError(f"{what} has a line twice, or one that is not known to export faithfully")
        found[key] = value
    return found


def _trees_a_round(facts: Section) -> int:
    name, _, setting = facts.get("objective", "").partition(" ")
    if name not in ("binary", "multiclass"):
        shown = f"{name[:40]!r}" if name else "a function of the notebook"
        raise ExportError(f"objective is {shown}, expected binary or multiclass. Train with one of these.")
    if name == "binary":
        if setting != "sigmoid:1":
            raise ExportError("the objective's sigmoid is not 1. Train with sigmoid=1, which is the default.")
        count = 1
    else:
        count = _integer(facts, "num_class", 2)
        if setting != f"num_class:{count}":
            raise _DamagedError("the objective has another number of classes than num_class")
    if (facts.get("num_class"), facts.get("num_tree_per_iteration")) != (str(count), str(count)):
        raise _DamagedError("num_class and num_tree_per_iteration do not fit the objective")
    return count


def _columns(facts: Section, spec: Spec) -> int:
    """Check number and, where the model has any, names of the columns; LightGBM writes _ for a blank in a name."""
    count = _integer(facts, "max_feature_idx", 0) + 1
    expected = [feature.name for feature in list_features(spec)]
    if count != len(expected):
        check_columns(None, count, spec)
    names = facts.get("feature_names", "").split(" ", count)
    if len(names) != count:
        raise _DamagedError(f"feature_names holds other than {count} names")
    if names != [f"Column_{i}" for i in range(count)]:
        written = [name.replace(" ", "_") for name in expected]
        check_columns(expected if names == written else names, count, spec)
    return count


def _blocks(sizes: str, rest: bytes) -> list[bytes]:
    """Cut the trees apart by their sizes in bytes, as LightGBM does, and see that they end there."""
    blocks, place = list[bytes](), 0
    for match in re.finditer(r"[^ ]+", sizes):
        if not re.fullmatch(r"[0-9]{1,9}", match[0]):
            raise _DamagedError("tree_sizes holds what is no size")
        block = rest[place : place + int(match[0])]
        if len(block) < int(match[0]) or not block.endswith(b"\n\n\n"):
            raise _DamagedError(f"tree {len(blocks)} ends early, or at another place than tree_sizes says")
        blocks.append(block[:-3])
        place += len(block)
    if not rest.startswith(b"end of trees\n", place):
        raise _DamagedError(f"after {len(blocks)} trees there is no line `end of trees`")
    return blocks


def _tree(found: Section, number: int, features: int) -> TextTree:
    leaves = _integer(found, "num_leaves", 1)
    if found.get("Tree") != str(number):
        raise _DamagedError("it has another number")
    if leaves > _MOST_LEAVES:
        raise ExportError(
            f"tree {number} has {leaves} leaves, so it is more than {GROUP_CONDITIONS} splits deep. "
            "Train with max_depth 6."
        )
    if found.get("is_linear", "0") != "0":
        raise ExportError("the model has linear trees. Train with linear_tree=false.")
    decisions = _integers(found, "decision_type", leaves - 1)
    if not np.isin(decisions, _DECISIONS).all():
        raise _DamagedError("decision_type holds what is no kind of decision")
    if found.get("num_cat") != "0" or (decisions & _CATEGORICAL).any():
        raise ExportError(
            "the model has categorical splits. Train on the feature matrix, whose categories are numbers, without "
            "categorical_feature."
        )
    split, threshold = _integers(found, "split_feature", leaves - 1), _numbers(found, "threshold", leaves - 1)
    left, right = _children(found, leaves)
    value, rows = _numbers(found, "leaf_value", leaves), _integers(found, "leaf_count", leaves)
    for key, sound in {
        "split_feature": (split >= 0) & (split < features),
        "threshold": threshold >= _LOWEST,
        "leaf_value": np.abs(value) <= _LARGEST_LEAF,
        "leaf_count": rows >= 0,
    }.items():
        if not sound.all():
            raise _DamagedError(f"{key} holds what cannot be")
    reached = _counted(left, right, rows)
    if (reached[: leaves - 1] == 0).any():
        raise _DamagedError("by its leaf_count no row of training reached a split, so reasons are not defined")
    none, nowhere = np.zeros(leaves, dtype=np.int64), np.full(leaves, -1)
    return TextTree(
        feature=np.append(split, none),
        threshold=np.append(threshold, none),
        missing=np.append(decisions >> 2, none),
        default_left=np.append((decisions & _DEFAULT_LEFT) > 0, none > 0),
        left=np.append(left, nowhere),
        right=np.append(right, nowhere),
        value=np.append(np.zeros(leaves - 1), value),
        rows=reached,
    )


def _children(found: Section, leaves: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return children by node, leaves after inner nodes. Each node has one parent, which stands before it: a tree."""
    inner = leaves - 1
    left, right = (_integers(found, key, inner) for key in ("left_child", "right_child"))
    left, right = (np.where(side < 0, inner + ~side, side) for side in (left, right))
    before = np.arange(inner)
    if not (
        np.array_equal(np.sort(np.append(left, right)), np.arange(1, inner + leaves))
        and (left > before).all()
        and (right > before).all()
    ):
        raise _DamagedError("its nodes do not form a tree")
    return left, right


def _counted(left: NDArray[np.int64], right: NDArray[np.int64], leaves: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows of training by node: those of a split are those of its leaves."""
    rows = np.append(np.zeros(len(left), dtype=np.int64), leaves)
    for node in range(len(left) - 1, -1, -1):
        rows[node] = rows[left[node]] + rows[right[node]]
    return rows


def _integer(found: Section, key: str, least: int) -> int:
    number = int(_integers(found, key, 1)[0])
    if number < least:
        raise _DamagedError(f"{key} holds what cannot be")
    return number


def _integers(found: Section, key: str, count: int) -> NDArray[np.int64]:
    return np.array([int(cell) for cell in _cells(found, key, count, r"-?[0-9]{1,10}")], dtype=np.int64)


def _numbers(found: Section, key: str, count: int) -> NDArray[np.float64]:
    return np.array([float(cell) for cell in _cells(found, key, count, _NUMBER)], dtype=np.float64)


def _cells(found: Section, key: str, count: int, form: str | re.Pattern[str]) -> list[str]:
    text = found.get(key, "")
    cells = text.split(" ", count) if text else []
    if len(cells) != count:
        raise _DamagedError(f"{key} holds other than {count} numbers")
    if not all(re.fullmatch(form, cell) for cell in cells):
        raise _DamagedError(f"{key} holds what is no number")
    return cells
