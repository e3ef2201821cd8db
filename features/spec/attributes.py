"""The attributes of a spec: the keys that all kinds have, and those that only one has."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from features.cells import KINDS, Kind
from features.errors import SpecError
from features.spec.contract import Attribute, Currency
from features.spec.direction_words import read_direction
from features.spec.toml_table import Table

_KEYS = ("kind", "unit", "description", "required", "range", "values", "ordered", "missing_tokens", "strip")
_DECIMALS = (".", ",")


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds for attributes that do not say it themselves."""

    version: int
    currency: Currency
    tokens: tuple[str, ...]
    strip: str
    decimal: str


def read_defaults(root: Table, version: int, currency: Currency) -> Defaults:
    """Read `missing` and, from version 2 on, `decimal`.

    Raises:
        SpecError: a key is wrong; names it.

    """
    missing = root.table("missing", optional=True)
    missing.allow(["tokens", "strip"])
    return Defaults(
        version=version,
        currency=currency,
        tokens=missing.texts("tokens", ()),
        strip=missing.text("strip", ""),
        decimal=_decimal(root, "."),
    )


def read_attribute(name: str, table: Table, defaults: Defaults) -> Attribute:
    """Read one table of `attributes`.

    Raises:
        SpecError: a key is wrong; names it.

    """
    kind = _kind(table, defaults.version)
    table.allow([*_KEYS, *(("decimal", "direction", "never_worse_from") if defaults.version > 1 else ()), *kind.keys])
    values, strip = _values(table, kind), table.text("strip", defaults.strip)
    check_reachable(table.key("values"), values, " \t" + strip)
    minimum, maximum = _range(table, numeric=kind.has_range)
    attribute = Attribute(
        name=name,
        kind=kind.name,
        unit=table.text("unit", "category" if kind.has_values else ""),
        description=table.text("description", ""),
        required=table.flag("required", default=False),
        minimum=minimum,
        maximum=maximum,
        values=values,
        ordered=table.flag("ordered", default=False),
        missing_tokens=tuple(dict.fromkeys((*defaults.tokens, *table.texts("missing_tokens", ())))),
        strip=strip,
        currency=defaults.currency,
        version=defaults.version,
        decimal=_decimal(table, defaults.decimal),
        direction=read_direction(table),
        never_worse_from=table.number("never_worse_from") if "never_worse_from" in table.values else None,
    )
    if attribute.never_worse_from is not None:
        attribute = replace(attribute, direction=attribute.direction or 1)
    return replace(attribute, options=kind.options(table, attribute))


def _kind(table: Table, version: int) -> Kind:
    value = table.text("kind")
    known = {name: kind for name, kind in KINDS.items() if kind.since <= version}
    if value in KINDS and value not in known:
        raise SpecError(f"{table.key('kind')}: {value!r} came with spec_version {KINDS[value].since}. Set that.")
    if value not in known:
        raise SpecError(f"{table.key('kind')}: expected one of {', '.join(known)}, found {value!r}.")
    return known[value]


def _values(table: Table, kind: Kind) -> tuple[str, ...]:
    values = table.texts("values", ())
    if kind.has_values and (not values or len(set(values)) != len(values) or any(not v.strip() for v in values)):
        raise SpecError(f"{table.key('values')}: a {kind.name} needs its values: a list of different, non-empty texts.")
    if not kind.has_values and values:
        raise SpecError(f"{table.key('values')}: only a category or a list has values, this is a {kind.name}.")
    return values


def _decimal(table: Table, default: str) -> str:
    decimal = table.text("decimal", default)
    if decimal not in _DECIMALS:
        raise SpecError(f'{table.key("decimal")}: expected "." or ",", which stands before the decimals of a number.')
    return decimal


def check_reachable(key: str, values: Sequence[str], around: str) -> None:
    """Refuse values that no cell can equal, because white space and `strip` are taken off the cells first.

    Raises:
        SpecError: names `key` and the value.

    """
    for value in values:
        if value != value.strip().strip(around):
            raise SpecError(f"{key}: {value!r} begins or ends with what is stripped from cells, so none can equal it.")


def _range(table: Table, *, numeric: bool) -> tuple[float | None, float | None]:
    bounds = table.numbers("range", ())
    if not bounds:
        return None, None
    if not numeric:
        raise SpecError(f"{table.key('range')}: only numbers, money and durations have a range.")
    if len(bounds) != 2 or bounds[0] > bounds[1]:
        raise SpecError(f"{table.key('range')}: expected [lowest, highest], as in range = [18, 100].")
    return bounds[0], bounds[1]
