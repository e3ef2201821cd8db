"""Bundle, policy, metrics and the `Scorer`, the only way to a score. The only user of onnxruntime."""
