"""The bundle: what is deployed, how it is loaded and verified, and what it froze of its training."""
