"""Measurements that are quoted in docs/ and the README; run by hand, never asserted in tests."""
