"""What ids look like, never what they are, and which of the usual repairs would make two columns of them meet."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import polars as pl

from features.applications import SCIENTIFIC, is_scientific

_LONGEST_FORM = 40
_LEAST_COMMON = 20  # ids that share a beginning before it is taken for a prefix and shown
_MOST_SHARED = 12  # characters of a prefix or suffix


@dataclass(frozen=True, slots=True, kw_only=True)
class IdForm:
    """The form of a column of ids: lengths, the commonest shape (A and a letters, 9 digits), leading zeros."""

    count: int
    shortest: int
    longest: int
    shape: str
    shape_share: float
    leading_zero_share: float
    scientific_share: float  # of ids such as 4.91235E+11, which a spreadsheet made of long numbers

    def text(self) -> str:
        """Describe it in a few words."""
        length = f"{self.shortest}" if self.shortest == self.longest else f"{self.shortest} to {self.longest}"
        zeros = f", {self.leading_zero_share:.0%} begin with 0" if self.leading_zero_share else ""
        lost = f"; {self.scientific_share:.0%} {SCIENTIFIC}" if self.scientific_share else ""
        return f"{length} characters, {self.shape_share:.0%} of the form {self.shape}{zeros}{lost}"


@dataclass(frozen=True, slots=True)
class Repair:
    """A way in which ids that mean the same are often written differently; `apply` makes both alike."""

    name: str
    advice: str
    apply: pl.Expr


def form_of(ids: pl.Series) -> IdForm | None:
    """Describe ids that are not empty; None without any."""
    ids = ids.drop_nulls().rename("id")
    if ids.is_empty():
        return None
    shape = ids.str.replace_all(r"\p{Lu}", "\x01").str.replace_all(r"\p{L}", "a").str.replace_all(r"\p{N}", "9")
    shape = shape.str.replace_all("\x01", "A").str.replace_all(r"[^Aa9 ._/:+#|,;()-]", "?").str.head(_LONGEST_FORM)
    common = shape.value_counts().sort("count", "id", descending=[True, False]).row(0)
    lengths = ids.str.len_chars()
    return IdForm(
        count=len(ids),
        shortest=int(str(lengths.min())),
        longest=int(str(lengths.max())),
        shape=str(common[0]),
        shape_share=common[1] / len(ids),
        leading_zero_share=float(str(ids.str.starts_with("0").mean())),
        scientific_share=float(str(is_scientific(ids).mean())),
    )


def repairs(sides: Sequence[tuple[str, pl.Series]]) -> Iterator[tuple[Repair, ...]]:
    """Yield what to try, single repairs first, then two together. `sides`: the name and ids of both tables."""
    usual, affixes = _usual(), list(_affixes(sides))
    yield from ((repair,) for repair in (*usual, *affixes))
    yield from combinations((*affixes, *usual), 2)  # zeros lead only once a prefix is off


def apply(ids: pl.Series, tried: Sequence[Repair]) -> pl.Series:
    """Write ids as the repairs would have them."""
    frame = pl.DataFrame([ids.rename("id")])
    for repair in tried:
        frame = frame.select(repair.apply)
    return frame.to_series()


_ID = pl.col("id")


def _usual() -> list[Repair]:
    return [
        Repair(
            "a suffix .0",
            "pandas writes an integer column that had an empty cell so: write the column as text, or as Int64",
            _ID.str.replace(r"([0-9])\.0+$", "$1"),
        ),
        Repair(
            "leading zeros",
            "a column of digits was read as numbers: keep it as text, or pad it to its full length",
            _ID.str.replace_all(r"(^|[^0-9])0+([0-9])", "${1}${2}"),
        ),
        Repair("upper and lower case", "write both in the same case", _ID.str.to_uppercase()),
        Repair("white space or hyphens inside", "write both without", _ID.str.replace_all(r"[\s\x{A0}-]", "")),
    ]


def _affixes(sides: Sequence[tuple[str, pl.Series]]) -> Iterator[Repair]:
    """Yield the beginning and the end that all ids of one side share and those of the other do not."""
    for at_start, word, place in ((True, "prefix", "begins"), (False, "suffix", "ends")):
        found = [(name, _shared(ids, at_start=at_start)) for name, ids in sides]
        for name, shared in found:
            if shared not in ("", ".0") and any(other != shared for _, other in found):
                cut = _ID.str.strip_prefix(shared) if at_start else _ID.str.strip_suffix(shared)
                advice = f"each id of the {name} {place} with {shared}: take it off there, or add it to the others"
                yield Repair(f"the {word} {shared}", advice, cut)


def _shared(ids: pl.Series, *, at_start: bool) -> str:
    """Return letters and separators that all of these ids begin or end with; no digit behind the last separator."""
    distinct = ids.drop_nulls().unique().sort()
    if len(distinct) < _LEAST_COMMON:
        return ""
    texts = distinct if at_start else distinct.str.reverse().sort()
    first, last = str(texts[0]), str(texts[-1])
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    found = re.match(r".*[^0-9A-Za-z]|[^0-9]+", first[: min(length, _MOST_SHARED)])
    shared = found.group() if found else ""
    return shared if at_start else shared[::-1]
