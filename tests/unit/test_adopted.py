"""An adopted model is the one that its owner evaluated, or the difference is named and nothing is published."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xgboost

from features.errors import ExportError, InputError
from features.spec.contract import Spec
from model_export.adopted.adopted import Adoption, take_over
from model_export.export import export
from model_export.trees.trees import from_model
from recipes.dataset import Dataset
from scoring.bundle.folder import read_bundle
from tests.adopted import Notebook, saved
from training.run import Trained


@pytest.fixture(scope="module")
def notebook(dataset: Dataset, spec: Spec) -> Notebook:
    return Notebook(dataset, spec)


@pytest.fixture(scope="module")
def plain(notebook: Notebook) -> xgboost.Booster:
    return notebook.booster()


def silent(_stage: str) -> None:
    pass


def adopted(notebook: Notebook, model: Path, expected: pl.DataFrame | None = None) -> Trained:
    return take_over(Adoption(model=model, data=notebook.data, spec=notebook.spec, expected=expected), silent)


def refusal(notebook: Notebook, model: Path, expected: pl.DataFrame) -> str:
    with pytest.raises(ExportError, match=r"expected predictions: [\d,]+ of [\d,]+ applications differ") as error:
        adopted(notebook, model, expected)
    return str(error.value)


@pytest.mark.parametrize(
    "columns", [["p_poor", "p_standard", "p_good"], ["0", "1", "2"], ["proba_0", "proba_1", "proba_2"]]
)
def test_columns_are_named_by_class_or_number(
    columns: list[str], notebook: Notebook, plain: xgboost.Booster, tmp_path: Path
) -> None:
    expected = notebook.predictions(plain.predict(xgboost.DMatrix(notebook.x)), columns)
    assert (adopted(notebook, saved(plain, tmp_path), expected).source or {})["expected"]["largest_difference"] <= 1e-6


@pytest.mark.slow
def test_predictions_of_the_notebook_prove_the_bundle(
    notebook: Notebook, plain: xgboost.Booster, tmp_path: Path
) -> None:
    expected = notebook.predictions(plain.predict(xgboost.DMatrix(notebook.x))).sample(300, seed=1)
    manifest = read_bundle(export(adopted(notebook, saved(plain, tmp_path), expected), tmp_path)).manifest
    found = manifest["model"]["source"]["expected"]
    assert found["applications"] == 300
    assert found["largest_difference"] <= 1e-6
    assert manifest["parity"]["rows"]["own applications"] == min(2000, len(notebook.x))


@pytest.mark.slow
def test_margins_and_rounded_figures_prove_it_too(notebook: Notebook, plain: xgboost.Booster, tmp_path: Path) -> None:
    model = saved(plain, tmp_path)
    data = xgboost.DMatrix(notebook.x)
    adopted(notebook, model, notebook.predictions(plain.predict(data, output_margin=True)))
    adopted(notebook, model, notebook.predictions(np.round(plain.predict(data).astype(float), 4)))
    wrong = np.round(plain.predict(data).astype(float), 4) + np.array([0.001, -0.001, 0])
    refusal(notebook, model, notebook.predictions(wrong))


@pytest.fixture(scope="module")
def stopped(notebook: Notebook) -> xgboost.XGBClassifier:
    model = xgboost.XGBClassifier(n_estimators=60, early_stopping_rounds=5, learning_rate=0.6, max_depth=4, n_jobs=1)
    model.fit(notebook.x[::2], notebook.y[::2], eval_set=[(notebook.x[1::2], notebook.y[1::2])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    return model


@pytest.mark.parametrize("suffix", ["json", "ubj"])
def test_early_stopping_is_honoured_and_said(
    suffix: str, notebook: Notebook, stopped: xgboost.XGBClassifier, tmp_path: Path
) -> None:
    stopped.save_model(tmp_path / f"model.{suffix}")
    expected = notebook.predictions(stopped.predict_proba(notebook.x))
    trained = adopted(notebook, tmp_path / f"model.{suffix}", expected)
    source, rounds = trained.source or {}, stopped.get_booster().num_boosted_rounds()
    assert (source["rounds_used"], source["rounds_in_file"]) == (stopped.best_iteration + 1, rounds)
    assert len(from_model(trained.model).trees) == 3 * (stopped.best_iteration + 1)


def test_a_notebook_that_used_all_rounds_is_told_so(
    notebook: Notebook, stopped: xgboost.XGBClassifier, tmp_path: Path
) -> None:
    model = saved(stopped.get_booster(), tmp_path)
    expected = notebook.predictions(stopped.get_booster().predict(xgboost.DMatrix(notebook.x)))
    said = refusal(notebook, model, expected)
    assert "early stopping. The notebook predicted with all" in said
    stopped.get_booster().copy().set_attr(best_iteration=None)
    meant = stopped.get_booster().copy()
    meant.set_attr(best_iteration=None)
    adopted(notebook, saved(meant, tmp_path), expected)


def test_a_mark_of_early_stopping_that_no_round_has_is_refused(
    notebook: Notebook, plain: xgboost.Booster, tmp_path: Path
) -> None:
    wrong = plain.copy()
    wrong.set_attr(best_iteration="12")
    with pytest.raises(InputError, match="best_iteration is no round of the model, which has 12"):
        adopted(notebook, saved(wrong, tmp_path))


@pytest.mark.slow
def test_rounds_that_the_file_does_not_know_of_are_found(
    notebook: Notebook, plain: xgboost.Booster, tmp_path: Path
) -> None:
    expected = notebook.predictions(plain.predict(xgboost.DMatrix(notebook.x), iteration_range=(0, 7)))
    assert "with the first 7 rounds of 12" in refusal(notebook, saved(plain, tmp_path), expected)


def test_the_order_of_the_columns_is_named(notebook: Notebook, plain: xgboost.Booster, tmp_path: Path) -> None:
    expected = notebook.predictions(plain.predict(xgboost.DMatrix(notebook.x)), ["Good", "Poor", "Standard"])
    said = refusal(notebook, saved(plain, tmp_path), expected)
    assert "The columns Poor, Standard, Good of the file hold what the model says of Standard, Good, Poor" in said


@pytest.mark.slow
@pytest.mark.parametrize("value", [0.0, -999.0, 123456.0])
def test_fills_of_missing_values_are_named(
    value: float, notebook: Notebook, plain: xgboost.Booster, tmp_path: Path
) -> None:
    filled = np.nan_to_num(notebook.x, nan=value)
    said = refusal(notebook, saved(plain, tmp_path), notebook.predictions(plain.predict(xgboost.DMatrix(filled))))
    words = {0.0: "with 0", -999.0: "below all others", 123456.0: "above all others"}
    assert "filled missing values" in said
    assert words[value] in said


@pytest.mark.slow
def test_fills_by_column_are_named(notebook: Notebook, plain: xgboost.Booster, tmp_path: Path) -> None:
    filled = notebook.x.copy()
    for i, column in enumerate(filled.T):
        column[np.isnan(column)] = 0 if i % 2 else np.nanmedian(column)
    said = refusal(notebook, saved(plain, tmp_path), notebook.predictions(plain.predict(xgboost.DMatrix(filled))))
    assert "filled missing values" in said


@pytest.mark.slow
def test_a_sentinel_other_than_nan_is_named(notebook: Notebook, tmp_path: Path) -> None:
    data = xgboost.DMatrix(np.nan_to_num(notebook.x, nan=0.0), label=notebook.y, missing=0)
    model = xgboost.train({"objective": "multi:softprob", "num_class": 3, "max_depth": 4, "nthread": 1}, data, 12)
    said = refusal(notebook, saved(model, tmp_path), notebook.predictions(model.predict(data)))
    assert "missing = 0" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "words"),
    [
        (sorted, "sorted by name"),
        (lambda names: [*names[1:4], names[0], *names[4:]], "moved to"),
        (lambda names: [names[2], names[1], names[0], *names[3:]], "exchanged"),
    ],
    ids=["sorted", "moved", "exchanged"],
)
def test_another_order_of_the_features_is_named(how: object, words: str, notebook: Notebook, tmp_path: Path) -> None:
    order = [notebook.names.index(name) for name in how(notebook.names)]  # type: ignore[operator]
    x = np.ascontiguousarray(notebook.x[:, order])
    model = xgboost.train(
        {"objective": "multi:softprob", "num_class": 3, "nthread": 1}, xgboost.DMatrix(x, label=notebook.y), 12
    )
    said = refusal(notebook, saved(model, tmp_path), notebook.predictions(model.predict(xgboost.DMatrix(x))))
    assert "the order of the features" in said
    assert words in said


def test_calibrated_probabilities_are_named(notebook: Notebook, plain: xgboost.Booster, tmp_path: Path) -> None:
    p = plain.predict(xgboost.DMatrix(notebook.x)) ** 0.7
    expected = notebook.predictions(p / p.sum(axis=1, keepdims=True))
    assert "calibration in the notebook" in refusal(notebook, saved(plain, tmp_path), expected)


def test_other_applications_are_named(notebook: Notebook, plain: xgboost.Booster, tmp_path: Path) -> None:
    model, right = saved(plain, tmp_path), notebook.predictions(plain.predict(xgboost.DMatrix(notebook.x)))
    with pytest.raises(InputError, match=r"none of their .* applications is among"):
        adopted(notebook, model, right.with_columns(application_id="X" + pl.col("application_id")))
    shuffled = right.with_columns(pl.col("application_id").shuffle(seed=3))
    assert "beside other application_ids" in refusal(notebook, model, shuffled)


@pytest.mark.parametrize(
    ("rows", "by"), [([7], 0.3), ([7, 70, 700], 1e-3), ([7], 2e-5)], ids=["one", "three a little", "one hardly"]
)
def test_a_few_other_figures_are_not_put_down_to_what_changes_nothing(
    rows: list[int], by: float, notebook: Notebook, plain: xgboost.Booster, tmp_path: Path
) -> None:
    p = plain.predict(xgboost.DMatrix(notebook.x)).astype(np.float64)
    p[rows] += np.array([by, -by, 0]) * np.where(p[rows, :1] + by < 1, 1, -1)
    said = refusal(notebook, saved(plain, tmp_path), notebook.predictions(p))
    assert "The cause that fits" not in said


def test_classes_in_place_of_probabilities_are_named(
    notebook: Notebook, plain: xgboost.Booster, tmp_path: Path
) -> None:
    classes = np.eye(3)[plain.predict(xgboost.DMatrix(notebook.x)).argmax(axis=1)]
    said = refusal(notebook, saved(plain, tmp_path), notebook.predictions(classes))
    assert "holds classes, as predict() returns them" in said


def test_a_model_without_rounds_is_refused(notebook: Notebook, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the model has no rounds"):
        adopted(notebook, saved(notebook.booster(rounds=0), tmp_path))


@pytest.mark.slow
def test_another_model_is_said_to_be_one(notebook: Notebook, plain: xgboost.Booster, tmp_path: Path) -> None:
    other = notebook.booster(rounds=30, max_depth=2, learning_rate=0.05)
    expected = notebook.predictions(other.predict(xgboost.DMatrix(notebook.x)))
    assert "No known cause fits" in refusal(notebook, saved(plain, tmp_path), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.rename({"application_id": "id"}), "column application_id is missing"),
        (lambda t: pl.concat([t, t.head(1)]), "must be present and not repeated"),
        (lambda t: t.drop("Poor"), "are not those of the classes Poor, Standard, Good"),
        (lambda t: t.with_columns(Poor=pl.lit("high")), "column Poor holds cells that are no finite number"),
        (lambda t: t.with_columns(Good=pl.lit(None, pl.Float64)), "column Good holds cells that are no finite number"),
    ],
)
def test_predictions_that_cannot_be_used_are_refused(
    change: object, message: str, notebook: Notebook, plain: xgboost.Booster, tmp_path: Path
) -> None:
    right = notebook.predictions(plain.predict(xgboost.DMatrix(notebook.x)))
    with pytest.raises(InputError, match=message):
        adopted(notebook, saved(plain, tmp_path), change(right))  # type: ignore[operator]


def test_labels_encoded_by_the_alphabet_are_refused_by_name(notebook: Notebook, tmp_path: Path) -> None:
    alphabetical = np.array([1, 2, 0])[notebook.y]  # Good 0, Poor 1, Standard 2
    data = xgboost.DMatrix(notebook.x, label=alphabetical)
    model = xgboost.train({"objective": "multi:softprob", "num_class": 3, "max_depth": 4, "nthread": 1}, data, 12)
    with pytest.raises(ExportError, match="in the order Good, Poor, Standard, expected Poor, Standard, Good"):
        adopted(notebook, saved(model, tmp_path))


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"booster": "dart", "rate_drop": 0.5}, "booster is dart"),
        ({"booster": "gblinear", "max_depth": None}, "booster is gblinear"),
        ({"num_parallel_tree": 3, "subsample": 0.5}, "num_parallel_tree is 3"),
        ({"objective": "multi:softmax"}, "objective is multi:softmax"),
        ({"multi_strategy": "multi_output_tree"}, "multi_output_tree"),
    ],
)
def test_what_does_not_export_faithfully_is_refused(
    parameters: dict[str, object], reason: str, notebook: Notebook, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=reason):
        adopted(notebook, saved(notebook.booster(2, **parameters), tmp_path))


def test_categorical_splits_are_refused(notebook: Notebook, tmp_path: Path) -> None:
    x, kinds = notebook.x.copy(), ["q"] * len(notebook.names)
    x[:, 0], kinds[0] = notebook.y, "c"
    data = xgboost.DMatrix(x, label=notebook.y, feature_types=kinds, enable_categorical=True)
    model = xgboost.train({"objective": "multi:softprob", "num_class": 3, "tree_method": "hist"}, data, 2)
    with pytest.raises(ExportError, match="categorical splits"):
        adopted(notebook, saved(model, tmp_path))


def test_another_number_of_classes_is_refused(notebook: Notebook, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the model has 4 classes, the spec 3: Poor, Standard, Good"):
        adopted(notebook, saved(notebook.booster(2, num_class=4), tmp_path))
