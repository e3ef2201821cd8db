"""What other bundles would have decided, beside a live door: within a budget, and never in its answers.

`behind` decides after the answers are out, `within` before a batch is written, so that both go into one transaction.
"""

from serving.challengers.behind import LiveChallengers
from serving.challengers.beside import Challenger, Followed, Keep
from serving.challengers.within import Shadows, WithinBatch

__all__ = ["Challenger", "Followed", "Keep", "LiveChallengers", "Shadows", "WithinBatch"]
