"""The search for a shape."""
