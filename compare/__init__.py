"""What two bundles decide otherwise, and why."""

from compare.changes import Changes, why_changed
from compare.nights import read_night
from compare.page import headline, render
from compare.shadows import Pairs, compared, read_pairs

__all__ = ["Changes", "Pairs", "compared", "headline", "read_night", "read_pairs", "render", "why_changed"]
