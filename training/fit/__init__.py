"""Shapes are fitted, calibrated, and crossed over folds of customers."""
