"""Each kind of split of LightGBM sends each float32 row, missing ones too, where LightGBM itself sends it."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax

from features.errors import ExportError
from model_export.trees.graph import to_onnx
from model_export.trees.lightgbm_trees import FittedLightgbm, from_lightgbm
from model_export.trees.trees import from_model
from scoring.model import Model
from tests.lightgbm_text import NEAR_ZERO, Split, around, by_lightgbm, model_text, read, tree_text

TINY = float(NEAR_ZERO)
SPECIAL = (-TINY, TINY, TINY * 1.0001, -TINY * 1.0001, TINY / 2, -TINY / 2, 0.0, -0.0, 1e-40, 1e300, float("inf"))
DEFAULT_LEFT, ZERO, NAN = 2, 4, 8
doubles = st.one_of(
    st.sampled_from(SPECIAL),
    st.floats(-1e6, 1e6),
    st.floats(-1e6, 1e6, width=32),
    st.floats(-2e-35, 2e-35),
    st.floats(-3e38, 3e38),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lightgbm")


def probabilities(model: FittedLightgbm, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """By the exported graph, without calibration."""
    ensemble = from_lightgbm(model)
    classes = len(ensemble.base_values)
    content = to_onnx(ensemble, np.ones(classes, np.float32), np.zeros(classes, np.float32))
    return Model(content, model.features, classes).probabilities(rows)


@st.composite
def trees(draw: st.DrawFn) -> tuple[list[Split], list[float]]:
    """A tree of up to seven splits, each behind its parent, with a leaf value of its own for each leaf."""
    splits: list[Split] = []
    free: list[tuple[int, str]] = []
    for place in range(draw(st.integers(0, 7))):
        decision = draw(st.sampled_from([0, NAN])) + draw(st.sampled_from([0, DEFAULT_LEFT]))
        splits.append(Split(draw(st.integers(0, 1)), draw(doubles), decision))
        if place:
            parent, side = free.pop(draw(st.integers(0, len(free) - 1)))
            old = splits[parent]
            sides = {"left": old.left, "right": old.right, side: place}
            splits[parent] = Split(old.feature, old.threshold, old.decision, sides["left"], sides["right"])
        free += [(place, "left"), (place, "right")]
    leaves = draw(st.permutations(range(len(splits) + 1)))
    return splits, [leaf / 8 - 0.4 for leaf in leaves]


@given(st.lists(trees(), min_size=1, max_size=3))
def test_rows_at_and_beside_thresholds_go_where_lightgbm_sends_them(
    folder: Path, drawn: list[tuple[list[Split], list[float]]]
) -> None:
    text = model_text([tree_text(i, splits, leaves) for i, (splits, leaves) in enumerate(drawn)])
    values = around([s.threshold for splits, _ in drawn for s in splits])
    some = values[np.linspace(0, len(values) - 1, min(len(values), 40)).astype(int)]
    rows = np.array([*product(some, some), *zip(values, values[::-1], strict=True)], dtype=np.float32)
    model = read(text, folder).model
    assert isinstance(model, FittedLightgbm)
    expected = by_lightgbm(text, rows)
    assert np.array_equal(model.margins(rows), expected), "doubles, bit for bit"
    assert np.abs(probabilities(model, rows) - softmax(expected, axis=1)).max() <= 1e-6


def test_sums_of_many_leaves_are_rounded_once_as_those_of_doubles(folder: Path) -> None:
    """Up to 45 and back to about 0: float32 sums would be off by 3e-5 there."""
    leaves = np.random.default_rng(0).uniform(0.1, 0.2, (600, 2)) * np.repeat([[1], [-1]], 300, axis=0)
    text = model_text([tree_text(i, [Split(0, i / 600, 8)], pair) for i, pair in enumerate(leaves.tolist())])
    model = read(text, folder).model
    assert isinstance(model, FittedLightgbm)
    rows = np.column_stack([np.linspace(-0.5, 1.5, 500), np.zeros(500)]).astype(np.float32)
    expected = by_lightgbm(text, rows)
    assert np.abs(expected).max() < 5
    assert np.abs(probabilities(model, rows) - softmax(expected, axis=1)).max() <= 1e-7


@pytest.mark.parametrize("decision", [left | missing for left in (0, DEFAULT_LEFT) for missing in (0, ZERO, NAN)])
def test_a_split_is_taken_exactly_or_refused_where_one_threshold_cannot_say_it(decision: int, folder: Path) -> None:
    taken = 0
    for threshold in (-1.0, 1.0, 0.1, *SPECIAL):
        text = model_text([tree_text(0, [Split(0, threshold, decision)], [-1.0, 1.0])])
        values = around([threshold])
        rows = np.column_stack([values, np.zeros_like(values)])
        goes_left = by_lightgbm(text, rows)[:, 1] < 0
        order = goes_left[np.argsort(values)][: (~np.isnan(values)).sum()].astype(int)
        if (np.diff(order) > 0).any():  # to the right and, further up, to the left again
            with pytest.raises(ExportError, match="zero_as_missing, and a split sends 0 to another side"):
                read(text, folder)
            assert decision & ZERO
            continue
        tree, taken = from_model(read(text, folder).model).trees[1], taken + 1
        ours = np.where(np.isnan(values), tree.missing_left[0], values <= tree.threshold[0])
        assert ours.tolist() == goes_left.tolist(), threshold
    assert taken == {ZERO: 9, ZERO + DEFAULT_LEFT: 12}.get(decision, len(SPECIAL) + 3)
