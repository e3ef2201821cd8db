"""A model judged: out-of-fold rows, groups, other data, local surrogates."""

__all__ = ["fairness", "judged", "local_lime", "notes", "rejudge"]
