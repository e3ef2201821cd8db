"""Receipts decided again: with their own bundle, or with another one."""
