"""A model judged: out-of-fold rows, groups, other data, local surrogates."""
