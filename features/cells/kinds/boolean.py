"""Kind `boolean`: yes or no in any of the spellings that programs and people use; one feature, 1 or 0."""

import numpy as np
import polars as pl

from features.cells.causes import IS_UNREADABLE, Unusable
from features.cells.decimals import is_number, with_point
from features.cells.guess import Found, Guess
from features.cells.kinds.kind import Kind
from features.cells.reading import Reading
from features.cells.texts import bare_reader, number_text, plain_text, tokens_of, unreadable_type
from features.spec.contract import Attribute

TRUE_WORDS = (
    *("true", "t", "yes", "y", "1", "ja", "j", "oui", "si", "s", "s\u00ed", "sim", "tak", "wahr", "vrai", "verdadero"),
    *("verdadeiro", "vero", "prawda", "ano", "evet", "igen", "kyll\u00e4"),
)
FALSE_WORDS = (
    *("false", "f", "no", "n", "0", "nein", "non", "nao", "n\u00e3o", "nee", "nie", "nej", "falsch", "faux", "falso"),
    *("fa\u0142sz", "ne", "hayir", "nem", "ei"),
)
_VALUES = {**dict.fromkeys(TRUE_WORDS, 1.0), **dict.fromkeys(FALSE_WORDS, 0.0)}


class Boolean(Kind):
    """A flag."""

    name = "boolean"
    meaning = (
        "`TRUE`/`false`, `T`/`F`, `Yes`/`no`, `Y`/`N`, `1`/`0`, `1.0`/`0.0`, `ja`/`nein` and the like of other "
        "languages, in any case: one feature, 1 or 0"
    )
    since = 2
    takes_booleans = True

    def reading(self, attribute: Attribute, dtype: pl.DataType) -> Reading:
        """See `Kind.reading`."""

        def parse(bare: str) -> object:
            return parse_boolean(with_point(bare, attribute.decimal) or bare)

        text = None if dtype == pl.String else self.text(attribute, dtype)
        source = pl.col(attribute.name) if text is None else text
        plain = {word: value for word, value in _spelled() if word not in tokens_of(attribute)}
        true, false = ([word for word, value in plain.items() if value == wanted] for wanted in (1.0, 0.0))
        quick = pl.when(source.is_in(true)).then(pl.lit(1.0)).when(source.is_in(false)).then(pl.lit(0.0))
        return Reading(attribute.name, self.dtype, bare_reader(attribute, parse), text, quick)

    def text(self, attribute: Attribute, dtype: pl.DataType) -> pl.Expr:
        """See `Kind.text`; booleans are true and false."""
        if plain_text(dtype) or dtype.is_numeric() or dtype == pl.Boolean:
            return number_text(pl.col(attribute.name), dtype, attribute.decimal)
        raise unreadable_type(attribute, dtype)

    def draft(self, found: Found) -> Guess | None:
        """Take cells all of which say yes or no, if both are there."""
        if found.bare.n_unique() > len(_VALUES) * 2:
            return None
        values = {value for text in found.text if not isinstance(value := parse_boolean(text), Unusable)}
        if values != {0.0, 1.0} or found.readable(parse_boolean) < 1:
            return None
        return Guess(kind="boolean", note="yes or no", tokens=found.tokens)

    def unit(self, attribute: Attribute) -> str:
        """See `Kind.unit`."""
        return attribute.unit or "0 or 1"

    def example(self, attribute: Attribute, median: float | None) -> str | int | float:
        """See `Kind.example`."""
        del attribute
        return round(median or 0.0)

    def golden(self, attribute: Attribute, generator: np.random.Generator) -> str:
        """See `Kind.golden`."""
        del attribute
        return str(generator.choice(["Y", "N", "true", "False", "1", "0.0"]))


def parse_boolean(text: str) -> object:
    """Parse a flag to 1 or 0; a number only if it is one of them."""
    value = _VALUES.get(text.lower())
    if value is None and is_number(text):
        value = float(text) if float(text) in (0.0, 1.0) else None
    return IS_UNREADABLE if value is None else abs(value)


def _spelled() -> list[tuple[str, float]]:
    """List the words in the cases in which programs write them."""
    return [(spelled, value) for word, value in _VALUES.items() for spelled in {word, word.upper(), word.capitalize()}]
