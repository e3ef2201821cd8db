"""A fitted model to a verified bundle: neutral trees, ONNX graph, parity gate, golden rows, publication."""

from model_export.adopted.adopted import Adoption, take_over
from model_export.export import export
from model_export.new_policy import choose_new_policy, on_histogram, publish_policy

__all__ = ["Adoption", "choose_new_policy", "export", "on_histogram", "publish_policy", "take_over"]
