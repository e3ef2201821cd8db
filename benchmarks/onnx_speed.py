"""The exported graph against XGBoost itself: the same model and rows, one thread each, outputs checked equal.

python -m benchmarks.onnx_speed [--rows 100000] [--customers 4000]
"""

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import xgboost

from features.matrix import build_features
from features.spec.file import parse_spec
from model_export.trees.graph import to_onnx
from model_export.trees.trees import from_model
from recipes.synthetic import synthetic
from scoring.model import Model
from training.data import TrainingData
from training.fit.fit import OrdinalXgboost
from training.run import train


def main(rows: int, customers: int) -> dict[str, float]:
    """Time bulk and single rows; probabilities must agree within 1e-6."""
    dataset = synthetic(customers, seed=7)
    spec = parse_spec(dataset.spec_text)
    trained = train(TrainingData(dataset.applications, dataset.events, dataset.labels), spec)
    if not isinstance(trained.model, OrdinalXgboost):
        raise SystemExit("expected an XGBoost model")
    boosters, ensemble = trained.model.boosters, from_model(trained.model)
    content = to_onnx(ensemble, trained.calibration.scale, trained.calibration.offset)
    model = Model(content, ensemble.features, len(spec.classes))
    others = synthetic(rows // 2 + 100, seed=9)
    matrix = build_features(others.applications, others.events, spec).matrix[:rows]
    native = trained.calibration.probabilities(trained.model.margins(matrix))
    apart = float(np.abs(model.probabilities(matrix) - native).max())
    if apart > 1e-6:
        raise SystemExit(f"graph and XGBoost differ by {apart}")
    one = matrix[:1]
    graph, single = _microseconds(lambda: model.probabilities(matrix)), _mean(lambda: model.probabilities(one))
    bulk = min(
        _microseconds(lambda: [booster.inplace_predict(matrix, predict_type="margin") for booster in boosters]),
        _microseconds(lambda: _predict(boosters, xgboost.DMatrix(matrix, nthread=1))),
    )
    alone = _mean(lambda: [booster.inplace_predict(one, predict_type="margin") for booster in boosters])
    return {
        "rows": len(matrix),
        "trees": len(ensemble.trees),
        "largest_difference": apart,
        "onnx_us_a_row": round(graph / len(matrix), 2),
        "xgboost_us_a_row": round(bulk / len(matrix), 2),
        "bulk_ratio": round(bulk / graph, 2),
        "onnx_us_alone": round(single, 1),
        "xgboost_us_alone": round(alone, 1),
        "alone_ratio": round(alone / single, 1),
    }


def _predict(boosters: tuple[xgboost.Booster, ...], data: xgboost.DMatrix) -> list[object]:
    return [booster.predict(data, output_margin=True) for booster in boosters]


def _microseconds(run: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(7):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best * 1e6


def _mean(run: Callable[[], object], times: int = 2000) -> float:
    run()
    start = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - start) / times * 1e6


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--customers", type=int, default=4000, help="of training")
    options = parser.parse_args()
    print(json.dumps(main(options.rows, options.customers), indent=2))  # noqa: T201
