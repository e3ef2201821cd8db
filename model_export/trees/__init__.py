"""Fitted trees as arrays of splits, leaves and covers; from these come the graph and the Shapley tables."""
