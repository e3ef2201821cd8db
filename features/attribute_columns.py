"""Attributes as numbers: the columns of the feature matrix that come from clean attributes, as their kinds make them.

A category without an order is one indicator for each value, which `_spread` makes of its rank. Null is NaN.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np
import polars as pl

from features.cells import ToNumber, has_few_rows, kind_of
from features.event_arrays import Float64s
from features.spec.contract import Feature, Spec


def attribute_features(spec: Spec) -> list[Feature]:
    """List the features of attributes, in the order of the columns of `attribute_columns`."""
    return [feature for attribute in spec.attributes for feature in kind_of(attribute).features(attribute)]


def attribute_columns(accepted: pl.DataFrame, spec: Spec) -> Iterator[Float64s]:
    """Return a column for each of `attribute_features`, from clean attributes."""
    expressions = _spec_expressions(spec)
    select = accepted.select_seq if has_few_rows(accepted) else accepted.select
    return _spread([column.to_numpy() for column in select(expressions).iter_columns()] if expressions else [], spec)


def plain_attribute_columns(values: Sequence[list[Any]], spec: Spec) -> Iterator[Float64s]:
    """Return the same columns from few clean cells of each attribute, None where null."""
    numbers = [
        [None if cell is None else number(cell) for cell in cells]
        for cells, makers in zip(values, _spec_numbers(spec), strict=True)
        for number in makers
    ]
    return _spread(np.array(numbers, dtype=np.float64), spec)


def _spread(numbers: Iterable[Float64s], spec: Spec) -> Iterator[Float64s]:
    """Make the indicators of categories without an order of their rank, which tells them apart."""
    columns = iter(numbers)
    for attribute, makers in zip(spec.attributes, _spec_numbers(spec), strict=True):
        many = kind_of(attribute).indicators(attribute)
        if many:
            yield from _indicators(next(columns), many)
        elif attribute.never_worse_from is not None:
            yield np.minimum(next(columns), attribute.never_worse_from)  # NaN stays NaN
        else:
            yield from islice(columns, len(makers))


@lru_cache(maxsize=64)
def _spec_expressions(spec: Spec) -> list[pl.Expr]:
    expressions = [e for attribute in spec.attributes for e in kind_of(attribute).columns(attribute)]
    return [e.cast(pl.Float64).alias(str(i)) for i, e in enumerate(expressions)]


@lru_cache(maxsize=64)
def _spec_numbers(spec: Spec) -> list[list[ToNumber]]:
    return [kind_of(attribute).numbers(attribute) for attribute in spec.attributes]


def _indicators(ranks: Float64s, categories: int) -> Float64s:
    """Return a row for each category: 1 where it is that, 0 where it is another, NaN where it is none."""
    equal: Float64s = (ranks == np.arange(categories)[:, None]).astype(np.float64)
    equal[:, np.isnan(ranks)] = np.nan
    return equal
