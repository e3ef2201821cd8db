"""One column of the applications as lines of a spec: taken in, or left out with the reason and the way in."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from features.cells import KINDS, Guess
from features.draft.apart import Apart, stands_apart
from features.draft.column import Column, look_at
from features.draft.doubts import date_counts, in_doubt
from features.draft.kinds import commonest, guess_kind, meant, missing_tokens
from features.draft.left_out import foreign_months, reason_to_leave, text_reason
from features.draft.lost import FEW_LISTED, later_dates, odd_tokens
from features.draft.rates import Outcomes
from features.draft.read_back import read_back
from features.errors import InputError
from features.protected import protected
from features.spec.file import is_usable_name
from features.spec.telling import TELLING
from features.spec.toml_table import toml_text

_FAR = 10
_WHOLE = 2.0**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """Lines of one column. Where it is left out (`reason`), they stand commented out; `looks` say what needs a look."""

    name: str
    lines: tuple[str, ...] = ()
    reason: str = ""
    looks: tuple[str, ...] = ()

    @property
    def taken(self) -> bool:
        """Whether the column is an attribute of the draft."""
        return not self.reason


def draft_attribute(
    series: pl.Series, customers: int, outcomes: Outcomes | None, as_of: pl.Series | None = None
) -> Drafted:
    """Draft a column from all its rows; `as_of` are their days since 1970, where they are known."""
    name = series.name
    if not is_usable_name(name):
        return Drafted(name=name, reason="its name cannot be used in a spec; rename the column")
    if series.dtype.is_nested() or series.dtype in (pl.Binary, pl.Duration):
        return Drafted(name=name, reason=f"holds {series.dtype.base_type()}; cast it to text or numbers")
    column = look_at(series, customers)
    tokens = missing_tokens(column)
    own = meant(column, tokens)
    tokens = tokens if own is None else tokens & ~own
    known = column.only(~tokens)
    if not len(known.cells):
        return Drafted(name=name, reason="has no values: every cell is empty or says that nothing is known")
    drafted = _draft(series, known, tuple(sorted(column.text.filter(tokens).unique())), outcomes)
    told = [
        *odd_tokens(series, column.only(tokens), outcomes),
        *later_dates(drafted.lines, series, known, outcomes, as_of),
    ]
    drafted = replace(drafted, looks=(*drafted.looks, *told)) if drafted.taken else drafted
    return _protect(drafted, known) if drafted.lines else drafted


def _draft(series: pl.Series, known: Column, tokens: tuple[str, ...], outcomes: Outcomes | None) -> Drafted:
    guess = guess_kind(known, tokens)
    measures = guess is not None and guess.kind not in ("category", "list", "text")
    certain = guess is not None and guess.certain
    reason = (guess.reason if guess is not None and certain else reason_to_leave(known, measures=measures)) or ""
    if guess is None or guess.kind == "category":
        reason = reason or foreign_months(known) or ""
    if guess is None:
        reason, guess = reason or text_reason(known), commonest(known, tokens)
    if guess is None:
        return Drafted(name=series.name, reason=reason)
    name = series.name
    try:
        lines, looks = _described(series, known, guess, outcomes)
    except InputError:
        return Drafted(name=name, reason=f"holds {series.dtype.base_type()}, which no kind reads; cast it to text")
    if outcomes is not None and not reason and (area := outcomes.telling(series)) >= TELLING:
        looks.append(
            f"tells the class by itself (area under the curve {area:.3f}, out of fold): delete it if it was written "
            "after the decision"
        )
    return Drafted(name=name, lines=tuple(lines), reason=reason, looks=tuple(looks))


def _protect(drafted: Drafted, known: Column) -> Drafted:
    values = known.text.to_list() if len(known.cells) <= FEW_LISTED else ()
    what = protected(drafted.name, values)
    if what is None:
        return drafted
    reason = f"is or stands for {what}, by which many laws forbid to decide on credit"
    return replace(drafted, reason=reason, looks=())


def _described(
    series: pl.Series, known: Column, guess: Guess, outcomes: Outcomes | None
) -> tuple[list[str], list[str]]:
    """Return the lines of an attribute, and what needs a look."""
    looks = [guess.look] if guess.look else []
    comments: list[str] = []
    bounds = None
    if KINDS[guess.kind].has_range:
        guess, bounds, comments = _with_range(series, known, guess, outcomes)
        looks += comments
    lines = [*_lines(series.name, guess, bounds, comments)]
    causes = read_back(lines, known.cells, numeric=False).causes
    lost = causes.is_not_null() & (causes != "missing_token") & (causes != "out_of_range")
    if rows := known.rows_of(lost):
        beside = outcomes.beside_the_rest(series, known.cells.filter(lost)) if outcomes else ""
        told = f"{rows:,} cells are no {guess.kind} and become missing ({_causes(causes.filter(lost))}){beside}"
        looks.append(told)
        lines.append(f"# {told}.")
    return lines, looks


def _causes(causes: pl.Series) -> str:
    return ", ".join(sorted(cause.replace("_", " ") for cause in causes.unique()))


def _with_range(
    series: pl.Series, known: Column, guess: Guess, outcomes: Outcomes | None
) -> tuple[Guess, tuple[float, float] | None, list[str]]:
    """Find special codes and a range in the numbers of all rows; say of what is cut how it stands beside the rest."""
    first = [*_lines(series.name, guess, None, ())]
    numbers = read_back(first, known.cells, numeric=True).numbers
    values, places = np.unique(numbers[np.isfinite(numbers)], return_inverse=True)
    counts = np.bincount(places, weights=known.counts[np.isfinite(numbers)]).astype(np.int64)
    if len(values) < 2:
        return guess, None, []
    apart = stands_apart(values, counts)
    told = _Told(series, known, numbers, outcomes)
    said = [*told.codes(apart), *_far(values, counts, apart), *told.doubts(values, counts, apart)]
    dates = date_counts(series.name, values[~np.isin(values, apart.values)])
    said += [dates] if dates else []
    are_codes = pl.Series(np.isin(numbers, apart.codes))
    tokens = tuple(sorted({*guess.tokens, *known.text.filter(are_codes)}))
    kept = values[~np.isin(values, apart.values)]
    whole = bool((kept == np.floor(kept)).all()) and abs(kept).max() < _WHOLE
    kind = "integer" if guess.kind == "number" and whole else guess.kind
    note = f"{guess.note + '; ' if guess.note else ''}found {shown(kept[0])} to {shown(kept[-1])}"
    return replace(guess, kind=kind, note=note, tokens=tokens), _bounds(apart), said


@dataclass(frozen=True)
class _Told:
    """Says of numbers of a column how many cells hold them, and how they came out beside the rest."""

    series: pl.Series
    known: Column
    numbers: np.ndarray
    outcomes: Outcomes | None

    def codes(self, apart: Apart) -> Iterator[str]:
        """Say of each special code and of what is cut."""
        for code in apart.codes:
            yield f"{shown(code)} is taken as a special code, which becomes missing: {self._cells((code,))}"
        if apart.isolated:
            listed = ", ".join(shown(value) for value in apart.isolated[:FEW_LISTED])
            cells, beside = self._cells(apart.isolated).split(" cells")
            yield f"{cells} cells stand far apart from the rest ({listed}) and are cut by the range{beside}"

    def doubts(self, values: np.ndarray, counts: np.ndarray, apart: Apart) -> Iterator[str]:
        """Say which numbers may be special codes, and are kept."""
        kept = ~np.isin(values, apart.values)
        found = in_doubt(values[kept], counts[kept])
        if found:
            spelled = sorted(self.known.text.filter(pl.Series(np.isin(self.numbers, found))))
            listed = "; ".join(f"{shown(value)}: {self._cells((value,))}" for value in found)
            are = "may be a special code and is kept as a number" if len(found) == 1 else "may be special codes, kept"
            tokens = ", ".join(map(toml_text, spelled))
            yield f"{listed}; {are}. If nothing is known there, add {tokens} to missing_tokens"

    def _cells(self, chosen: Sequence[float]) -> str:
        mask = pl.Series(np.isin(self.numbers, chosen))
        beside = self.outcomes.beside_the_rest(self.series, self.known.cells.filter(mask)) if self.outcomes else ""
        return f"{self.known.rows_of(mask):,} cells{beside}"


def _far(values: np.ndarray, counts: np.ndarray, apart: Apart) -> Iterator[str]:
    """Say where a tail that runs on, and is therefore kept, runs very far."""
    kept = ~np.isin(values, apart.values)
    values, shares = values[kept], np.cumsum(counts[kept]) / counts[kept].sum()
    median, high, low = (float(values[np.searchsorted(shares, q)]) for q in (0.5, 0.97, 0.03))
    for end, near in ((values[-1], high), (values[0], low)):
        if near != median and abs(end - median) > _FAR * abs(near - median) and min(abs(near), abs(median)) > 0:
            yield (
                f"runs on to {shown(end)}, far beyond {shown(near)} where 97 % of the cells end, and nothing is cut; "
                "if that cannot be, narrow the range"
            )


def _bounds(apart: Apart) -> tuple[float, float]:
    """Leave room for what tomorrow brings: ten times as far as today's values run, short of what is cut."""
    span = apart.highest - apart.lowest or abs(apart.highest) or 1.0
    low = 0.0 if apart.lowest >= 0 else _outwards(apart.lowest - 10 * span)
    high = 0.0 if apart.highest <= 0 and apart.lowest < 0 else _outwards(apart.highest + 10 * span)
    above = [value for value in apart.isolated if value > apart.highest]
    below = [value for value in apart.isolated if value < apart.lowest]
    high = apart.highest if above and high >= min(above) else high
    low = apart.lowest if below and low <= max(below) else low
    return low, high


def _outwards(value: float) -> float:
    """Round to two significant digits, away from zero."""
    if value == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return math.copysign(math.ceil(abs(value) / unit) * unit, value)


def _lines(name: str, guess: Guess, bounds: tuple[float, float] | None, comments: Sequence[str]) -> Iterator[str]:
    yield f"[attributes.{toml_text(name)}]"
    yield f'kind = "{guess.kind}"' + (f" # {guess.note}" if guess.note else "")
    if bounds:
        low, high = (f"{bound:.15g}" for bound in bounds)
        yield f"range = [{low}, {high}]"
        if guess.kind == "number":
            yield '# kind = "money" instead, if these are amounts with cents that must stay exact'
    for key, value in guess.keys:
        yield f"{key} = {toml_text(value) if isinstance(value, str) else str(value).lower()}"
    if guess.values:
        yield f"values = {toml_list(guess.values)}"
    if guess.kind == "category" and not guess.keys:
        yield "# ordered = true, if the values have a rank; then list them in that order"
    if guess.tokens:
        yield f"missing_tokens = {toml_list(guess.tokens)}"
    if guess.strip:
        yield f"strip = {toml_text(guess.strip)}"
    yield from (f"# {comment}." for comment in comments)


def toml_list(values: Sequence[str]) -> str:
    """Write a TOML list of texts."""
    return "[" + ", ".join(toml_text(value) for value in values) + "]"


def shown(value: float) -> str:
    """Say a number for a person."""
    return f"{value:,.0f}" if value == int(value) and abs(value) < _WHOLE else f"{value:,.6g}"
