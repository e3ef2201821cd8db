"""`credit monitor`."""
