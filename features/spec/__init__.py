"""The spec: what a lender declares of its data, in one TOML file."""
