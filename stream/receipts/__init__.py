"""Receipts from their topic to the decision log."""

from stream.receipts.consume import Consume, Sealing
from stream.receipts.receipt_reading import Aside, ReceiptReading

__all__ = ["Aside", "Consume", "ReceiptReading", "Sealing"]
