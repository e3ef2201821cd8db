"""Independent work, two at a time; XGBoost and scikit-learn let other threads run meanwhile."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_WORKERS = min(2, os.cpu_count() or 1)  # the bits do not depend on it

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def in_parallel(work: Callable[[_In], _Out], items: Iterable[_In], *, threads: bool = True) -> list[_Out]:
    """Return what the work makes of each item, in their order.

    Forests of scikit-learn need `threads=False`: each exchanges the warning filters of the process for a while, and two
    at once leave them in disorder, so that thousands of warnings are printed.
    """
    if not threads:
        return [work(item) for item in items]
    with ThreadPoolExecutor(_WORKERS) as pool:
        return list(pool.map(work, items))
