"""LightGBM models of a notebook become bundles: the same scores, with exact reasons; and differences are named."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from features.errors import ExportError
from features.spec.contract import Spec
from features.spec.file import parse_spec
from model_export.adopted.adopted import Adoption, take_over
from model_export.trees.tabulate import tabulate
from model_export.trees.trees import from_model
from recipes.dataset import Dataset
from scoring.bundle.folder import read_bundle
from scoring.decisions import flat_reasons
from scoring.scorer import Scorer
from tests.adopted import Notebook
from tests.conftest import Credit
from tests.contribution_parts import ones
from tests.lightgbm_text import SETTINGS
from training.fit.fit import Fitted
from training.run import Trained


def with_two_classes(dataset: Dataset) -> Notebook:
    text = dataset.spec_text.replace('classes = ["Poor", "Standard", "Good"]', 'classes = ["Poor", "Good"]')
    start, end = text.index("[policy.costs]"), text.index("# Uncomment to demand")
    costs = "[policy.costs]\nPoor = { Poor = 0, Good = 300 }\nGood = { Poor = 500, Good = 0 }\n"
    text = text[:start] + costs + text[end:]
    labels = dataset.labels.with_columns(pl.col("credit_class").replace("Standard", "Good"))
    return Notebook(replace(dataset, labels=labels, spec_text=text), parse_spec(text))


def fitted(notebook: Notebook, rounds: int = 15, y: Any = None, **parameters: Any) -> lightgbm.Booster:
    classes = len(notebook.spec.classes)
    kind = {"objective": "binary"} if classes == 2 else {"objective": "multiclass", "num_class": classes}
    data = lightgbm.Dataset(notebook.x, notebook.y if y is None else y, feature_name=notebook.names)
    return lightgbm.train({**SETTINGS, **kind, **parameters}, data, rounds)


def saved(booster: lightgbm.Booster, folder: Path) -> Path:
    booster.save_model(folder / "model.txt")
    return folder / "model.txt"


def predicted(booster: lightgbm.Booster, x: NDArray[np.float32], **options: Any) -> NDArray[np.float64]:
    """One column per class: of two classes, LightGBM states the better one's alone."""
    found = np.asarray(booster.predict(x, **options), dtype=np.float64)
    if found.ndim == 2:
        return found
    return np.column_stack([np.zeros_like(found) if options.get("raw_score") else 1 - found, found])


def adopted(notebook: Notebook, model: Path, expected: pl.DataFrame | None = None) -> Trained:
    return take_over(Adoption(model=model, data=notebook.data, spec=notebook.spec, expected=expected), lambda _: None)


@pytest.fixture(scope="module")
def notebook(dataset: Dataset, spec: Spec) -> Notebook:
    return Notebook(dataset, spec)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
def test_a_notebooks_model_becomes_a_bundle(
    classes: int, notebook: Notebook, dataset: Dataset, credit: Credit, tmp_path: Path
) -> None:
    book = notebook if classes == 3 else with_two_classes(dataset)
    booster = fitted(book)
    for name in ("applications", "events", "labels"):
        getattr(book.dataset, name).write_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "spec.toml").write_text(book.dataset.spec_text)
    predictions = book.predictions(predicted(booster, book.x))
    predictions.write_parquet(tmp_path / "predictions.parquet")
    folders = ("--spec", tmp_path / "spec.toml", "--calibration", tmp_path, "--bundles", tmp_path / "bundles")
    model = saved(booster, tmp_path)
    done = credit("export", "--model", model, *folders, "--expected", tmp_path / "predictions.parquet")
    assert done.returncode == 0, done.stderr
    said = " ".join((done.stdout + done.stderr).split())
    assert "LightGBM v4: all 15 rounds of the file are used. Where training stopped early, save_model()" in said
    assert f"The notebook's predictions agree on {len(book.x):,} applications: largest difference" in said

    folder = Path(done.stdout.splitlines()[-1])
    facts = read_bundle(folder).manifest["model"]
    assert (facts["kind"], facts["source"]["rounds_used"], facts["source"]["format"]) == ("lightgbm", 15, "LightGBM v4")
    assert facts["source"]["expected"]["largest_difference"] < 1e-12, "doubles, as LightGBM adds them"
    assert facts["trees"] == 15 * (1 if classes == 2 else 3)
    assert f"lightgbm, adopted: {facts['trees']} trees of depth 5 at most" in (folder / "model_card.md").read_text()
    decisions = Scorer.open(folder).score(book.dataset.applications, book.dataset.events).decisions
    calibration = adopted(book, model).calibration
    expected = calibration.probabilities(predicted(booster, book.x, raw_score=True))
    found = decisions.select(f"p_{name.lower()}" for name in book.spec.classes).to_numpy()
    assert np.abs(found - expected).max() <= 1e-6
    refused = flat_reasons(decisions).filter(pl.col("credit_class") != "Good")
    assert len(refused) > 100
    assert refused["reason_1_code"].is_not_null().all()

    whole = model.read_bytes()
    model.write_bytes(whole[: len(whole) // 3])
    done = credit("export", "--model", model, *folders)
    assert (done.returncode, "damaged, or not the text of a LightGBM model" in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("boosting", ["gbdt", "dart", "rf"])
def test_reasons_are_lightgbms_own_shapley_values(
    boosting: str, classes: int, notebook: Notebook, dataset: Dataset, tmp_path: Path
) -> None:
    book = notebook if classes == 3 else with_two_classes(dataset)
    booster = fitted(book, 6, boosting=boosting, bagging_freq=1, bagging_fraction=0.5, num_leaves=10)
    model: Fitted = adopted(book, saved(booster, tmp_path)).model
    ensemble = from_model(model)
    tables = tabulate(ensemble, ones(ensemble))
    rows = book.x[:200].copy()
    rows[np.random.default_rng(0).random(rows.shape) < 0.2] = np.nan
    own = np.asarray(booster.predict(rows, pred_contrib=True)).reshape(len(rows), -1, rows.shape[1] + 1)
    own = own / (6 if boosting == "rf" else 1)  # LightGBM explains the sum of a forest, and predicts with the mean
    found = tables.contributions(rows)[:, :, -own.shape[1] :]
    assert np.abs(found - np.moveaxis(own[:, :, :-1], 1, 2)).max() <= 1e-5
    assert tables.base_values[-own.shape[1] :] == pytest.approx(own[0, :, -1], abs=1e-6)


@pytest.mark.slow
def test_fewer_rounds_and_other_columns_are_named(notebook: Notebook, tmp_path: Path) -> None:
    booster = fitted(notebook, 4, max_depth=3)
    model = saved(booster, tmp_path)
    fewer = notebook.predictions(predicted(booster, notebook.x, num_iteration=3))
    with pytest.raises(ExportError, match=r"with the first 3 rounds of 4. Save only these .*num_iteration=3"):
        adopted(notebook, model, fewer)
    other = notebook.predictions(predicted(booster, notebook.x), ["Good", "Poor", "Standard"])
    with pytest.raises(ExportError, match=r"the order of the classes. The columns Poor, Standard, Good of the file"):
        adopted(notebook, model, other)


def test_labels_encoded_by_the_alphabet_are_refused_by_name(notebook: Notebook, tmp_path: Path) -> None:
    booster = fitted(notebook, y=np.array([1, 2, 0])[notebook.y])  # Good 0, Poor 1, Standard 2
    with pytest.raises(ExportError, match="in the order Good, Poor, Standard, expected Poor, Standard, Good"):
        adopted(notebook, saved(booster, tmp_path))
