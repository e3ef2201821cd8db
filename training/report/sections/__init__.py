"""The sections of the report."""

__all__ = ["sections_fairness"]
