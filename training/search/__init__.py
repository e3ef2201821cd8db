"""The search for a shape."""

from training.search.tune import Search

__all__ = ["Search"]
