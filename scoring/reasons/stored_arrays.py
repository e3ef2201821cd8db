"""Arrays of an .npz file of somebody else: only numbers that lie there as they are, of the kinds that are expected."""

import io
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.memory_limit import room_for

BROKEN = (  # what reading and checking such a file may raise
    *(ValueError, TypeError, LookupError, EOFError, OSError, MemoryError, NotImplementedError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)
Kind = tuple[str, int]  # of the type, as numpy names it, and the number of dimensions


def read_arrays(content: bytes, kinds: Mapping[str, Kind]) -> dict[str, NDArray[Any]]:
    """Read arrays; those that are not in `kinds` are rows of whole numbers. Nothing unfolds: no member is compressed.

    Raises:
        one of BROKEN: not such a file.

    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
    if any(m.compress_type != zipfile.ZIP_STORED for m in members) or sum(m.file_size for m in members) > len(content):
        raise ValueError
    with room_for(len(content)), np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = dict(file)
    for name, array in arrays.items():
        if (array.dtype.kind, array.ndim) != kinds.get(name, ("i", 1)):
            raise ValueError
    return arrays
