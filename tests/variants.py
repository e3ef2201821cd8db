"""Bundles that differ from another in one part alone, made by hand: nothing is trained."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import polars as pl
from onnx import numpy_helper

from features.matrix import build_features, list_features
from features.spec.file import parse_spec
from model_export.write_bundle import publish
from scoring.bundle import GOLDEN, MANIFEST, MODEL, POLICY, SPEC, golden_frame, read_bundle
from scoring.decisions import Rules, make_decisions
from scoring.model import Model
from scoring.policy import Policy


def variant(
    bundle: Path,
    folder: Path,
    *,
    model: bytes | None = None,
    policy: Policy | None = None,
    spec: Callable[[str], str] = lambda text: text,
) -> Path:
    """Publish a copy of a bundle with these parts; its golden rows are decided anew."""
    old = read_bundle(bundle)
    text, rule, content = spec(old.spec.text), policy or old.policy, model or old.model
    parsed = parse_spec(text)
    applications = old.golden.select("application").unnest("application")
    events = old.golden.select(pl.col("events").explode()).drop_nulls("events").unnest("events")
    table = build_features(applications, events, parsed)
    session = Model(content, len(list_features(parsed)), len(parsed.classes))
    rules = Rules(spec=parsed, policy=rule, explainer=old.explainer, bundle_id="00" * 32)
    golden = io.BytesIO()
    decisions = make_decisions(table, session.probabilities(table.matrix), rules)
    golden_frame(applications, events, decisions).write_parquet(golden)
    files = {name: (old.path / name).read_bytes() for name in old.manifest["files"] if name != MANIFEST}
    files |= {MODEL: content, SPEC: text.encode(), POLICY: rule.to_toml().encode(), GOLDEN: golden.getvalue()}
    facts = {name: fact for name, fact in old.manifest.items() if name not in ("files", "format_version")}
    return publish(files, facts, folder)


def recalibrated(bundle: Path, shift: float, content: bytes | None = None) -> bytes:
    """Return the model (or `content`, which was made of it) with another offset behind the trees."""
    graph = _graph(bundle) if content is None else onnx.load_from_string(content)
    (node,) = [node for node in graph.graph.node if node.op_type == "Add"]
    (offset,) = [part for part in graph.graph.initializer if part.name in node.input]
    moved = numpy_helper.to_array(offset).copy()
    moved[0, 0] += np.float32(shift)
    offset.CopyFrom(numpy_helper.from_array(moved, offset.name))
    return bytes(graph.SerializeToString())


def regrown(bundle: Path, factor: float) -> bytes:
    """Return the model with all leaves so much larger: other trees with the same calibration."""
    graph = _graph(bundle)
    for node in graph.graph.node:
        for attribute in node.attribute:
            if attribute.name == "target_weights":
                attribute.floats[:] = [np.float32(value * factor) for value in attribute.floats]
    return bytes(graph.SerializeToString())


def _graph(bundle: Path) -> onnx.ModelProto:
    return onnx.load_from_string(read_bundle(bundle).model)
