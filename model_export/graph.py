"""Neutral trees and calibration to one ONNX graph: float32 features in, calibrated probabilities out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skl2onnx.algebra.onnx_operator import OnnxOperator
from skl2onnx.algebra.onnx_ops import (
    OnnxAdd,
    OnnxConcat,
    OnnxMul,
    OnnxSoftmax,
    OnnxTreeEnsembleRegressor_3,
)
from skl2onnx.common.data_types import FloatTensorType

from model_export.trees import Ensemble

INPUT = "features"
OUTPUT = "probabilities"
_OPSETS = {"": 18, "ai.onnx.ml": 3}


def to_onnx(ensemble: Ensemble, scale: NDArray[np.float32], offset: NDArray[np.float32]) -> bytes:
    """Build the graph: one regressor of trees per class, concatenated, scaled and shifted, then softmax.

    One regressor per class is the fastest of the layouts that were measured. Its trees and the missing direction of
    each node are written by hand from the neutral form; no converter interprets the model.
    """
    opset = _OPSETS[""]
    classes = len(ensemble.base_values)
    margins = [_regressor(ensemble, target) for target in range(classes)]
    scaled = OnnxMul(OnnxConcat(*margins, axis=1, op_version=opset), scale.reshape(1, -1), op_version=opset)
    logits = OnnxAdd(scaled, offset.reshape(1, -1), op_version=opset)
    softmax = OnnxSoftmax(logits, axis=1, op_version=opset, output_names=[OUTPUT])
    model = softmax.to_onnx(
        [(INPUT, FloatTensorType([None, ensemble.features]))],
        outputs=[(OUTPUT, FloatTensorType([None, classes]))],
        target_opset=_OPSETS,
    )
    model.graph.name = "credit-class"
    return bytes(model.SerializeToString(deterministic=True))


def _regressor(ensemble: Ensemble, target: int) -> OnnxOperator:
    trees = [tree for tree in ensemble.trees if tree.target == target]
    sizes = [len(tree.left) for tree in trees]
    tree_ids, node_ids = np.repeat(np.arange(len(trees)), sizes), np.concatenate([np.arange(n) for n in sizes])

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(tree, name) for tree in trees])

    leaf = joined("left") < 0
    return OnnxTreeEnsembleRegressor_3(
        INPUT,
        nodes_treeids=tree_ids.tolist(),
        nodes_nodeids=node_ids.tolist(),
        nodes_modes=np.where(leaf, "LEAF", "BRANCH_LT").tolist(),
        nodes_featureids=np.where(leaf, 0, joined("feature")).tolist(),
        nodes_values=np.where(leaf, 0, joined("threshold")).tolist(),
        nodes_truenodeids=np.where(leaf, 0, joined("left")).tolist(),
        nodes_falsenodeids=np.where(leaf, 0, joined("right")).tolist(),
        nodes_missing_value_tracks_true=np.where(leaf, 0, joined("missing_left")).tolist(),
        target_treeids=tree_ids[leaf].tolist(),
        target_nodeids=node_ids[leaf].tolist(),
        target_ids=[0] * int(leaf.sum()),
        target_weights=joined("value")[leaf].tolist(),
        n_targets=1,
        base_values=[float(ensemble.base_values[target])],
        aggregate_function="SUM",
        post_transform="NONE",
    )
