"""A fitted model to a verified bundle: neutral trees, ONNX graph, parity gate, golden rows, publication."""
