"""Recency, frequency and monetary value of a customer's account events before an instant."""

from features.rfm.events import APPLICATION_ROW, IGNORED, event_reader
from features.rfm.matches import NO_MATCHES, Matches
from features.rfm.stored import Stored, Unusable

__all__ = ["APPLICATION_ROW", "IGNORED", "NO_MATCHES", "Matches", "Stored", "Unusable", "event_reader"]
