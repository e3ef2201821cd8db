"""Why a row has no value, where a refused applicant is told so: none was given, it cannot be used, or it is a code.

To the model every missing value is the same NaN. NaN has bits to spare, and in the feature rows of bundles that tell
these cases apart they hold a mark. So whatever keeps the row (a receipt, a replay) keeps what the words are chosen by,
at every door alike.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.cells import GIVEN, MISSING_TOKEN, Cells, Reader, Unusable, kind_of
from features.spec.contract import Attribute, Spec

__all__ = ["marks_of"]

NOT_GIVEN, UNUSABLE, FIRST_CODE = range(3)
_NAN, _MARKS = 0x7FC00000, 0x003FFFFF  # the bits of a quiet NaN of float32, and those that it has to spare

Why = tuple[NDArray[np.int64], NDArray[np.uint32]]  # positions of rows, and the mark of each
MarkOf = Callable[[str], int]


def told_codes(attribute: Attribute, spec: Spec) -> tuple[str, ...]:
    """Return the missing tokens of an attribute that have words of their own, sorted; marks count from FIRST_CODE."""
    texts = [t for reason in spec.reasons for t in (reason.texts, *(own for _, own in reason.exceptions))]
    told = {token for text in texts for token, _ in text.codes}
    return tuple(sorted(told.intersection(attribute.missing_tokens)))


def why_of(name: str, cells: Cells, column: pl.Series, reader: Reader, spec: Spec) -> Why | None:
    """Return where a column has no value although something was given; None where it is nowhere so."""
    if cells.known is None or cells.rows is None:
        return None
    unusable = cells.rows[cells.known.is_in(GIVEN).fill_null(value=False).to_numpy()].astype(np.int64)
    mark_of = _code_marks(spec).get(name)
    if mark_of is None:
        return (unusable, np.full(len(unusable), UNUSABLE, dtype=np.uint32)) if len(unusable) else None
    codes = cells.rows[(cells.known == MISSING_TOKEN).fill_null(value=False).to_numpy()].astype(np.int64)
    texts = reader.texts(name, column.gather(codes))
    marks = {text: mark_of(text) for text in texts.unique().to_list()}
    rows = np.concatenate([unusable, codes])
    found = [*[UNUSABLE] * len(unusable), *[marks[text] for text in texts.to_list()]]
    return (rows, np.array(found, dtype=np.uint32)) if len(rows) else None


def why_of_few(name: str, cells: Sequence[str | None], causes: Mapping[int, str], spec: Spec) -> Why | None:
    """Return the same for few texts; `causes` are those of the cells without a value, by position."""
    mark_of = _code_marks(spec).get(name)
    found = {i: UNUSABLE for i, cause in causes.items() if cause in GIVEN}
    if mark_of is not None:
        found |= {i: mark_of(cells[i] or "") for i, cause in causes.items() if cause == MISSING_TOKEN}
    return (np.array([*found], dtype=np.int64), np.array([*found.values()], dtype=np.uint32)) if found else None


def write_marks(matrix: NDArray[np.float32], features: Sequence[int], why: Why) -> None:
    """Write marks into some columns of a matrix, in place; each of these values must be NaN."""
    rows, marks = why
    bits = matrix.view(np.uint32)
    for feature in features:
        bits[rows, feature] = _NAN | marks


def marks_of(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the marks of values that are NaN: NOT_GIVEN where there is none."""
    return (np.ascontiguousarray(values).view(np.uint32) & _MARKS).astype(np.int64)


@lru_cache(maxsize=64)
def _code_marks(spec: Spec) -> dict[str, MarkOf]:
    told = {attribute: told_codes(attribute, spec) for attribute in spec.attributes}
    return {attribute.name: _mark_of(attribute, codes) for attribute, codes in told.items() if codes}


def _mark_of(attribute: Attribute, codes: Sequence[str]) -> MarkOf:
    """Return what finds the code that a text means, in any of its spellings: the one that alone makes it missing."""

    def definition(*tokens: str) -> Callable[[str], object]:
        return kind_of(attribute).reading(replace(attribute, missing_tokens=tokens), pl.String()).read

    def is_token(read: Callable[[str], object], text: str) -> bool:
        value = read(text)
        return isinstance(value, Unusable) and value.cause == MISSING_TOKEN

    plain, readers = definition(), [definition(code) for code in codes]

    def mark_of(text: str) -> int:
        if is_token(plain, text):
            return NOT_GIVEN
        return next((FIRST_CODE + i for i, read in enumerate(readers) if is_token(read, text)), NOT_GIVEN)

    return mark_of
