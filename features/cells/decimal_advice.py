"""Whether numbers that cannot be read are written with the other of point and comma: the line of the spec to change."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import polars as pl

from features.cells import Reader, kind_of
from features.cells.decimals import parse_minor_units, people_write
from features.spec.contract import Attribute, Spec
from features.spec.toml_table import toml_text

__all__ = ["decimal_advice", "have_comma"]

_LOOKED_AT = 20_000
_WORTH_A_LOOK, _GAIN = 0.01, 0.01  # of the cells
_KINDS = {"number", "integer", "money", "percent", "duration"}
_MOST_DIGITS = 4
_OTHER = {".": ",", ",": "."}


def decimal_advice(applications: pl.DataFrame, spec: Spec, unreadable: Mapping[str, int]) -> Iterator[str]:
    """Yield advice on each attribute more of whose cells are numbers by the other sign before the decimals.

    `unreadable`: cells of that cause by attribute, among all rows. Looks at the first rows of a table; shows no cell.
    """
    for attribute in spec.attributes if spec.version > 1 else ():
        few = unreadable.get(attribute.name, 0) < _WORTH_A_LOOK * applications.height
        if few or attribute.kind not in _KINDS or applications.schema.get(attribute.name) != pl.String:
            continue
        cells = applications[attribute.name].head(_LOOKED_AT)
        declared, other = attribute.decimal, _OTHER[attribute.decimal]
        read, instead = (_usable(cells, replace(attribute, decimal=sign)) for sign in (declared, other))
        if instead - read >= _GAIN * len(cells):
            yield (
                f"column {attribute.name!r}: {read / len(cells):.1%} of its cells are numbers with {declared!r} before "
                f"the decimals, as the spec says, and {instead / len(cells):.1%} with {other!r}: write decimal = "
                f"{toml_text(other)} in [attributes.{toml_text(attribute.name)}]"
            )


def have_comma(amounts: pl.Series) -> bool:
    """Tell whether amounts of events are numbers with a comma before their decimals, and not with a point."""
    if amounts.dtype != pl.String:
        return False
    cells = amounts.drop_nulls().head(_LOOKED_AT).str.replace_all(r"[\p{L}\p{Sc}\s]", "").to_list()
    read = {sign: people_write(parse_minor_units(_MOST_DIGITS), sign, "") for sign in _OTHER}
    usable = {sign: sum(isinstance(one(cell), int) for cell in cells) for sign, one in read.items()}
    return usable[","] - usable["."] >= max(1, _GAIN * len(cells))


def _usable(cells: pl.Series, attribute: Attribute) -> int:
    reader = Reader([kind_of(attribute).reading(attribute, pl.String())])
    return len(cells) - reader.read(cells.to_frame())[attribute.name].values.null_count()
