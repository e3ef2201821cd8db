"""Commands about tables and specs."""
