"""Recency, frequency and monetary value of a customer's account events before an instant."""
