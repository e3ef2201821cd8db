"""Why a cell has no value. Each cause is a word of the account of dirt and the end of a reject code."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unusable:
    """What the definition of a column makes of a cell without a value: its cause."""

    cause: str


MISSING = "missing"
MISSING_TOKEN = "missing_token"  # noqa: S105 - a token of missing data, not a secret
UNREADABLE = "unreadable"
NOT_FINITE = "not_finite"
NOT_WHOLE = "not_a_whole_number"
OUT_OF_RANGE = "out_of_range"
TOO_MANY_DECIMALS = "too_many_decimals"
UNKNOWN = "unknown_category"
AFTER = "after_as_of"
GIVEN = (UNREADABLE, NOT_FINITE, NOT_WHOLE, OUT_OF_RANGE, TOO_MANY_DECIMALS, UNKNOWN, AFTER)  # a value that is no use

IS_MISSING, IS_TOKEN, IS_UNREADABLE, IS_NOT_FINITE, IS_NOT_WHOLE, IS_OUTSIDE, IS_TOO_FINE, IS_UNKNOWN = map(
    Unusable,
    (MISSING, MISSING_TOKEN, UNREADABLE, NOT_FINITE, NOT_WHOLE, OUT_OF_RANGE, TOO_MANY_DECIMALS, UNKNOWN),
)
