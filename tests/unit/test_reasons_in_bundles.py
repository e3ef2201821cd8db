"""A bundle whose reasons are wrong is not written, and one whose reasons were changed is not loaded."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.errors import BundleError, ExportError
from model_export.export import export, export_ensemble
from model_export.trees.tabulate import tabulate
from model_export.trees.trees import from_model
from scoring.bundle.folder import read_bundle
from scoring.machine import cpu_family
from scoring.reasons.shap_tables import ShapTables
from scoring.scorer import Scorer
from tests.unit.test_bundle import republish
from training.run import Trained


@pytest.mark.parametrize("change", ["text", "median", "table"])
def test_golden_rows_cover_reasons(change: str, bundle: Path, tmp_path: Path) -> None:
    """Hashes cannot see wrong words that were published; golden rows do, on a foreign CPU family as well."""
    folder = Path(shutil.copytree(bundle, tmp_path / bundle.name))
    if change == "table":
        tables = ShapTables.from_bytes((folder / "explain/shap.npz").read_bytes(), "")
        (folder / "explain/shap.npz").write_bytes(replace(tables, table=tables.table + np.int32(1000)).to_bytes())
    else:
        book = json.loads((folder / "explain/reasons.json").read_text())
        for entry in book["features"]:
            entry.update({"high": "Other words."} if change == "text" else {"median": 1e9})
        (folder / "explain/reasons.json").write_text(json.dumps(book))
    for family in (cpu_family(), "another"):
        folder = republish(folder, lambda manifest, family=family: manifest.update(cpu_family=family))  # type: ignore[misc]
        with pytest.raises(BundleError, match=r"golden rows come out differently .* classes and reasons differ"):
            Scorer.open(folder)


@pytest.mark.parametrize(
    "damage", ["{}", '{"language": "en", "unit": "log-odds", "features": []}', "[", '{"features": 3}']
)
def test_a_dictionary_file_that_is_damaged_is_refused(damage: str, bundle: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundle, tmp_path / bundle.name))
    (folder / "explain/reasons.json").write_text(damage)
    with pytest.raises(BundleError, match=r"explain/reasons\.json: "):
        read_bundle(republish(folder))


def test_the_gate_closes_on_a_wrong_cover(trained: Trained, tmp_path: Path) -> None:
    """No prediction depends on covers, so only the comparison of contributions sees it."""
    ensemble = from_model(trained.model)
    cover = ensemble.trees[0].cover.copy()
    cover[np.flatnonzero(ensemble.trees[0].left < 0)[0]] *= 2
    damaged = replace(ensemble, trees=(replace(ensemble.trees[0], cover=cover), *ensemble.trees[1:]))
    with pytest.raises(ExportError, match=r"the contribution of .* differs from the native library's|do not add up"):
        export_ensemble(trained, damaged, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: replace(t, base_values=t.base_values + 1e-4), "do not add up to the model's raw score"),
        (
            lambda t: replace(t, entry_feature=t.entry_feature[::-1].copy()),
            "the contribution of .* differs from the native",
        ),
    ],
)
def test_the_gate_closes_on_wrong_tables(
    damage: Any, message: str, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(export.__globals__, "tabulate", lambda ensemble, scale: damage(tabulate(ensemble, scale)))
    with pytest.raises(ExportError, match=message):
        export(trained, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_certificate_covers_contributions(bundle: Path) -> None:
    contributions = read_bundle(bundle).manifest["parity"]["contributions"]
    assert 0 < contributions["largest_difference"] <= contributions["tolerance"] == 1e-5
    assert 0 < contributions["largest_sum_difference"] <= 1e-5
    assert contributions["rows"] > contributions["native_rows"] > 500
