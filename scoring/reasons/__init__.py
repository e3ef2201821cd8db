"""Reasons: exact Shapley values, which features are named, and in which words."""

from scoring.reasons.book import FeatureEntry, ReasonBook
from scoring.reasons.conditions import GROUP_CONDITIONS
from scoring.reasons.explainer import MOST_REASONS, Explainer
from scoring.reasons.quality import check_reasons
from scoring.reasons.shap_tables import ShapTables

__all__ = ["GROUP_CONDITIONS", "MOST_REASONS", "Explainer", "FeatureEntry", "ReasonBook", "ShapTables", "check_reasons"]
