"""What an attribute kind is: one class that knows all there is to know about its cells.

A new kind is a file of its own in this folder and a line in `features/cells/kinds/registry.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import polars as pl

from features.cells.guess import Found, Guess
from features.cells.reading import Reading
from features.cells.texts import number_text, plain_text, unreadable_type
from features.spec.contract import Attribute, Feature
from features.spec.toml_table import Table

ToNumber = Callable[[Any], float]


class Kind(ABC):
    """Base of all kinds; stateless. What a method is asked about is the `Attribute` that the spec declares."""

    name: ClassVar[str]
    """As in the spec: kind = "number"."""
    meaning: ClassVar[str]
    """What its cells mean, one row of the table in docs/spec.md."""
    since: ClassVar[int] = 1
    """The first spec version that knows it."""
    keys: ClassVar[tuple[str, ...]] = ()
    """Keys of its table in the spec that only this kind has; `options` reads them."""
    has_values: ClassVar[bool] = False
    """Whether the spec must list its values."""
    has_range: ClassVar[bool] = False
    """Whether the spec may give a range."""
    takes_booleans: ClassVar[bool] = False
    """Whether true and false of JSON are values of it, from spec version 2 on."""
    has_feature: ClassVar[bool] = True
    """Whether features are made of it."""
    relative: ClassVar[bool] = False
    """Whether its value depends on `as_of`; see `relate`."""
    dtype: ClassVar[pl.DataType] = pl.Float64()
    """The type of its clean column."""

    def options(self, table: Table, attribute: Attribute) -> tuple[tuple[str, str | int], ...]:
        """Read and check the `keys` of this kind, and whatever else of the attribute only this kind can check.

        Raises:
            SpecError: one is wrong; names the key.

        """
        del table, attribute
        return ()

    @abstractmethod
    def reading(self, attribute: Attribute, dtype: pl.DataType) -> Reading:
        """Return how a column of `dtype` is read: the definition, and what is quick.

        Raises:
            InputError: this kind cannot be read from a column of this type.

        """

    def text(self, attribute: Attribute, dtype: pl.DataType) -> pl.Expr:
        """Return the text that a cell stands for, as a CSV file would hold it; null stays null.

        Raises:
            InputError: this kind cannot be read from a column of this type.

        """
        if plain_text(dtype) or dtype.is_numeric():
            return number_text(pl.col(attribute.name), dtype, attribute.decimal)
        raise unreadable_type(attribute, dtype)

    def relate(self, values: pl.Series, as_of: pl.Series) -> pl.Series:
        """Make of the values that `reading` gives what they are at `as_of` (microseconds since 1970).

        What was not known then is null, of cause AFTER; null stays null. Asked of kinds that are `relative`.
        """
        del as_of
        return values

    def draft(self, found: Found) -> Guess | None:
        """Guess that a column is of this kind; None where it seems not to be. Kinds are asked in order."""
        del found
        return None

    def describe(self, attribute: Attribute) -> str:
        """Return what a message's schema says of its value beside kind, range and values."""
        return attribute.unit

    def unit(self, attribute: Attribute) -> str:
        """Return the unit of its feature."""
        return attribute.unit

    def features(self, attribute: Attribute) -> Iterator[Feature]:
        """Yield its features."""
        name, text = attribute.name, attribute.description or attribute.name
        if self.has_feature:
            yield Feature(name=name, unit=self.unit(attribute), description=text, source=name)

    def columns(self, attribute: Attribute) -> list[pl.Expr]:
        """Return a number for each feature, of the clean column; null where missing. See also `indicators`."""
        return [pl.col(attribute.name)] if self.has_feature else []

    def numbers(self, attribute: Attribute) -> list[ToNumber]:
        """Return the same of one clean cell."""
        del attribute
        return [float] if self.has_feature else []

    def indicators(self, attribute: Attribute) -> int:
        """Return among how many features the rank that `columns` gives is spread, as 0 and 1; 0: it is the feature."""
        del attribute
        return 0

    def example(self, attribute: Attribute, median: float | None) -> str | int | float:
        """Invent a value for an example message; near the median of the feature, where that is known."""
        low, high, wanted = wanted_value(attribute, median)
        whole = round(wanted)
        return whole if low <= whole <= high else wanted

    @abstractmethod
    def golden(self, attribute: Attribute, generator: np.random.Generator) -> str:
        """Invent a usable cell, as a file would hold it."""

    def dirty(self, attribute: Attribute) -> list[str]:
        """Return cells that no usable value has."""
        return [*attribute.missing_tokens, "?", "1e400", "-1e30"]


def wanted_value(attribute: Attribute, median: float | None) -> tuple[float, float, float]:
    """Return the range of an example and the value that is wanted of it."""
    low = 0.0 if attribute.minimum is None else attribute.minimum
    high = low + 100 if attribute.maximum is None else attribute.maximum
    return low, high, low + (high - low) / 4 if median is None else median


def invented_number(attribute: Attribute, generator: np.random.Generator) -> float:
    """Invent a number in the range of an attribute."""
    lowest = attribute.minimum if attribute.minimum is not None else 0.0
    highest = attribute.maximum if attribute.maximum is not None else lowest + 1000
    return lowest + (highest - lowest) * float(generator.random()) ** 2
