"""Account events from their topic to the history store, and messages that come without events."""
