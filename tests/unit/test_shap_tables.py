"""The tables of contributions: the same bits in any batch, read back as they were, and refused when damaged."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from features.errors import BundleError, ExportError
from model_export.adversarial import adversarial_cases, finite
from model_export.trees.tabulate import tabulate
from model_export.trees.trees import from_forest, from_model
from scoring.reasons.shap_tables import ShapTables
from tests.contribution_parts import adversarial_rows, ones
from training.run import Trained


def test_alone_in_bulk_and_in_any_order_the_same_bits(trained: Trained) -> None:
    ensemble = from_model(trained.model)
    tables = tabulate(ensemble, trained.calibration.scale)
    rows = np.concatenate([adversarial_rows(ensemble), np.resize(trained.features.matrix, (3000, ensemble.features))])
    together = tables.against(rows, 0)
    order = np.random.default_rng(0).permutation(len(rows))
    assert np.array_equal(tables.against(rows[order], 0), together[:, order])
    for size in (1, 7, 96, 97):
        for start in (0, 1000, 2040):
            part = slice(start, start + size)
            assert np.array_equal(tables.against(rows[part], 0), together[:, part])
            assert np.array_equal(tables.totals(rows[part], [1, 0]), tables.sums(rows[part], [1, 0]).sum(axis=1))
    assert np.array_equal(tables.totals(rows, [0, 1]), tables.sums(rows, [0, 1]).sum(axis=1, dtype=np.int64))


def test_infinities_take_the_side_of_the_largest_floats(trained: Trained) -> None:
    ensemble = from_model(trained.model)
    tables = tabulate(ensemble, trained.calibration.scale)
    rows = np.concatenate([c.rows for c in adversarial_cases(ensemble) if "infinity" in c.kind])
    assert np.isinf(rows).any()
    assert np.array_equal(tables.contributions(rows), tables.contributions(finite(rows)))


def test_tables_are_the_same_bytes_twice_and_read_back(trained: Trained) -> None:
    ensemble = from_model(trained.model)
    content = tabulate(ensemble, trained.calibration.scale).to_bytes()
    assert tabulate(from_model(trained.model), trained.calibration.scale).to_bytes() == content
    rows = trained.features.matrix[:50]
    read = ShapTables.from_bytes(content, "explain/shap.npz")
    assert np.array_equal(read.contributions(rows), tabulate(ensemble, trained.calibration.scale).contributions(rows))
    assert b"pickle" not in content


@pytest.mark.parametrize("name", ["entry_start", "group_conditions", "entry_feature", "condition_feature"])
def test_tables_that_lead_nowhere_are_refused(name: str, trained: Trained) -> None:
    tables = tabulate(from_model(trained.model), trained.calibration.scale)
    damaged = replace(tables, **{name: getattr(tables, name) + np.int32(2**20)})
    with pytest.raises(BundleError, match=r"explain/shap\.npz: not tables"):
        ShapTables.from_bytes(damaged.to_bytes(), "explain/shap.npz")
    for content in (b"", b"PK", tables.to_bytes()[:5000]):
        with pytest.raises(BundleError, match=r"explain/shap\.npz: not tables"):
            ShapTables.from_bytes(content, "explain/shap.npz")


def test_trees_that_are_too_deep_or_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(3000, 5)).astype(np.float32), generator.integers(0, 2, 3000)
    deep = from_forest(DecisionTreeClassifier(max_depth=11, random_state=0).fit(x, y))
    with pytest.raises(ExportError, match="splits deep; reasons need at most 8"):
        tabulate(deep, ones(deep))
    bushy = from_forest(DecisionTreeClassifier(max_depth=6, random_state=0).fit(x, y))
    monkeypatch.setattr("model_export.trees.tabulate.MOST_BYTES", 1000)
    with pytest.raises(ExportError, match="tables for reasons would take more than"):
        tabulate(bushy, ones(bushy))


def test_a_model_without_a_split_has_no_contributions() -> None:
    stump = from_forest(DecisionTreeClassifier(max_depth=6).fit(np.ones((10, 3), dtype=np.float32), np.arange(10) % 2))
    tables = ShapTables.from_bytes(tabulate(stump, ones(stump)).to_bytes(), "shap.npz")
    assert tables.base_values.tolist() == [0.5, 0.5]
    for rows in (1, 500):
        assert not tables.contributions(np.zeros((rows, 3), dtype=np.float32)).any()
