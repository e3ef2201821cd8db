"""Neutral trees and calibration to one ONNX graph: float32 features in, calibrated probabilities out."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skl2onnx.algebra.onnx_operator import OnnxOperator
from skl2onnx.algebra.onnx_ops import (
    OnnxAdd,
    OnnxConcat,
    OnnxGather,
    OnnxLog,
    OnnxMax,
    OnnxMin,
    OnnxMul,
    OnnxPad,
    OnnxSoftmax,
    OnnxTreeEnsembleRegressor_3,
)
from skl2onnx.common.data_types import FloatTensorType

from model_export.row_order import row_order
from model_export.trees import Ensemble, Tree
from scoring.model import ROW_ORDER

INPUT = "features"
OUTPUT = "probabilities"
_OPSETS = {"": 18, "ai.onnx.ml": 3}
_REGISTER = 16  # float32 in the widest vector register


def to_onnx(ensemble: Ensemble, scale: NDArray[np.float32], offset: NDArray[np.float32]) -> bytes:
    """Build the graph: regressors of trees, for forests a logarithm, then scale, shift and softmax.

    One regressor per class is the fastest of the layouts that were measured for scalar trees. Its trees and the missing
    direction of each node are written by hand from the neutral form; no converter interprets the model.
    """
    opset = _OPSETS[""]
    classes = len(ensemble.base_values)
    scaled = OnnxMul(_margins(ensemble), scale.reshape(1, -1), op_version=opset)
    logits = OnnxAdd(scaled, offset.reshape(1, -1), op_version=opset)
    softmax = OnnxSoftmax(logits, axis=1, op_version=opset, output_names=[OUTPUT])
    model = softmax.to_onnx(
        [(INPUT, FloatTensorType([None, ensemble.features]))],
        outputs=[(OUTPUT, FloatTensorType([None, classes]))],
        target_opset=_OPSETS,
    )
    model.opset_import.sort(key=lambda opset: opset.domain)  # they came from a set: in each process in another order
    model.graph.name = "credit-class"
    model.metadata_props.add(key=ROW_ORDER, value=json.dumps(row_order(ensemble)))
    return bytes(model.SerializeToString(deterministic=True))


def _margins(ensemble: Ensemble) -> OnnxOperator:
    opset = _OPSETS[""]
    if ensemble.least_probability is None:
        targets = range(len(ensemble.base_values))
        parts = [
            _regressor([t for t in ensemble.trees if t.target == target], ensemble.base_values[target : target + 1])
            for target in targets
        ]
        return OnnxConcat(*parts, axis=1, op_version=opset)
    probabilities = _regressor(list(ensemble.trees), ensemble.base_values)
    bounds = [np.array([bound], dtype=np.float32) for bound in (ensemble.least_probability, 1)]
    floored = OnnxMax(probabilities, bounds[0], op_version=13)
    return _log(OnnxMin(floored, bounds[1], op_version=13), len(ensemble.base_values))


def _log(probabilities: OnnxOperator, classes: int) -> OnnxOperator:
    """Take logarithms of rows padded to whole vector registers.

    ONNX Runtime computes what is left over behind the last full register by another function, whose last bit differs.
    Without padding, which values are left over would depend on the number of rows, and so would their bits.
    """
    opset = _OPSETS[""]
    padding = np.array([0, 0, 0, -classes % _REGISTER], dtype=np.int64)
    padded = OnnxPad(probabilities, padding, np.array([1], dtype=np.float32), op_version=opset)
    columns = np.arange(classes, dtype=np.int64)
    return OnnxGather(OnnxLog(padded, op_version=13), columns, axis=1, op_version=13)


def _regressor(trees: list[Tree], base_values: NDArray[np.float32]) -> OnnxOperator:
    sizes = [len(tree.left) for tree in trees]
    tree_ids, node_ids = np.repeat(np.arange(len(trees)), sizes), np.concatenate([np.arange(n) for n in sizes])

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(tree, name) for tree in trees])

    leaf, targets = joined("left") < 0, len(base_values)
    branch = np.repeat(["BRANCH_LEQ" if tree.inclusive else "BRANCH_LT" for tree in trees], sizes)
    return OnnxTreeEnsembleRegressor_3(
        INPUT,
        nodes_treeids=tree_ids.tolist(),
        nodes_nodeids=node_ids.tolist(),
        nodes_modes=np.where(leaf, "LEAF", branch).tolist(),
        nodes_featureids=np.where(leaf, 0, joined("feature")).tolist(),
        nodes_values=np.where(leaf, 0, joined("threshold")).tolist(),
        nodes_truenodeids=np.where(leaf, 0, joined("left")).tolist(),
        nodes_falsenodeids=np.where(leaf, 0, joined("right")).tolist(),
        nodes_missing_value_tracks_true=np.where(leaf, 0, joined("missing_left")).tolist(),
        target_treeids=np.repeat(tree_ids[leaf], targets).tolist(),
        target_nodeids=np.repeat(node_ids[leaf], targets).tolist(),
        target_ids=np.tile(np.arange(targets), int(leaf.sum())).tolist(),
        target_weights=joined("value")[leaf].ravel().tolist(),
        n_targets=targets,
        base_values=base_values.tolist(),
        aggregate_function="SUM",
        post_transform="NONE",
    )
