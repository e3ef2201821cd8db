"""The page of the nightly judgement."""

from monitoring.page.content import content, headline
from monitoring.page.page import render

__all__ = ["content", "headline", "render"]
