"""One application as JSON: its schema, its decoder, and its decision as a line of JSON."""
