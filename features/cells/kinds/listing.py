"""Kind `list`: some of the values that the spec lists, as in `A, B, and C`."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from features.cells.by_value import lookup
from features.cells.causes import IS_UNKNOWN
from features.cells.guess import STRIPPED, Found, Guess
from features.cells.kinds.category import (
    MOST_VALUES,
    check_values,
    listable,
    plain_values,
    stands_around_texts,
    value_features,
)
from features.cells.kinds.kind import Kind, ToNumber
from features.cells.ranges import is_ranges
from features.cells.reading import Reading
from features.cells.texts import WHITE_SPACE, bare_reader, plain_text, unreadable_type, whole_text
from features.spec.contract import Attribute, Feature
from features.spec.toml_table import Table

_LINK = "and "


class Listing(Kind):
    """Some texts; the features count each of them."""

    name = "list"
    meaning = "`A, B, and C` of `values`; its features count each value; one unknown member makes the cell unusable"
    has_values = True
    dtype = pl.List(pl.String())

    def reading(self, attribute: Attribute, dtype: pl.DataType) -> Reading:
        """See `Kind.reading`."""
        text = None if dtype == pl.String else self.text(attribute, dtype)
        source = pl.col(attribute.name) if text is None else text
        alone = [v for v in plain_values(attribute) if "," not in v and not v.startswith(_LINK)]
        quick = pl.when(source.is_in(alone)).then(source).str.split(",")
        find = lookup(attribute, (), None)

        def members(bare: str) -> object:
            found = [find(part.strip(WHITE_SPACE).removeprefix(_LINK).strip(WHITE_SPACE)) for part in bare.split(",")]
            return IS_UNKNOWN if None in found else found

        return Reading(attribute.name, self.dtype, bare_reader(attribute, members), text, quick)

    def text(self, attribute: Attribute, dtype: pl.DataType) -> pl.Expr:
        """See `Kind.text`; a list of texts is joined by commas."""
        column = pl.col(attribute.name)
        if dtype == pl.List(pl.String):
            return column.list.join(",", ignore_nulls=False)
        if plain_text(dtype) or dtype.is_numeric():
            return whole_text(column, dtype)
        raise unreadable_type(attribute, dtype)

    def options(self, table: Table, attribute: Attribute) -> tuple[tuple[str, str | int], ...]:
        """Refuse two values that are equal, from version 2 on."""
        check_values(table, attribute)
        return ()

    def draft(self, found: Found) -> Guess | None:
        """Guess a list where splitting at commas leaves fewer different texts."""
        if is_ranges(found):
            return None
        strip = "".join(c for c in STRIPPED if stands_around_texts(found.text, c))
        whole = (found.text.str.strip_chars(strip) if strip else found.text).unique()
        members = whole.str.split(",").explode().str.strip_chars().str.strip_prefix(_LINK).str.strip_chars()
        members = members.filter(members != "").unique().sort()
        if not 0 < len(members) <= MOST_VALUES or len(members) >= len(whole):
            return None
        note = "its members as found"
        values = listable(members, strip)
        return Guess(kind="list", note=note, values=values, tokens=found.tokens, strip=strip) if values else None

    def features(self, attribute: Attribute) -> Iterator[Feature]:
        """See `Kind.features`."""
        return value_features(attribute, "occurrences")

    def columns(self, attribute: Attribute) -> list[pl.Expr]:
        """See `Kind.columns`."""
        return [pl.col(attribute.name).list.count_matches(member) for member in attribute.values]

    def numbers(self, attribute: Attribute) -> list[ToNumber]:
        """See `Kind.numbers`."""
        return [_counts(member) for member in attribute.values]

    def example(self, attribute: Attribute, median: float | None) -> str | int | float:
        """See `Kind.example`."""
        del median
        return attribute.values[-1]

    def golden(self, attribute: Attribute, generator: np.random.Generator) -> str:
        """See `Kind.golden`."""
        return ", ".join(generator.choice(attribute.values, generator.integers(1, 4)))


def _counts(member: str) -> ToNumber:
    return lambda members: members.count(member)
