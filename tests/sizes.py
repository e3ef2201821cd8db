"""How large a test is that needs many cases: enough for the gate, and whole where CREDIT_WHOLE=1 (`make soak`)."""

import os

_WHOLE = bool(os.environ.get("CREDIT_WHOLE"))


def size(gate: int, whole: int) -> int:
    """Return the number for this run."""
    return whole if _WHOLE else gate


# What is trained on a real data set where the training is not the point: XGBoost takes minutes there.
KIND = "xgboost" if _WHOLE else "decision-tree"
