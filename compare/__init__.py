"""What two bundles decide otherwise, and why."""

from compare.changes import Changes, Share, why_changed

__all__ = ["Changes", "Share", "why_changed"]
