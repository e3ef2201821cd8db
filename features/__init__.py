"""Spec, cleaning, RFM and the feature matrix: the one place where features are made. No I/O, no clock."""

__all__ = [
    "applications",
    "carried",
    "carried_headers",
    "cells",
    "dialect",
    "draft",
    "errors",
    "event_arrays",
    "explain_row",
    "matrix",
    "protected",
    "reason_codes",
    "rejects",
    "rfm",
    "sampling_weights",
    "spec",
    "why_missing",
]
