"""Where a partition begins, what is proved to be decided, and how answers are delivered."""

__all__ = ["group"]
