"""The spec: what a lender declares of its data, in one TOML file."""

__all__ = ["class_values", "contract", "directions", "file", "local", "policy_part", "telling", "toml_table"]
