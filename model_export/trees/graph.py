"""Neutral trees and calibration to one ONNX graph: float32 features in, calibrated probabilities out."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from onnx.numpy_helper import from_array
from skl2onnx.algebra.onnx_operator import OnnxOperator
from skl2onnx.algebra.onnx_ops import (
    OnnxAdd,
    OnnxCast,
    OnnxConcat,
    OnnxGather,
    OnnxIdentity,
    OnnxLog,
    OnnxMax,
    OnnxMin,
    OnnxMul,
    OnnxPad,
    OnnxReshape,
    OnnxSoftmax,
    OnnxSub,
    OnnxTreeEnsembleRegressor_3,
)
from skl2onnx.common.data_types import FloatTensorType

from model_export.trees.row_order import row_order
from model_export.trees.trees import Ensemble, Tree
from scoring.model import ROW_ORDER

INPUT = "features"
OUTPUT = "probabilities"
_OPSETS = {"": 18, "ai.onnx.ml": 3}
_REGISTER = 16  # float32 in the widest vector register


def to_onnx(ensemble: Ensemble, scale: NDArray[np.float32], offset: NDArray[np.float32]) -> bytes:
    """Build the graph: regressors of trees, for forests a logarithm, then scale, shift, and softmax or products.

    One regressor per class is the fastest of the layouts that were measured for scalar trees. Its trees and the missing
    direction of each node are written by hand from the neutral form; no converter interprets the model.
    """
    opset = _OPSETS[""]
    scaled = OnnxMul(_margins(ensemble), scale.reshape(1, -1), op_version=opset)
    logits = OnnxAdd(scaled, offset.reshape(1, -1), op_version=opset)
    model = (_chain if ensemble.ordinal else _softmax)(logits, len(ensemble.base_values)).to_onnx(
        [(INPUT, FloatTensorType([None, ensemble.features]))],
        outputs=[(OUTPUT, FloatTensorType([None, ensemble.classes]))],
        target_opset=_OPSETS,
    )
    model.opset_import.sort(key=lambda opset: opset.domain)  # they came from a set: in each process in another order
    model.graph.name = "credit-class"
    model.metadata_props.add(key=ROW_ORDER, value=json.dumps(row_order(ensemble)))
    return bytes(model.SerializeToString(deterministic=True))


def _softmax(logits: OnnxOperator, _targets: int) -> OnnxOperator:
    return OnnxSoftmax(logits, axis=1, op_version=_OPSETS[""], output_names=[OUTPUT])


def _chain(logits: OnnxOperator, targets: int) -> OnnxOperator:
    """Multiply along the classes: P(class) = product of "better" of all before it, times "not better" of its own.

    Both come from a softmax of two, (0, logit), row by row, so that small probabilities keep their relative accuracy
    and no bit depends on the number of rows.
    """
    opset = _OPSETS[""]
    pairs = OnnxReshape(logits, np.array([-1, targets, 1], dtype=np.int64), op_version=14)
    padding = np.array([0, 0, 1, 0, 0, 0], dtype=np.int64)
    padded = OnnxPad(pairs, padding, np.array([0], dtype=np.float32), op_version=opset)
    parts = OnnxSoftmax(padded, axis=2, op_version=opset)
    flat = OnnxReshape(parts, np.array([-1, 2 * targets], dtype=np.int64), op_version=14)
    if targets == 1:
        return OnnxIdentity(flat, op_version=16, output_names=[OUTPUT])
    reached, columns = None, []
    for target in range(targets):
        stays, goes = (OnnxGather(flat, np.array([2 * target + i]), axis=1, op_version=13) for i in (0, 1))
        columns.append(stays if reached is None else OnnxMul(reached, stays, op_version=14))
        reached = goes if reached is None else OnnxMul(reached, goes, op_version=14)
    return OnnxConcat(*columns, reached, axis=1, op_version=13, output_names=[OUTPUT])


def _margins(ensemble: Ensemble) -> OnnxOperator:
    opset = _OPSETS[""]
    count, least = len(ensemble.base_values), ensemble.least_probability
    doubles = OnnxCast(INPUT, to=TensorProto.DOUBLE, op_version=13) if ensemble.doubles else None
    if least is not None and not ensemble.ordinal:
        return _log(_clipped(_regressor(list(ensemble.trees), ensemble.base_values, doubles), least, 1), count)
    parts = [
        _regressor(
            [t for t in ensemble.trees if t.target == target], ensemble.base_values[target : target + 1], doubles
        )
        for target in range(count)
    ]
    sums = parts[0] if count == 1 else OnnxConcat(*parts, axis=1, op_version=opset)
    if least is None:
        return sums
    shares = _clipped(sums, least, 1 - least)
    rest = OnnxSub(np.array([1], dtype=np.float32), shares, op_version=14)
    return OnnxSub(_log(shares, count), _log(rest, count), op_version=14)


def _clipped(probabilities: OnnxOperator, least: float, most: float) -> OnnxOperator:
    bounds = [np.array([bound], dtype=np.float32) for bound in (least, most)]
    return OnnxMin(OnnxMax(probabilities, bounds[0], op_version=13), bounds[1], op_version=13)


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


def _regressor(
    trees: list[Tree], base_values: NDArray[np.float32], doubles: OnnxOperator | None = None
) -> OnnxOperator:
    """Add leaves to base values. From features as `doubles` the sum is one of doubles, and is rounded to float32."""
    sizes = [len(tree.left) for tree in trees]
    tree_ids, node_ids = np.repeat(np.arange(len(trees)), sizes), np.concatenate([np.arange(n) for n in sizes])

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(tree, name) for tree in trees])

    leaf, targets = joined("left") < 0, len(base_values)
    branch = np.repeat(["BRANCH_LEQ" if tree.inclusive else "BRANCH_LT" for tree in trees], sizes)
    numbers = {
        "nodes_values": np.where(leaf, 0, joined("threshold")),
        "target_weights": joined("value")[leaf].ravel(),
        "base_values": base_values,
    }
    nodes: dict[str, Any] = {
        "nodes_treeids": tree_ids.tolist(),
        "nodes_nodeids": node_ids.tolist(),
        "nodes_modes": np.where(leaf, "LEAF", branch).tolist(),
        "nodes_featureids": np.where(leaf, 0, joined("feature")).tolist(),
        "nodes_truenodeids": np.where(leaf, 0, joined("left")).tolist(),
        "nodes_falsenodeids": np.where(leaf, 0, joined("right")).tolist(),
        "nodes_missing_value_tracks_true": np.where(leaf, 0, joined("missing_left")).tolist(),
        "target_treeids": np.repeat(tree_ids[leaf], targets).tolist(),
        "target_nodeids": np.repeat(node_ids[leaf], targets).tolist(),
        "target_ids": np.tile(np.arange(targets), int(leaf.sum())).tolist(),
        "n_targets": targets,
        "aggregate_function": "SUM",
        "post_transform": "NONE",
    }
    if doubles is None:
        return OnnxTreeEnsembleRegressor_3(INPUT, **nodes, **{name: some.tolist() for name, some in numbers.items()})
    tensors = {f"{name}_as_tensor": from_array(some.astype(np.float64)) for name, some in numbers.items()}
    return OnnxTreeEnsembleRegressor_3(doubles, **nodes, **tensors)
