"""Account events from their topic to the history store, and messages that come without events."""

from stream.history.event_messages import erase_message, void_message
from stream.history.fill import Aside, Fill, Sources
from stream.history.fill_start import begin
from stream.history.fill_verify import verify

__all__ = ["Aside", "Fill", "Sources", "begin", "erase_message", "verify", "void_message"]
