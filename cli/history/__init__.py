"""`credit history`."""
