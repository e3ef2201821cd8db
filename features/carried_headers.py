"""Headers that go with an application from door to receipt, so that one id can be followed: names, caps, forms."""

import re
from collections.abc import Iterable, Sequence

__all__ = ["DEFAULT", "MOST_BYTES", "MOST_NAMES", "NAME", "VALUE", "check_names", "listed", "text_of"]

DEFAULT = ("traceparent", "tracestate", "correlation-id")
MOST_NAMES = 16
MOST_BYTES = 1024  # of one value; a longer one is left out whole, since half a trace is none
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
VALUE = r"^[^\x00-\x1f\x7f]*\Z"
_HEX = "hex:"


def check_names(names: Sequence[str], reserved: Iterable[str]) -> tuple[str, ...]:
    """Return names of headers in lower case.

    Raises:
        ValueError: they are too many, one is no name, or it belongs to this product.

    """
    lower = tuple(dict.fromkeys(name.strip().lower() for name in names if name.strip()))
    if len(lower) > MOST_NAMES:
        raise ValueError(f"{len(lower)} names, expected at most {MOST_NAMES}")
    for name in lower:
        if NAME.fullmatch(name) is None:
            raise ValueError("expected names of letters, digits, '.', '_' and '-', at most 64 characters each")
        if any(name == own or (own.endswith("*") and name.startswith(own[:-1])) for own in reserved):
            raise ValueError(f"{name} is a header that this product writes itself, or that is a secret")
    return lower


def listed(names: object) -> object:
    """Return names that stand in one text, with commas, as a list; for settings."""
    if isinstance(names, str):
        return names.split(",")
    if isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names):
        return [part for name in names for part in name.split(",")]
    return names


def text_of(value: bytes) -> str:
    """Return a value as a receipt keeps it: its text, or what has none (a binary id) as `hex:` and digits."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return _HEX + value.hex()
    return text if re.match(VALUE, text) else _HEX + value.hex()
