"""Bundle, policy, metrics and the `Scorer`, the only way to a score. The only user of onnxruntime."""

__all__ = [
    "bundle",
    "challengers",
    "decisions",
    "doors",
    "evaluate_files",
    "explanation",
    "health",
    "links",
    "lookup",
    "machine",
    "message",
    "model",
    "policy",
    "reasons",
    "scorer",
]
