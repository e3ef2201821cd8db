"""A model that was trained elsewhere, compared with its owner's own predictions."""
