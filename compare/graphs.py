"""The two parts of a model's graph: trees, and the calibration behind them. Needs `onnx`, of the extra `train`."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

_ADD, _MULTIPLY = "Add", "Mul"


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph whose calibration was found: `scale` and `offset` of the trees' sums, and what follows on them."""

    content: bytes
    scale: str
    offset: str
    values: tuple[NDArray[np.float32], NDArray[np.float32]]
    trees: bytes
    follows: tuple[str, ...]

    @classmethod
    def of(cls, content: bytes) -> Self | None:
        """Read a graph; None where it does not scale and shift its trees' sums as this product's graphs do."""
        model = onnx.load_from_string(content)
        stored = {one.name: one for one in model.graph.initializer}
        made = {name: node for node in model.graph.node for name in node.output}
        found = []
        for place, node in enumerate(model.graph.node):
            if node.op_type == _ADD and (offset := [name for name in node.input if name in stored]):
                before = [made[name] for name in node.input if name in made and made[name].op_type == _MULTIPLY]
                scales = [(name, place) for one in before for name in one.input if name in stored]
                found += [(scale, offset[0], place) for scale, place in scales]
        if len(found) != 1:
            return None
        scale, offset_name, place = found[0]
        values = tuple(numpy_helper.to_array(stored[name]) for name in (scale, offset_name))
        follows = tuple(node.op_type for node in list(model.graph.node)[place:])
        return cls(content, scale, offset_name, (values[0], values[1]), _without(model, scale, offset_name), follows)

    def can_take(self, other: "Graph") -> bool:
        """Tell whether the other's calibration fits these trees: as many sums, and the same steps behind them."""
        shapes = [[value.shape for value in one.values] for one in (self, other)]
        return shapes[0] == shapes[1] and self.follows == other.follows

    def calibrated_as(self, other: "Graph") -> bool:
        """Tell whether both have the same calibration."""
        return self.can_take(other) and all(map(np.array_equal, self.values, other.values))

    def with_calibration_of(self, other: "Graph") -> bytes:
        """Return these trees with the other's calibration."""
        if self.calibrated_as(other):
            return self.content
        model = onnx.load_from_string(self.content)
        new = dict(zip((self.scale, self.offset), other.values, strict=True))
        for one in model.graph.initializer:
            if one.name in new:
                one.CopyFrom(numpy_helper.from_array(new[one.name], one.name))
        return bytes(model.SerializeToString())


def _without(model: onnx.ModelProto, *names: str) -> bytes:
    """Return a graph without its calibration, and without notes that do not change what it computes."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.metadata_props[:]
    kept = [one for one in model.graph.initializer if one.name not in names]
    del bare.graph.initializer[:]
    bare.graph.initializer.extend(kept)
    return bytes(bare.SerializeToString(deterministic=True))
