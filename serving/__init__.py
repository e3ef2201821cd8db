"""What doors that are always on share: rounds, keys, limits, receipts, health, supervision."""
