"""The page of the nightly judgement."""
