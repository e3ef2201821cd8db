"""Reasons: exact Shapley values, which features are named, and in which words."""
