"""The text of a LightGBM model: what does not export faithfully is refused by name, what is damaged never gets in."""

import re
import tracemalloc
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.errors import CreditError, ExportError, InputError
from model_export.trees.lightgbm_trees import FittedLightgbm
from model_export.trees.load import load_model
from model_export.trees.trees import from_model
from tests.lightgbm_text import SETTINGS, SPEC, Split, by_lightgbm, model_text, read, tree_text

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(400, 2)).astype(np.float32)
X[GENERATOR.random(X.shape) < 0.1] = np.nan
Y = (np.nan_to_num(X[:, 0]) + GENERATOR.normal(size=400) > 0).astype(int)
WHOLE = np.nan_to_num(X * 2).round()
THREE = np.digitize(np.nan_to_num(X[:, 0]) + np.nan_to_num(X[:, 1]), [-0.5, 0.5])


def trained(rounds: int = 4, y: Any = Y, x: Any = X, **parameters: Any) -> str:
    settings = {"objective": "binary", **SETTINGS, "num_leaves": 6, **parameters}
    return str(lightgbm.train(settings, lightgbm.Dataset(x, y, feature_name=["a", "b"]), rounds).model_to_string())


TEXT = trained()


@pytest.mark.parametrize(
    ("parameters", "y"),
    [
        ({}, Y),
        ({"boosting": "dart", "drop_rate": 0.5}, Y),
        ({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, Y),
        ({"boost_from_average": False, "is_unbalance": True}, Y),
        ({"use_missing": False, "extra_trees": True}, Y),
        ({"monotone_constraints": [1, 0], "path_smooth": 1.0}, Y),
        ({"data_sample_strategy": "goss", "learning_rate": 0.5}, Y),
        ({"min_data_in_leaf": 1000}, Y),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_what_lightgbm_can_train_is_read_to_the_bit(parameters: dict[str, Any], y: Any, tmp_path: Path) -> None:
    text = trained(12, y, **parameters)
    model = read(text, tmp_path).model
    assert isinstance(model, FittedLightgbm)
    raw = by_lightgbm(text, X) / (model.rounds if parameters.get("boosting") == "rf" else 1)
    assert np.array_equal(model.margins(X), raw)
    stated = np.asarray(lightgbm.Booster(model_str=text).predict(X), dtype=np.float64)
    assert 1 / (1 + np.exp(-model.margins(X)[:, 1])) == pytest.approx(stated, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lambda: trained(objective="regression"), "objective is 'regression', expected binary or multiclass"),
        (lambda: trained(objective="cross_entropy"), "objective is 'cross_entropy', expected binary"),
        (lambda: trained(y=THREE, objective="multiclassova", num_class=3), "objective is 'multiclassova'"),
        (lambda: re.sub("objective=.*\n", "", TEXT), "objective is a function of the notebook"),
        (lambda: trained(sigmoid=2.0), "the objective's sigmoid is not 1. Train with sigmoid=1"),
        (lambda: trained(linear_tree=True), "has linear trees. Train with linear_tree=false"),
        (lambda: trained(y=(WHOLE[:, 0] > 1) | (WHOLE[:, 0] == 0), x=WHOLE, zero_as_missing=True),
         "trained with zero_as_missing, and a split sends 0 to another side"),
        (lambda: trained(20, max_depth=-1, num_leaves=60, min_data_in_leaf=1), "splits deep; reasons need at most 8"),
        (lambda: model_text([tree_text(0, [Split(0, i, 0, right=i + 1) for i in range(255)] + [Split(0, 255, 0)],
                                       range(257))]), "tree 0 has 257 leaves, so it is more than 8 splits deep"),
        (lambda: TEXT.replace("version=v4", "version=v5"), "another format of LightGBM than v3 and v4"),
    ],
    ids=["regression", "cross-entropy", "ova", "own", "sigmoid", "linear", "zero", "deep", "leaves", "version"],
)  # fmt: skip
def test_what_does_not_export_faithfully_is_refused_by_name(text: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=message):
        read(text(), tmp_path)


def test_categorical_splits_are_refused_by_name(tmp_path: Path) -> None:
    x = np.column_stack([Y + GENERATOR.integers(0, 2, 400) * 2, X[:, 1]])
    data = lightgbm.Dataset(x, Y, feature_name=["a", "b"], categorical_feature=["a"])
    text = lightgbm.train({"objective": "binary", **SETTINGS, "min_data_per_group": 1}, data, 2).model_to_string()
    with pytest.raises(ExportError, match=r"has categorical splits. Train on the feature matrix"):
        read(text, tmp_path)
    hidden = model_text([tree_text(0, [Split(0, 0.0, 1)], [-1.0, 1.0])])  # num_cat=0, the decision is one all the same
    with pytest.raises(ExportError, match="has categorical splits"):
        read(hidden, tmp_path)


def test_columns_are_checked_by_number_and_where_they_have_names_by_name(tmp_path: Path) -> None:
    assert read(TEXT.replace("feature_names=a b", "feature_names=Column_0 Column_1"), tmp_path).facts
    with pytest.raises(InputError, match="the model's column 1 is 'b', the spec's 'a'"):
        read(TEXT.replace("feature_names=a b", "feature_names=b a"), tmp_path)
    three = np.column_stack([X, X[:, 0]])
    text = lightgbm.train({"objective": "binary", **SETTINGS}, lightgbm.Dataset(three, Y), 2).model_to_string()
    with pytest.raises(InputError, match="the model takes 3 columns, the spec makes 2"):
        read(text, tmp_path)
    with pytest.raises(InputError, match="the model has 3 classes, the spec 2: Bad, Good"):
        read(trained(y=THREE, objective="multiclass", num_class=3), tmp_path)


def test_the_rounds_that_early_stopping_left_are_all_of_the_file(tmp_path: Path) -> None:
    data = lightgbm.Dataset(X[::2], Y[::2], feature_name=["a", "b"])
    stop = lightgbm.early_stopping(3, verbose=False)
    check = [data.create_valid(X[1::2], Y[1::2])]
    settings = {"objective": "binary", **SETTINGS, "learning_rate": 0.1}
    booster = lightgbm.train(settings, data, 60, valid_sets=check, callbacks=[stop])
    assert 1 < booster.best_iteration < 57
    booster.save_model(tmp_path / "m.txt")
    loaded = load_model(tmp_path / "m.txt", SPEC)
    assert loaded.facts == {
        "format": "LightGBM v4",
        "rounds_in_file": booster.best_iteration,
        "rounds_used": booster.best_iteration,
    }
    assert np.array_equal(loaded.model.margins(X)[:, 1], np.asarray(booster.predict(X, raw_score=True)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tree\n", "trees\n"),
        ("num_class=1\n", "num_class=1\nnum_class=1\n"),
        ("num_class=1", "num_class=2"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=3"),
        ("label_index=0", "label_index=0\nnovelty=1"),
        ("feature_names=a b", "feature_names=a"),
        ("max_feature_idx=1", "max_feature_idx=\u0661"),
        ("Tree=1", "Tree=7"),
        ("end of trees", "end of tree"),
        (r"split_feature=\d", "split_feature=2"),
        (r"split_feature=\d", "split_feature=-"),
        (r"left_child=\S+", "left_child=0"),
        (r"left_child=\S+", "left_child=-100"),
        (r"left_child=\S+", "left_child=4000000000"),
        (r"threshold=\S+", "threshold=nan"),
        (r"threshold=\S+", "threshold=-inf"),
        (r"threshold=\S+", "threshold=-3.4028234e38"),
        (r"threshold=\S+", "threshold=0x10"),
        (r"threshold=\S+", "threshold=1_0"),
        (r"decision_type=\d+", "decision_type=14"),
        (r"leaf_value=\S+", "leaf_value=inf"),
        (r"leaf_value=\S+", "leaf_value=1e200"),
        (r"leaf_value=\S+ ", "leaf_value="),
        (r"leaf_count=\S+", "leaf_count=-1"),
        ("leaf_count=.*", "leaf_count=0 0 0 0 0 0"),
        ("num_leaves=6", "num_leaves=5"),
        ("num_leaves=6", "num_leaves=0"),
    ],
)
def test_damage_is_named_and_refused_before_anything_follows_it(old: str, new: str, tmp_path: Path) -> None:
    damaged = re.sub(old, new, TEXT, count=1)
    assert damaged != TEXT
    sizes = re.findall(r"(?s)Tree=\d+\n.*?\n\n\n", damaged)  # as an attacker would, who knows the format
    if len(sizes) == 4:
        damaged = re.sub("tree_sizes=.*", f"tree_sizes={' '.join(str(len(s)) for s in sizes)}", damaged)
    with pytest.raises(ExportError, match=r"damaged, or not the text of a LightGBM model: .*save_model"):
        read(damaged, tmp_path)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_circle_beside_the_tree_is_refused(side: str, tmp_path: Path) -> None:
    """Each node has one parent, and two of them are each other's."""
    circle = [Split(0, 0.0, 0), Split(0, 0.0, 0, **{side: 2}), Split(0, 0.0, 0, **{side: 1})]
    with pytest.raises(ExportError, match="tree 0: its nodes do not form a tree"):
        read(model_text([tree_text(0, circle, range(4))]), tmp_path)


def test_a_file_that_ends_early_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    whole = TEXT.index("end of trees\n") + len("end of trees\n")
    for end in range(0, whole, 7):
        with pytest.raises(ExportError):
            read(TEXT[:end], tmp_path)
    assert read(TEXT[:whole], tmp_path).facts["rounds_used"] == 4  # what follows says nothing about predictions


ROWS: NDArray[np.float32] = np.concatenate([X[:50], [[np.nan, np.nan], [0, 0]]]).astype(np.float32)


@given(st.data())
def test_a_changed_file_is_refused_or_means_what_it_means_to_lightgbm(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(TEXT.encode()[: TEXT.index("\nfeature_importances")])
    numbers = [m.span() for m in re.finditer(rb"-?[0-9][0-9.e+-]*", bytes(content))]
    for _ in range(data.draw(st.integers(1, 3))):
        if data.draw(st.booleans()):  # a number for another
            start, end = data.draw(st.sampled_from(numbers))
            new = data.draw(
                st.sampled_from([b"0", b"1", b"-1", b"-2", b"7", b"8", b"1e9", b"nan", b"0.5", b"99999999"])
            )
            content[start:end] = new.ljust(end - start)[: end - start] if data.draw(st.booleans()) else new
        else:
            start = data.draw(st.integers(0, len(content) - 1))
            content[start : start + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=8))
    path = tmp_path_factory.getbasetemp() / "changed.txt"
    path.write_bytes(content)
    try:
        model = load_model(path, SPEC).model
    except CreditError as error:
        assert str(error)  # noqa: PT017 - any clear refusal is right; what is wrong is another exception
        return
    assert from_model(model).features == 2
    assert isinstance(model, FittedLightgbm)
    times = model.rounds if model.averaged else 1
    try:
        expected = by_lightgbm(bytes(content).decode(), ROWS)
    except lightgbm.basic.LightGBMError:  # it reads lines that say nothing about predictions
        return
    assert model.margins(ROWS) * times == pytest.approx(expected)


@pytest.mark.parametrize(
    "content",
    [
        "tree\n" + "a=\n" * 2_000_000,
        "tree\n" + "\n" * 8_000_000,
        "tree\nversion=v4\nobjective=binary sigmoid:1\nmax_feature_idx=1\nfeature_names=" + "a " * 4_000_000,
        model_text([], tree_sizes="0 " * 4_000_000),
        model_text([], tree_sizes="1" * 8_000_000),
        TEXT.replace("split_feature=", "split_feature=" + "0 " * 4_000_000, 1),
        TEXT.replace("num_leaves=6", "num_leaves=2147483647", 1),
        TEXT.replace("num_leaves=6", "num_leaves=" + "9" * 8_000_000, 1),
    ],
    ids=["lines", "blank", "names", "sizes", "size", "cells", "count", "digits"],
)
def test_what_a_file_claims_or_repeats_takes_no_memory(content: str, tmp_path: Path) -> None:
    (tmp_path / "m.txt").write_text(content)
    del content
    tracemalloc.start()
    try:
        with pytest.raises((ExportError, InputError)):
            load_model(tmp_path / "m.txt", SPEC)
        assert tracemalloc.get_traced_memory()[1] < 60 * 2**20
    finally:
        tracemalloc.stop()


def test_a_file_of_more_than_64_mib_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "m.txt").open("wb") as file:
        file.truncate(64 * 2**20 + 1)
    with pytest.raises(ExportError, match="larger than 64 MiB"):
        load_model(tmp_path / "m.txt", SPEC)
