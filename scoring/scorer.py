"""The `Scorer`: applications and their events in, decisions out. The same bits alone, in bulk, and at every door."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import polars as pl
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from features.errors import BundleError
from features.matrix import build_features, list_features
from scoring.bundle import MODEL, Bundle, read_bundle
from scoring.decisions import Rules, make_decisions
from scoring.golden import GoldenMatch, check_golden
from scoring.machine import cpu_family

_CHUNK_ROWS = 16_384
_LOAD_ERRORS = (  # they share no base class
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


@dataclass(frozen=True, slots=True)
class Scored:
    """`decisions` and `rejects` account for every application; `dirt` counts cells that became missing, by cause."""

    decisions: pl.DataFrame
    rejects: pl.DataFrame
    dirt: pl.DataFrame


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
        if (model_input.shape[-1], model_output.shape[-1]) != (features, classes):
            raise BundleError(
                f"{MODEL}: takes and gives other columns than the spec: expected {features} -> {classes}."
            )

    def probabilities(self, matrix: NDArray[np.float32], threads: int = 1) -> NDArray[np.float32]:
        """Return calibrated probabilities, one row per row of `matrix`, one column per class."""
        starts = range(0, len(matrix), _CHUNK_ROWS)
        chunks = [matrix[start : start + _CHUNK_ROWS] for start in starts] or [matrix]
        if threads == 1 or len(chunks) == 1:
            return np.concatenate([self._run(chunk) for chunk in chunks])
        with ThreadPoolExecutor(threads) as pool:
            return np.concatenate(list(pool.map(self._run, chunks)))

    def _run(self, chunk: NDArray[np.float32]) -> NDArray[np.float32]:
        (result,) = self._session.run([self._output], {self._input: chunk})
        return np.asarray(result, dtype=np.float32)


class Scorer:
    """The only way to a score. No I/O, no clock, no state after construction; safe to share between threads."""

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        """Build the model and re-score the golden rows.

        Raises:
            BundleError: the model does not fit the spec, or a golden row comes out differently.

        """
        self.bundle = bundle
        self._threads = threads
        self._model = Model(bundle.model, len(list_features(bundle.spec)), len(bundle.spec.classes))
        self._rules = Rules(
            spec=bundle.spec, policy=bundle.policy, explainer=bundle.explainer, bundle_id=bundle.bundle_id
        )
        same_family = bundle.manifest.get("cpu_family") == cpu_family()
        self.golden: GoldenMatch = check_golden(bundle, self.score, same_family=same_family)

    @classmethod
    def open(cls, path: Path, threads: int = 1) -> "Scorer":
        """Read, verify and load a bundle folder.

        Raises:
            BundleError: see `read_bundle` and the constructor.

        """
        return cls(read_bundle(path), threads)

    def score(self, applications: pl.DataFrame, events: pl.DataFrame) -> Scored:
        """Score canonical applications with their customers' events. Rows in = decisions + rejected applications.

        Decisions come in input order. Rejects name the 1-based row, a code and what was expected, no values.

        Raises:
            InputError: a table lacks a column or holds one of a type that cannot be read.

        """
        table = build_features(applications, events, self.bundle.spec)
        probabilities = self._model.probabilities(table.matrix, self._threads)
        return Scored(make_decisions(table, probabilities, self._rules), table.rejects, table.dirt)
