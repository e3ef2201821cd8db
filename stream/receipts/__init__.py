"""Receipts from their topic to the decision log."""
