"""Which customers a challenger decides as well: always the same ones, at every door and on every machine."""

import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["sampled"]

_ALL = 1 << 32


def sampled(customers: Iterable[str], share: float) -> NDArray[np.bool_]:
    """Tell for each customer whether it is of the sample; that of a smaller share lies in that of a larger one."""
    end = share * _ALL
    return np.fromiter((zlib.crc32(name.encode()) < end for name in customers), dtype=np.bool_)
