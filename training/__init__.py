"""Split, fit, calibrate, choose the policy and evaluate. Offline only."""
