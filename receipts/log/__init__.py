"""The decision log on disk: chains of segments, their heads, search, audit and removal."""
