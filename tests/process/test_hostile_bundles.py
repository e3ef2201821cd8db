"""Bundles that are signed well and made by somebody hostile: always a BundleError, and never much memory."""

import io
import json
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.errors import BundleError
from scoring.bundle.folder import GOLDEN, MODEL, POLICY, REASONS, SHAP, SPEC
from scoring.memory_limit import room_for
from scoring.scorer import Scorer
from tests.conftest import PROJECT, Credit
from tests.unit.test_bundle import copy, republish

onnx = pytest.importorskip("onnx", reason="models are made with the library onnx, which a plain install leaves out")
__all__ = ["copy"]
DEEP = 100_000


def model(nodes: list[Any], constants: list[Any], width: int, inputs: int = 1) -> bytes:
    """A model of three classes that adds up what the nodes make."""
    floats, helper = onnx.TensorProto.FLOAT, onnx.helper
    into = [helper.make_tensor_value_info(f"x{i}", floats, [None, width]) for i in range(inputs)]
    out = [helper.make_tensor_value_info("y", floats, [None, 3])]
    graph = helper.make_graph(nodes, "g", into, out, constants)
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString())


def constants_of_12_gb(width: int) -> bytes:
    node, tensor, whole = onnx.helper.make_node, onnx.helper.make_tensor, onnx.TensorProto.INT64
    nodes = [
        node("ConstantOfShape", ["size"], ["c"]),
        node("ReduceMax", ["c"], ["m"], keepdims=0),
        node("Slice", ["x0", "zero", "three", "one"], ["s"]),
        node("Add", ["s", "m"], ["y"]),
    ]
    sizes = [tensor("size", whole, [1], [3_000_000_000])]
    return model(
        nodes, [*sizes, *[tensor(n, whole, [1], [v]) for n, v in (("zero", 0), ("three", 3), ("one", 1))]], width
    )


def two_inputs(width: int) -> bytes:
    node, tensor, whole = onnx.helper.make_node, onnx.helper.make_tensor, onnx.TensorProto.INT64
    nodes = [node("Slice", ["x0", "zero", "three", "one"], ["y"])]
    return model(nodes, [tensor(n, whole, [1], [v]) for n, v in (("zero", 0), ("three", 3), ("one", 1))], width, 2)


def with_order(content: bytes, text: str) -> bytes:
    read = onnx.load_model_from_string(content)
    del read.metadata_props[:]
    onnx.helper.set_model_props(read, {"row_order": text})
    return bytes(read.SerializeToString())


def unfolding(content: bytes) -> bytes:
    """Tables that take 1.5 GB in 1.5 MB."""
    with np.load(io.BytesIO(content)) as arrays:
        kept = {name: arrays[name] for name in arrays if name != "table"}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **kept)
    with (
        zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("table.npy", "w", force_zip64=True) as f,
    ):
        np.lib.format.write_array_header_1_0(f, {"descr": "<i4", "fortran_order": False, "shape": (375_000_000,)})
        for _ in range(15):  # of 100 MB
            f.write(bytes(100_000_000))
    return buffer.getvalue()


def claiming(content: bytes) -> bytes:
    """Tables whose header claims six GB that are not there."""
    with np.load(io.BytesIO(content)) as arrays:
        kept = {name: arrays[name] for name in arrays if name != "table"}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **kept)
    with zipfile.ZipFile(buffer, "a") as archive, archive.open("table.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<i4", "fortran_order": False, "shape": (1 << 40,)})
    return buffer.getvalue()


def swapped(name: str, array: Any) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        with np.load(io.BytesIO(content)) as arrays:
            made = {**arrays, name: array}
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **made)
        return buffer.getvalue()

    return change


def width_of(folder: Path) -> int:
    return len(json.loads((folder / REASONS).read_text())["features"])


Damage = Callable[[Path], None]


def content(name: str, change: Callable[[bytes], bytes]) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return damage


def frame(**columns: object) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


HOSTILE: dict[str, Damage] = {
    "a row order out of range": content(MODEL, lambda c: with_order(c, "[[1000000, 0.5]]")),
    "a row order before the first": content(MODEL, lambda c: with_order(c, "[[-1, 0.5]]")),
    "a row order of words": content(MODEL, lambda c: with_order(c, '{"a": 1}')),
    "a row order that is deep": content(MODEL, lambda c: with_order(c, "[" * DEEP)),
    "a row order of many": content(MODEL, lambda c: with_order(c, json.dumps([[0, 0.5]] * 64))),
    "two inputs of the graph": lambda f: content(MODEL, lambda _: two_inputs(width_of(f)))(f),
    "constants of 12 GB": lambda f: content(MODEL, lambda _: constants_of_12_gb(width_of(f)))(f),
    "a model of nothing": content(MODEL, lambda _: b""),
    "a model of noise": content(MODEL, lambda _: bytes(range(256)) * 100),
    "a policy of deep arrays": content(POLICY, lambda _: b"a = " + b"[" * DEEP),
    "a policy of deep tables": content(POLICY, lambda _: b"[" + b".".join([b"a"] * DEEP) + b"]\n"),
    "a policy of deep inline tables": content(POLICY, lambda _: b"a = " + b"{a = " * DEEP),
    "a spec of deep arrays": content(SPEC, lambda _: b"a = " + b"[" * DEEP),
    "a spec of deep tables": content(SPEC, lambda c: c + b"\n[" + b".".join([b"a"] * DEEP) + b"]\n"),
    "a dictionary of deep arrays": content(REASONS, lambda _: b"[" * DEEP),
    "a dictionary of deep objects": content(REASONS, lambda _: b'{"features":' + b'{"a":' * DEEP),
    "tables that claim a lot": content(SHAP, claiming),
    "tables of texts": content(SHAP, swapped("table", np.array(["a", "b"]))),
    "tables of decimals": content(SHAP, swapped("entry_group", np.array([0.5, 1.5]))),
    "tables of another shape": content(SHAP, swapped("group_conditions", np.array([1, 2], dtype=np.int32))),
    "tables with one more": content(SHAP, swapped("surprise", np.array([1]))),
    "a shape of tables of one": content(SHAP, swapped("shape", np.array([1], dtype=np.int32))),
    "no tables": content(SHAP, lambda _: b"PK"),
    "golden rows of other columns": content(GOLDEN, lambda _: frame(a=[1])),
    "golden rows that are no records": content(GOLDEN, lambda _: frame(application=[1], events=[[1]], decision=[1])),
    "golden rows of noise": content(GOLDEN, lambda _: b"PAR1" + bytes(100) + b"PAR1"),
    "golden rows of an application without columns": content(
        GOLDEN, lambda _: frame(application=[{"a": 1}], events=[[{"a": 1}]], decision=[{"a": 1}])
    ),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * name.endswith("deep tables")) for name in HOSTILE]
)
def test_a_hostile_bundle_is_a_bundle_error(copy: Path, name: str) -> None:
    HOSTILE[name](copy)
    with pytest.raises(BundleError):
        Scorer.open(republish(copy))


@pytest.mark.parametrize(
    "text", [b"[" * DEEP, b'{"files":' * DEEP, b"1" * 5000, b"[]", b'{"format_version":3,"files":[1]}']
)
def test_a_manifest_of_anything_is_a_bundle_error(copy: Path, text: bytes) -> None:
    (copy / "manifest.json").write_bytes(text)
    with pytest.raises(BundleError):
        Scorer.open(copy)


@pytest.mark.process
def test_a_command_ends_with_2_and_what_it_reads_takes_little_memory(
    copy: Path, credit: Credit, tmp_path: Path
) -> None:
    content(SHAP, unfolding)(copy)
    content(MODEL, lambda _: constants_of_12_gb(width_of(copy)))(copy)
    folder = republish(copy)
    done = credit("bundle", "verify", folder)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    script = f"""
import resource, sys
from features.errors import BundleError
from scoring.model import Model
from scoring.reasons.shap_tables import ShapTables
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for make in (lambda c: ShapTables.from_bytes(c, 'shap'), lambda c: Model(c, {width_of(folder)}, 3)):
    try:
        make(open(sys.argv[1] if 'Shap' in make.__code__.co_names[0] else sys.argv[2], 'rb').read())
    except BundleError:
        continue
    raise SystemExit('no error')
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    (tmp_path / "measure.py").write_text(script)
    arguments = [sys.executable, str(tmp_path / "measure.py"), str(folder / SHAP), str(folder / MODEL)]
    measured = subprocess.run(
        arguments, capture_output=True, text=True, check=False, cwd=PROJECT, env={"PYTHONPATH": "."}
    )
    assert measured.returncode == 0, measured.stderr
    assert int(measured.stdout) < 500_000, "kB"


def test_room_is_given_back() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(MemoryError), room_for(0):
        np.ones(1 << 29)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
