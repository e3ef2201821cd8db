"""Public and synthetic data sets to canonical applications, events and labels, each with a complete spec."""

__all__ = ["cdnow", "dataset", "kaggle", "synthetic", "uci"]
