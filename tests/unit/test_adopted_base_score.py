"""XGBoost forms a base margin in float32, as -log(1 / b - 1); on low-default books any other formula fails the gate."""

import numpy as np
import pytest
import xgboost

from features.spec.file import parse_spec
from model_export.adversarial import adversarial_cases
from model_export.gate import check_parity
from model_export.trees.graph import to_onnx
from model_export.trees.trees import from_xgboost
from scoring.model import Model
from scoring.policy import Policy
from tests.unit.test_few_defaults import SPEC
from training.fit.calibrate import Calibration
from training.fit.fit import FittedXgboost

SCORES = (0.5, 0.6, 0.75, 0.9, 0.95, 0.97, 0.99, 0.995, 0.999, 0.9995, 0.9999)


def low_default_model(base_score: float) -> xgboost.Booster:
    generator = np.random.default_rng(round(base_score * 1e4))
    x = generator.normal(size=(3000, 3)).astype(np.float32)
    x[generator.random(x.shape) < 0.05] = np.nan
    better = generator.random(3000) < 1 / (1 + np.exp(-np.log(base_score / (1 - base_score)) - np.nan_to_num(x[:, 0])))
    settings = {"objective": "binary:logistic", "base_score": base_score, "max_depth": 4, "nthread": 1}
    return xgboost.train(settings, xgboost.DMatrix(x, label=better), 25)


@pytest.mark.parametrize("base_score", SCORES)
def test_adopted_models_pass_the_gate_at_every_base_score(base_score: float) -> None:
    spec, native = parse_spec(SPEC), FittedXgboost(low_default_model(base_score))
    ensemble = from_xgboost(native.booster)
    calibration = Calibration(np.array([1.0, 1.3], np.float32), np.array([0.0, 0.1], np.float32))
    model = Model(to_onnx(ensemble, calibration.scale, calibration.offset), 3, 2)
    certificate = check_parity(
        adversarial_cases(ensemble),
        lambda rows: calibration.probabilities(native.margins(rows)),
        model.probabilities,
        Policy.of(spec),
        ["income", "debt", "age"],
    )
    assert certificate["largest_difference"] <= 1e-6
