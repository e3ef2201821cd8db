"""The ONNX model: float32 features in, calibrated probabilities out. The only user of onnxruntime."""

from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from features.errors import BundleError
from scoring.bundle.folder import MODEL
from scoring.memory_limit import ROOM_BYTES, room_for

__all__ = ["ROW_ORDER", "Model"]

ROW_ORDER = "row_order"  # metadata of the model: JSON list of [feature, threshold]
_MOST_CONDITIONS = 16  # each is a bit of the key
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
        self._classes = classes
        try:
            with room_for(len(content)):
                self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
                self._check_columns(features, classes)
                self._check_one_row(features)
        except (*_LOAD_ERRORS, MemoryError) as error:
            raise BundleError(
                f"{MODEL}: onnxruntime cannot load it and run it, or not within {ROOM_BYTES >> 20} MB "
                f"({type(error).__name__}). Publish the bundle again."
            ) from error
        text = self._session.get_modelmeta().custom_metadata_map.get(ROW_ORDER, "[]")
        self._order = _RowOrder.parse(text, features)

    def _check_columns(self, features: int, classes: int) -> None:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        found = [(one.type, len(one.shape), one.shape[-1:]) for one in (*inputs, *outputs)]
        floats = "tensor(float)"
        if len(inputs) != 1 or found != [(floats, 2, [features]), (floats, 2, [classes])]:
            raise BundleError(
                f"{MODEL}: takes and gives other columns than the spec: expected {features} -> {classes} of float32."
            )
        self._input, self._output = inputs[0].name, outputs[0].name

    def _check_one_row(self, features: int) -> None:
        result = self._run_as_it_is(np.zeros((1, features), dtype=np.float32))
        if result.shape != (1, self._classes):
            raise BundleError(f"{MODEL}: gives {result.shape} for one row, expected (1, {self._classes}).")

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


def _no_order() -> BundleError:
    return BundleError(f"{MODEL}: its {ROW_ORDER} is no order of this spec's features. Publish the bundle again.")


class _RowOrder:
    """An order that puts rows which take similar paths through the trees next to each other.

    Trees are then walked faster, as the processor foresees more branches. Each row is computed on its own, so its bits
    do not depend on its neighbours. The model carries up to 16 of its own conditions `x[feature] < threshold` for this.
    """

    def __init__(self, conditions: list[tuple[int, np.float32]]) -> None:
        self.conditions = conditions

    @classmethod
    def parse(cls, text: str, features: int) -> "_RowOrder":
        try:
            pairs = msgspec.json.decode(text, type=list[tuple[int, float]])
        except (msgspec.DecodeError, RecursionError) as error:
            raise _no_order() from error
        if len(pairs) > _MOST_CONDITIONS or not all(0 <= feature < features for feature, _ in pairs):
            raise _no_order()
        return cls([(feature, np.float32(threshold)) for feature, threshold in pairs])

    def of(self, chunk: NDArray[np.float32]) -> NDArray[np.intp]:
        key = np.zeros(len(chunk), dtype=np.uint16)
        for feature, threshold in self.conditions:
            key <<= 1
            key |= chunk[:, feature] < threshold
        return np.argsort(key, kind="stable")
