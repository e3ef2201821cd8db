"""Kind `duration`: a number of months, from words or digits."""

import re

import numpy as np
import polars as pl

from features.cells.decimals import Parse, parse_number, people_write, quick_number
from features.cells.guess import Found, Guess
from features.cells.kinds.kind import Kind, invented_number
from features.cells.kinds.quantity import but_tokens, definition, hopeless, limits, quick_text
from features.cells.reading import Reading
from features.errors import SpecError
from features.spec.contract import Attribute
from features.spec.toml_table import Table

_MONTHS = r"^([0-9]{1,4}) Years?(?:(?:,? and |, | )(0?[0-9]|1[01]) Months?)?$"
_ONLY_MONTHS = r"^([0-9]{1,5}) Months?$"
_PLAIN = r"^([0-9]{1,4}) Years and ([0-9]|1[01]) Months$"
_DURATION = f"{_MONTHS}|{_ONLY_MONTHS}"
# As people write it: 36 months, 10+ years, < 1 year, 3 yrs 2 mos.
_YEARS_WORD = r"(?:years?|yrs?|y|jahre?n?|j|ans?|ann[e\u00e9]es?|a[n\u00f1]os?|anni|anno|jaar|jaren|lat|lata|rok)\.?"
_MONTHS_WORD = (
    r"(?:months?|mths?|mos?|m|monate?n?|mon|mtl|mois|mes|meses|mese|mesi|maand|maanden"
    r"|miesi\u0105c|miesi\u0105ce|miesi\u0119cy)\.?"
)
_PLAIN_YEARS = r"(?:years?|yrs?|y|jahre?n?)\.?"  # a regular expression of ASCII alone is quicker
_PLAIN_MONTHS = r"(?:months?|mths?|mos?|m|monate?n?)\.?"
_AND = r"(?:,? (?:and|und|et|y|e|en|i) |, | )"
WRITTEN = (
    rf"(?i)^([<>])? ?(?:([0-9]{{1,4}}(?:\.[0-9]{{1,2}})?) ?(\+)? ?{_YEARS_WORD}"
    rf"(?:{_AND}?([0-9]{{1,2}}) ?{_MONTHS_WORD})?|([0-9]{{1,5}}) ?(\+)? ?{_MONTHS_WORD})$"
)
_WORDS = rf"{WRITTEN}|(?i)^[0-9]+ (?:year|month)"  # of which something is made
YEARS, MONTHS = "years", "months"
_MOSTLY = 0.9

_in_words = re.compile(_MONTHS).fullmatch
_in_months = re.compile(_ONLY_MONTHS).fullmatch
_as_written = re.compile(WRITTEN, re.ASCII).fullmatch


class Duration(Kind):
    """A time span; its feature is in months."""

    name = "duration"
    meaning = (
        "`22 Years and 1 Months`, `3 Years`, `7 Months`, or a number of months; in version 2 also `36 months`, "
        '`10+ years` (10), `< 1 year` (0), `12 Monate`, and with `unit = "years"` all of it in years'
    )
    has_range = True

    def options(self, table: Table, attribute: Attribute) -> tuple[tuple[str, str | int], ...]:
        """Refuse units that are none, from version 2 on: there the unit is what the value is counted in."""
        if attribute.version > 1 and attribute.unit not in ("", YEARS, MONTHS):
            raise SpecError(f'{table.key("unit")}: a duration is counted in "years" or "months".')
        return ()

    def reading(self, attribute: Attribute, dtype: pl.DataType) -> Reading:
        """See `Kind.reading`; values are months or, where the spec says so, years."""
        years = attribute.version > 1 and attribute.unit == YEARS
        within = limits(attribute, whole=not years)
        parse: Parse = parse_months
        if attribute.version > 1:
            number = people_write(parse_number, attribute.decimal, attribute.currency.code)
            parse = people_count(number, 12 if years else 1)
        text = None if dtype == pl.String else self.text(attribute, dtype)
        source, read = pl.col(attribute.name) if text is None else text, definition(attribute, parse, within)
        bare = quick_text(attribute, source)
        if bare is None:
            return Reading(attribute.name, self.dtype, read, text)
        quick = quick_number(bare, attribute.decimal) if years else _quick_months(bare, attribute.decimal)
        second = _written_months(bare, 12 if years else 1) if text is None and attribute.version > 1 else None
        if text is None:
            quick = but_tokens(attribute, parse, quick)
            second = None if second is None else but_tokens(attribute, parse, second)
        none = hopeless(attribute, _WORDS)
        value = pl.col(attribute.name)
        check, why = within.check(value), within.why(value)
        return Reading(attribute.name, self.dtype, read, text, quick, check, why, second, none)

    def draft(self, found: Found) -> Guess | None:
        """Take time spans as people write them, in years where none of them names months."""
        if found.share(f"{_DURATION}|{WRITTEN}") < _MOSTLY:
            return None
        months = bool(found.bare.str.contains(rf"(?i){_MONTHS_WORD}$").any())
        unit = MONTHS if months else YEARS
        return Guess(kind="duration", note=f"in {unit}", tokens=found.tokens, keys=(("unit", unit),))

    def unit(self, attribute: Attribute) -> str:
        """See `Kind.unit`."""
        return attribute.unit or "months"

    def golden(self, attribute: Attribute, generator: np.random.Generator) -> str:
        """See `Kind.golden`."""
        months = int(invented_number(attribute, generator))
        if attribute.version > 1 and attribute.unit == YEARS:
            return f"{months} years"
        return f"{months // 12} Years and {months % 12} Months"


def parse_months(text: str) -> object:
    """Parse `22 Years and 1 Months` to months; a number is months already."""
    words = _in_words(text)
    if words:
        return float(int(words[1]) * 12 + int(words[2] or 0))
    months = _in_months(text)
    return float(months[1]) if months else parse_number(text)


def people_count(number: Parse, months: int) -> Parse:
    """Return what parses a duration as people write it, in units of so many months; a bare number is in units.

    `< 1 year` is less than one, so 0; `10+ years` and `> 10 years` are 10: the number that is certain.
    """

    def parse(text: str) -> object:
        written = _as_written(text)
        if not written:
            return number(text)
        side, years, _, rest, only, _ = written.groups()
        less = 1 if side == "<" else 0
        count = (float(years) - less) * 12 + int(rest or 0) if years else float(int(only) - less)
        return max(count, 0.0) / months

    return parse


def _quick_months(text: pl.Expr, decimal: str) -> pl.Expr:
    words = pl.when(text.str.contains(_PLAIN)).then(text)
    years, rest = words.str.extract("^([0-9]+)", 1), words.str.extract("([0-9]+) Months$", 1)
    return pl.coalesce(years.cast(pl.Float64) * 12 + rest.cast(pl.Float64), quick_number(text, decimal))


def _written_months(text: pl.Expr, months: int) -> pl.Expr:
    """Read the commonest forms of what people write, without a side of < or >; all other text becomes null."""
    years = text.str.extract(rf"(?i-u)^([0-9]{{1,4}}) ?{_PLAIN_YEARS}", 1)
    form = rf"(?i-u)^(?:[0-9]{{1,4}} ?{_PLAIN_YEARS} ?)?(?:([0-9]{{1,2}}) ?{_PLAIN_MONTHS})?$"
    known = pl.when(text.str.contains(form) & years.is_not_null()).then(text)
    rest = known.str.extract(form, 1).cast(pl.Float64).fill_null(0)
    only = text.str.extract(rf"(?i-u)^([0-9]{{1,5}}) ?{_PLAIN_MONTHS}$", 1).cast(pl.Float64)
    counted = pl.when(known.is_not_null()).then(years.cast(pl.Float64) * 12 + rest)
    return pl.coalesce(counted, only) / months
