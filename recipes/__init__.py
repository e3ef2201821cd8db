"""Public and synthetic data sets to canonical applications, events and labels, each with a complete spec."""
