"""What the doors count while they serve, as metrics."""
