"""The ONNX model: float32 features in, calibrated probabilities out. The only user of onnxruntime."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from features.errors import BundleError
from scoring.bundle import MODEL

ROW_ORDER = "row_order"  # metadata of the model: JSON list of [feature, threshold]
_LEAST_ORDERED = 1_000
_CHUNK_ROWS = 16_384
_LOAD_ERRORS = (  # they share no base class
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


class Model:
    """An ONNX model with one thread, which gives the same bits at every batch size; safe to share between threads."""

    def __init__(self, content: bytes, features: int, classes: int) -> None:
        """Build the session from bytes.

        Raises:
            BundleError: not a model that takes `features` float32 and gives `classes` probabilities.

        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except _LOAD_ERRORS as error:
            raise BundleError(f"{MODEL}: onnxruntime cannot load it ({type(error).__name__}).") from error
        (model_input,), (model_output,) = self._session.get_inputs(), self._session.get_outputs()
        self._input, self._output = model_input.name, model_output.name
        self._order = _RowOrder(self._session.get_modelmeta().custom_metadata_map.get(ROW_ORDER, "[]"))
        if (model_input.shape[-1], model_output.shape[-1]) != (features, classes):
            raise BundleError(
                f"{MODEL}: takes and gives other columns than the spec: expected {features} -> {classes}."
            )
        self._classes = classes

    def probabilities(self, matrix: NDArray[np.float32], threads: int = 1) -> NDArray[np.float32]:
        """Return calibrated probabilities, one row per row of `matrix`, one column per class."""
        starts = range(0, len(matrix), _CHUNK_ROWS)
        chunks = [matrix[start : start + _CHUNK_ROWS] for start in starts] or [matrix]
        if threads == 1 or len(chunks) == 1:
            return np.concatenate([self._run(chunk) for chunk in chunks])
        with ThreadPoolExecutor(threads) as pool:
            return np.concatenate(list(pool.map(self._run, chunks)))

    def _run(self, chunk: NDArray[np.float32]) -> NDArray[np.float32]:
        if len(chunk) < _LEAST_ORDERED or not self._order.conditions:
            return self._run_as_it_is(chunk)
        order = self._order.of(chunk)
        result = np.empty((len(chunk), self._classes), dtype=np.float32)
        result[order] = self._run_as_it_is(chunk[order])
        return result

    def _run_as_it_is(self, chunk: NDArray[np.float32]) -> NDArray[np.float32]:
        (result,) = self._session.run([self._output], {self._input: chunk})
        return np.asarray(result, dtype=np.float32)


class _RowOrder:
    """An order that puts rows which take similar paths through the trees next to each other.

    Trees are then walked faster, as the processor foresees more branches. Each row is computed on its own, so its bits
    do not depend on its neighbours. The model carries up to 16 of its own conditions `x[feature] < threshold` for this.
    """

    def __init__(self, text: str) -> None:
        self.conditions = [(int(feature), np.float32(threshold)) for feature, threshold in json.loads(text)]

    def of(self, chunk: NDArray[np.float32]) -> NDArray[np.intp]:
        key = np.zeros(len(chunk), dtype=np.uint16)
        for feature, threshold in self.conditions:
            key <<= 1
            key |= chunk[:, feature] < threshold
        return np.argsort(key, kind="stable")
