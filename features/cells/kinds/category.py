"""Kind `category`: one of the values that the spec lists."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from features.cells.by_value import equal_values, lookup, spellings_of
from features.cells.causes import IS_MISSING, IS_TOKEN, IS_UNKNOWN
from features.cells.guess import STRIPPED, Found, Guess
from features.cells.kinds.kind import Kind, ToNumber
from features.cells.ranges import are_mostly_ranges, is_ranges, lower_bound
from features.cells.reading import Definition, Reading
from features.cells.texts import around_of, bare_reader, plain_text, tokens_of, unreadable_type, whole_text
from features.errors import SpecError
from features.spec.contract import Attribute, Feature
from features.spec.toml_table import Table

MOST_VALUES = 60


class Category(Kind):
    """One of some texts; one feature for each of them or, where they are ordered, their rank."""

    name = "category"
    meaning = "one of `values`; with `ordered = true` they have a rank, worst first; any other text is unusable"
    has_values = True
    takes_booleans = True
    dtype = pl.String()

    def reading(self, attribute: Attribute, dtype: pl.DataType) -> Reading:
        """See `Kind.reading`."""
        text = None if dtype == pl.String else self.text(attribute, dtype)
        source = pl.col(attribute.name) if text is None else text
        quick = pl.when(source.is_in(plain_values(attribute))).then(source)
        return Reading(attribute.name, self.dtype, _definition(attribute), text, quick)

    def text(self, attribute: Attribute, dtype: pl.DataType) -> pl.Expr:
        """See `Kind.text`; of whole floats the digits alone, booleans are true and false."""
        if plain_text(dtype) or dtype.is_numeric() or dtype == pl.Boolean:
            return whole_text(pl.col(attribute.name), dtype, attribute.decimal)
        raise unreadable_type(attribute, dtype)

    def options(self, table: Table, attribute: Attribute) -> tuple[tuple[str, str | int], ...]:
        """Refuse two values that are equal, from version 2 on."""
        check_values(table, attribute)
        return ()

    def draft(self, found: Found) -> Guess | None:
        """Take the values as found, if they are few; of ranges the order of their lower bounds."""
        if is_ranges(found):
            look = "are ranges, taken as an ordered category by their lower bounds; one that is not listed is unusable"
            values = tuple(sorted(found.text.unique(), key=lower_bound))
            keys = (("ordered", True),)
            return Guess(kind="category", note="ranges", values=values, tokens=found.tokens, keys=keys, look=look)
        look = ""
        if are_mostly_ranges(found):
            look = "most of its values are ranges: list them worst first, the others among them, and add ordered = true"
        strip = "".join(c for c in STRIPPED if stands_around_texts(found.text, c))
        values = spellings_of(listable(found.text.str.strip_chars(strip).unique() if strip else found.text, strip))
        if not 0 < len(values) <= MOST_VALUES:
            return None
        note = "codes, no quantity" if found.names_things else "its values as found"
        return Guess(kind="category", note=note, values=values, tokens=found.tokens, strip=strip, look=look)

    def features(self, attribute: Attribute) -> Iterator[Feature]:
        """See `Kind.features`."""
        name, text = attribute.name, attribute.description or attribute.name
        if attribute.ordered:
            order = ", ".join(f"{i} {value}" for i, value in enumerate(attribute.values))
            yield Feature(name=name, unit="rank", description=f"{text} ({order})", source=name)
        else:
            yield from value_features(attribute, "0 or 1")

    def columns(self, attribute: Attribute) -> list[pl.Expr]:
        """See `Kind.columns`."""
        return [pl.col(attribute.name).cast(pl.Enum(attribute.values)).to_physical()]

    def numbers(self, attribute: Attribute) -> list[ToNumber]:
        """See `Kind.numbers`."""
        return [attribute.values.index]

    def indicators(self, attribute: Attribute) -> int:
        """See `Kind.indicators`."""
        return 0 if attribute.ordered else len(attribute.values)

    def example(self, attribute: Attribute, median: float | None) -> str | int | float:
        """See `Kind.example`; the median of a rank names its value."""
        return attribute.values[-1 if median is None else round(median)]

    def golden(self, attribute: Attribute, generator: np.random.Generator) -> str:
        """See `Kind.golden`."""
        return str(generator.choice(attribute.values))


def _definition(attribute: Attribute) -> Definition:
    """Read a cell; what is certain at once is looked up at once."""
    find = lookup(attribute, tokens_of(attribute), IS_TOKEN)
    slowly = bare_reader(attribute, lambda bare: find(bare) or IS_UNKNOWN)
    tokens = dict.fromkeys(tokens_of(attribute), IS_TOKEN)
    at_once: dict[str, object] = {"": IS_MISSING, **{v: v for v in plain_values(attribute)}, **tokens}

    def read(cell: str) -> object:
        value = at_once.get(cell)
        return slowly(cell) if value is None else value

    return read


def check_values(table: Table, attribute: Attribute) -> None:
    """Refuse two values of which no cell could tell which it means: from version 2 on they match by value.

    Raises:
        SpecError: names both.

    """
    equal = equal_values(attribute.values, attribute.decimal) if attribute.version > 1 else None
    if equal:
        raise SpecError(
            f"{table.key('values')}: {equal[0]!r} and {equal[1]!r} are the same value in two spellings. Keep one: "
            "cells match it in every spelling."
        )


def plain_values(attribute: Attribute) -> list[str]:
    """Return the values that mean themselves wherever a cell is exactly that."""
    tokens, around = tokens_of(attribute), around_of(attribute)
    return [v for v in attribute.values if v not in tokens and v == v.strip().strip(around)]


def value_features(attribute: Attribute, unit: str) -> Iterator[Feature]:
    """Yield a feature for each value."""
    text = attribute.description or attribute.name
    for value in attribute.values:
        yield Feature(
            name=f"{attribute.name}={value}", unit=unit, description=f"{text}: {value}", source=attribute.name
        )


def stands_around_texts(text: pl.Series, character: str) -> bool:
    """Say whether a character stands around texts that all occur without it too, so that it is dirt and no name."""
    around = text.filter(text.str.starts_with(character) | text.str.ends_with(character)).unique()
    return len(around) > 0 and bool(around.str.strip_chars(character).is_in(text.unique().to_list()).all())


def listable(text: pl.Series, strip: str) -> tuple[str, ...]:
    """Return the different texts that a spec can list as values: a cell that ends in a control character is none."""
    return tuple(sorted({value for value in text if value == value.strip().strip(" \t" + strip)}))
