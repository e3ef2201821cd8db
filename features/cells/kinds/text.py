"""Kind `text`: kept with the application; no feature is made of it."""

import re

import numpy as np
import polars as pl

from features.cells.kinds.kind import Kind, invented_number
from features.cells.reading import Reading
from features.cells.texts import bare_reader, plain_text, tokens_of, unreadable_type, whole_text
from features.spec.contract import Attribute


class Text(Kind):
    """Any text."""

    name = "text"
    meaning = "any text, kept with the application; it feeds no feature"
    has_feature = False
    dtype = pl.String()

    def reading(self, attribute: Attribute, dtype: pl.DataType) -> Reading:
        """See `Kind.reading`; printable ASCII is its own value, if nothing stands around it that is stripped."""
        text = None if dtype == pl.String else self.text(attribute, dtype)
        source = pl.col(attribute.name) if text is None else text
        ends = "".join(re.escape(c) for c in map(chr, range(33, 127)) if c not in attribute.strip)
        bare = source.str.contains(rf"^[{ends}](?:[ -~]*[{ends}])?$") & ~source.is_in(sorted(tokens_of(attribute)))
        read = bare_reader(attribute, str)
        return Reading(attribute.name, self.dtype, read, text, pl.when(bare).then(source) if ends else None)

    def text(self, attribute: Attribute, dtype: pl.DataType) -> pl.Expr:
        """See `Kind.text`; of whole floats the digits alone."""
        if plain_text(dtype) or dtype.is_numeric():
            return whole_text(pl.col(attribute.name), dtype, attribute.decimal)
        raise unreadable_type(attribute, dtype)

    def example(self, attribute: Attribute, median: float | None) -> str | int | float:
        """See `Kind.example`."""
        del attribute, median
        return "as you have it"

    def golden(self, attribute: Attribute, generator: np.random.Generator) -> str:
        """See `Kind.golden`."""
        return f"{invented_number(attribute, generator):.4f}"
