"""What the report's figures are computed from."""
