"""Spec, cleaning, RFM and the feature matrix: the one place where features are made. No I/O, no clock."""
