"""What may decide beside the champion, and for which customers: the same at every door and on every machine."""

import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from features.errors import BundleError
from scoring.scorer import Scorer

__all__ = ["check_beside", "sampled"]

_ALL = 1 << 32


def check_beside(scorer: Scorer, champion: Scorer, others: Iterable[Scorer]) -> None:
    """Check that a challenger can stand beside the champion and other challengers.

    Raises:
        BundleError: it is one of them, or has other classes.

    """
    path = scorer.bundle.path
    if scorer.bundle.bundle_id in {one.bundle.bundle_id for one in (champion, *others)}:
        raise BundleError(f"{path}: its bundle decides already.")
    if scorer.bundle.spec.classes != champion.bundle.spec.classes:
        raise BundleError(f"{path}: has other classes than the bundle in service.")


def sampled(customers: Iterable[str], share: float) -> NDArray[np.bool_]:
    """Tell for each customer whether it is of the sample; that of a smaller share lies in that of a larger one."""
    end = share * _ALL
    return np.fromiter((zlib.crc32(name.encode()) < end for name in customers), dtype=np.bool_)
