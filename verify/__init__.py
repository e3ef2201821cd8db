"""The proof that the doors agree: the same applications through batch, stream, FastAPI and Flask, compared as bits."""

from verify.doors import Question
from verify.reconcile import Reconciled, reconcile
from verify.run import Report, verify

__all__ = ["Question", "Reconciled", "Report", "reconcile", "verify"]
