"""Split, fit, calibrate, choose the policy and evaluate. Offline only."""

__all__ = ["adopt", "choose_policy", "costs_file", "data", "evaluate", "fit", "propose", "report", "run", "search"]
