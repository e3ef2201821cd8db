"""Commands that make, judge and promote bundles."""
