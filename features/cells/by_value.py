"""Categories whose values are numbers or booleans match by value, whatever their spelling: from spec version 2 on."""

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from features.cells.decimals import is_number, with_point
from features.cells.texts import POINT
from features.spec.contract import Attribute

_TRUTH = {"true": True, "false": False}
_LEADING_ZERO = re.compile(r"[+-]?0[0-9]").match
_FLAGS: Mapping[bool, Decimal] = {True: Decimal(1), False: Decimal(0)}

Key = Decimal | str


def keys_of(values: Iterable[str], decimal: str = POINT) -> Callable[[str], Key | None]:
    """Return what gives a text its key: texts of equal value have the same key, None has no value but itself.

    Numbers are equal whatever their spelling (1, 1.0, 1e0); where one of `values` has a leading zero (01) they may be
    codes, and then a number with a leading zero is only itself. True and false are equal in every case, and equal to 1
    and 0 where `values` has both of one pair and none of the other.
    """
    values = [*values]
    codes = any(map(_LEADING_ZERO, values))
    flags = _are_flags(values, decimal)

    def key(text: str) -> Key | None:
        truth = _TRUTH.get(text.lower())
        if truth is not None:
            return _FLAGS[truth] if flags else text.lower()
        plain = with_point(text, decimal)
        if plain is None or not is_number(plain) or (codes and _LEADING_ZERO(plain)):
            return None
        return Decimal(plain)

    return key


def _are_flags(values: Iterable[str], decimal: str) -> bool:
    """Tell whether a number can mean a truth value here, and the other way round."""
    plain = (with_point(value, decimal) for value in values)
    numbers = {Decimal(value) for value in plain if value is not None and is_number(value)}
    truths = {_TRUTH[value.lower()] for value in values if value.lower() in _TRUTH}
    both = {Decimal(0), Decimal(1)}
    return (numbers == both and not truths) or (len(truths) == len(_TRUTH) and not numbers)


def equal_values(values: Iterable[str], decimal: str) -> tuple[str, str] | None:
    """Return two texts of equal value, if there are any."""
    values = [*values]
    key, seen = keys_of(values, decimal), dict[Key, str]()
    for value in values:
        found = key(value)
        if found is not None and seen.setdefault(found, value) != value:
            return seen[found], value
    return None


def spellings_of(values: Iterable[str]) -> tuple[str, ...]:
    """Return one spelling of each value, the shortest, in the order in which they are first seen."""
    values = [*values]
    key, chosen = keys_of(values), dict[Key, str]()
    for value in values:
        found = key(value)
        found = value if found is None else found
        best = chosen.get(found, value)
        chosen[found] = min(best, value, key=lambda text: (len(text), text))
    return tuple(chosen.values())


def lookup(attribute: Attribute, tokens: Iterable[str], token: object) -> Callable[[str], object]:
    """Return what finds the declared value that a bare text means: itself, `token` for a missing token, or None.

    In version 1 a text means only itself.
    """
    values = attribute.values
    known: dict[Key, object] = {value: value for value in values}
    if attribute.version == 1:
        return known.get
    key = keys_of(values, attribute.decimal)
    by_key: dict[Key | None, object] = {key(value): value for value in values}
    by_key |= {key(text): token for text in tokens}
    by_key.pop(None, None)

    def find(text: str) -> object:
        found = known.get(text)
        return by_key.get(key(text)) if found is None else found

    return find
