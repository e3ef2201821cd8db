"""What is known of a column that a spec is drafted from, and what a kind makes of it."""

from dataclasses import dataclass
from functools import cached_property

import polars as pl

STRIPPED = "_*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """A guess; `kind` None says why the column cannot be an attribute as it is. `keys`: further keys of the spec."""

    kind: str | None
    note: str
    bounds: tuple[float, float] | None = None
    values: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    strip: str = ""
    keys: tuple[tuple[str, str | int | bool], ...] = ()


@dataclass(frozen=True)
class Found:
    """The cells of a column as trimmed texts, without empty ones and without `tokens`, which mean "not known"."""

    text: pl.Series
    tokens: tuple[str, ...]

    @cached_property
    def bare(self) -> pl.Series:
        """The texts without characters that often stand around a number."""
        return self.text.str.strip_chars(STRIPPED)

    def share(self, pattern: str) -> float:
        """Tell how many of the bare texts have a form, from 0 to 1."""
        return float(self.bare.str.contains(pattern).sum()) / max(len(self.bare), 1)
