"""Receipts of the REST door that are durable before the answer goes out, until they are sealed."""
