"""Tables in, files out: strict reading block by block, atomic replacement, locks and durable writes."""
