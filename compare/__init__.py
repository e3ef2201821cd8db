"""What two bundles decide otherwise, and why."""

from compare.changes import Changes, why_changed

__all__ = ["Changes", "why_changed"]
