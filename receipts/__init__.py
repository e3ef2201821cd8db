"""The decision log: a receipt for each decision of every door, in chains of immutable segments, and its replay."""
