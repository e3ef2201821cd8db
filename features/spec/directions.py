"""Directions: what a validator would call common sense about an attribute or an RFM group, per column of the matrix.

`direction = "up"` says that more is better for the applicant, "down" that less is. Of a group it speaks about how much
there is of its events; what follows for each of its measures stands in docs/spec.md. Amounts of money that goes out are
negative, so that more of it is a smaller number: `flow = "out"` says that a group's money goes out.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from features.cells import kind_of
from features.errors import SpecError
from features.spec.contract import Attribute, Monetary, RfmGroup, Spec

__all__ = ["feature_directions", "is_ordered", "missing_ends", "more_of", "no_event_ends"]


def check_directions(spec: Spec) -> None:
    """Check that each direction says something about its features.

    Raises:
        SpecError: a direction at a category without order, a list or a text, or at a group whose flow is not stated;
            `never_worse_from` at what is no quantity, beside "down", or where it separates nobody.

    """
    for attribute in spec.attributes:
        if attribute.never_worse_from is not None:
            _check_never_worse(attribute, attribute.never_worse_from)
        if attribute.direction and not is_ordered(attribute):
            raise SpecError(
                f"attributes.{attribute.name}.direction: a {attribute.kind} without an order has no more and no less. "
                "Leave it out, or list the values from the least to the most and set ordered = true."
            )
    for group in spec.groups:
        if group.direction and group.monetary and not group.flow:
            raise SpecError(
                f"rfm.{group.name}.flow: missing beside direction. Expected in or out: whether the money of these "
                "events comes in (amounts above 0) or goes out."
            )


def _check_never_worse(attribute: Attribute, value: float) -> None:
    key = f"attributes.{attribute.name}.never_worse_from"
    if attribute.direction < 0:
        raise SpecError(
            f'{key}: contradicts direction = "down", by which higher values are worse. Leave one of them out; '
            'never_worse_from means "up" below its value, and no difference from it on.'
        )
    kind = kind_of(attribute)
    if not (kind.has_range or kind.relative):
        raise SpecError(f"{key}: a {attribute.kind} is no quantity. Expected it at a number, a duration or a date.")
    lowest = -math.inf if attribute.minimum is None else attribute.minimum
    highest = math.inf if attribute.maximum is None else attribute.maximum
    if not lowest < value <= highest:
        raise SpecError(f"{key}: {value:g} is not above the lowest and within the range, so it would separate nobody.")


def is_ordered(attribute: Attribute) -> bool:
    """Tell whether there is more and less of an attribute: one feature that is its value or rank."""
    kind = kind_of(attribute)
    names = [feature.name for feature in kind.features(attribute)]
    return names == [attribute.name] and kind.indicators(attribute) == 0


@lru_cache(maxsize=64)
def feature_directions(spec: Spec) -> tuple[int, ...]:
    """Return 1 (more is better), -1 (less is better) or 0 for each column of the feature matrix."""
    attributes = [a.direction for a in spec.attributes for _ in kind_of(a).features(a)]
    groups = [group.direction * more for group in spec.groups for more in more_of(group)]
    return (*attributes, *groups)


@lru_cache(maxsize=64)
def missing_ends(spec: Spec) -> tuple[int, ...]:
    """Return at which end of its values a missing one of each column belongs, if it must: -1 the least, 1 the largest.

    An attribute that is missing counts as its worst value. A measure of a group is missing where there is no event:
    the least of it, or the longest ago.
    """
    attributes = [-a.direction or -1 for a in spec.attributes for _ in kind_of(a).features(a)]
    groups = [-more or -1 for group in spec.groups for more in more_of(group)]
    return (*attributes, *groups)


def more_of(group: RfmGroup) -> Iterator[int]:
    """Yield for each feature of a group whether it rises (1) or falls (-1) where there is more; 0: it says neither."""
    if group.recency:
        yield -1  # fewer days since the last one
    for _ in group.windows_days if group.frequency else ():
        yield 1
    for _ in group.windows_days:
        for measure in group.monetary:
            yield {"std": 0, "share": 1}.get(measure, group.flow)
    if group.trend_days:
        yield 1


def no_event_ends(spec: Spec, matrix: NDArray[np.float32]) -> tuple[int, ...]:
    """Return for each column at which end of its values "no event" lies: -1 the least, 1 the largest, 0 not said.

    Of amounts the sign in `matrix` (rows x columns) tells, where the group's `flow` is not stated: nothing paid out is
    the largest of amounts below 0. Attributes say nothing by being missing.
    """
    ends = [0 for attribute in spec.attributes for _ in kind_of(attribute).features(attribute)]
    for group in spec.groups:
        ends += [1] * group.recency  # the longest ago
        ends += [0] * (len(group.windows_days) * group.frequency)  # a count is never missing
        for _ in group.windows_days:
            for measure in group.monetary:
                ends.append(_amount_end(measure, group.flow, matrix[:, len(ends)]))
        ends += [-1] * (group.trend_days is not None)
    return tuple(ends)


def _amount_end(measure: Monetary, flow: int, column: NDArray[np.float32]) -> int:
    if measure is Monetary.STANDARD_DEVIATION:
        return 0
    known = column[~np.isnan(column)]
    outwards = flow < 0 or (flow == 0 and len(known) > 0 and bool(np.median(known) < 0))
    return 1 if outwards and measure is not Monetary.SHARE else -1
