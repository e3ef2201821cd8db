"""Attributes as numbers: the columns of the feature matrix that come from clean attributes.

A number is itself, money is in units of the currency, a duration in months, an ordered category its rank; another
category is one indicator for each value, a list how often each of its values occurs in it. Null is NaN.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np
import polars as pl

from features.history import Float64s
from features.reading import has_few_rows
from features.spec import Attribute, AttributeKind, Feature, Spec


def attribute_features(spec: Spec) -> list[Feature]:
    """List the features of attributes, in the order of the columns of `attribute_columns`."""
    return [feature for attribute in spec.attributes for feature in _features(attribute, spec)]


def _features(attribute: Attribute, spec: Spec) -> Iterator[Feature]:
    if attribute.kind is AttributeKind.TEXT:
        return
    name, text = attribute.name, attribute.description or attribute.name
    if attribute.kind is AttributeKind.CATEGORY and attribute.ordered:
        order = ", ".join(f"{i} {value}" for i, value in enumerate(attribute.values))
        yield Feature(name=name, unit="rank", description=f"{text} ({order})", source=name)
    elif attribute.kind in (AttributeKind.CATEGORY, AttributeKind.LIST):
        unit = "0 or 1" if attribute.kind is AttributeKind.CATEGORY else "occurrences"
        for value in attribute.values:
            yield Feature(name=f"{name}={value}", unit=unit, description=f"{text}: {value}", source=name)
    else:
        defaults = {AttributeKind.MONEY: spec.currency.code, AttributeKind.DURATION: "months"}
        unit = attribute.unit or defaults.get(attribute.kind, "")
        yield Feature(name=name, unit=unit, description=text, source=name)


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
    for attribute in spec.attributes:
        if attribute.kind is AttributeKind.CATEGORY and not attribute.ordered:
            yield from _indicators(next(columns), len(attribute.values))
        elif attribute.kind is not AttributeKind.TEXT:
            yield from islice(columns, len(attribute.values) if attribute.kind is AttributeKind.LIST else 1)


@lru_cache(maxsize=64)
def _spec_expressions(spec: Spec) -> list[pl.Expr]:
    expressions = [e for attribute in spec.attributes for e in _expressions(attribute, spec)]
    return [e.cast(pl.Float64).alias(str(i)) for i, e in enumerate(expressions)]


def _expressions(attribute: Attribute, spec: Spec) -> list[pl.Expr]:
    value = pl.col(attribute.name)
    if attribute.kind is AttributeKind.TEXT:
        return []
    if attribute.kind is AttributeKind.MONEY:
        return [value / 10**spec.currency.minor_digits]
    if attribute.kind is AttributeKind.LIST:
        return [value.list.count_matches(member) for member in attribute.values]
    if attribute.kind is AttributeKind.CATEGORY:
        return [value.cast(pl.Enum(attribute.values)).to_physical()]
    return [value]


@lru_cache(maxsize=64)
def _spec_numbers(spec: Spec) -> list[list[Callable[[Any], float]]]:
    return [_numbers(attribute, spec) for attribute in spec.attributes]


def _numbers(attribute: Attribute, spec: Spec) -> list[Callable[[Any], float]]:
    """Return what makes the numbers of `_expressions` of one cell."""
    if attribute.kind is AttributeKind.TEXT:
        return []
    if attribute.kind is AttributeKind.MONEY:
        scale = 10**spec.currency.minor_digits
        return [lambda minor: minor / scale]
    if attribute.kind is AttributeKind.LIST:
        return [_counts(member) for member in attribute.values]
    if attribute.kind is AttributeKind.CATEGORY:
        return [attribute.values.index]
    return [float]


def _counts(member: str) -> Callable[[list[str]], float]:
    return lambda members: members.count(member)


def _indicators(ranks: Float64s, categories: int) -> Float64s:
    """Return a row for each category: 1 where it is that, 0 where it is another, NaN where it is none."""
    equal: Float64s = (ranks == np.arange(categories)[:, None]).astype(np.float64)
    equal[:, np.isnan(ranks)] = np.nan
    return equal
