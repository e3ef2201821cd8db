"""A TOML table whose getters check presence, type and range, and name the key in every error."""

import json
import math
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from features.errors import SpecError

__all__ = ["Table", "toml_key"]

LARGEST_NUMBER = 1e15


@contextmanager
def errors_of(source: str) -> Iterator[None]:
    """Say in every error of reading a TOML text which `source` it came from.

    Raises:
        SpecError: the text is not TOML, or what was read of it is wrong.

    """
    try:
        yield
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{source}: not valid TOML: {error}.") from error
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{source}: not readable: a number of thousands of digits, or nested too deep.") from error
    except SpecError as error:
        raise SpecError(f"{source}: {error}") from error


class Table:
    """A TOML table that remembers its key path and refuses keys that nobody asked for."""

    def __init__(self, path: str, value: object) -> None:
        """Take a value that should be a table; `path` is its key."""
        if not isinstance(value, Mapping):
            raise SpecError(f"{path}: expected a table, found {_toml_type(value)}. Write it as [{path}].")
        self.path = path
        self.values = cast("Mapping[str, object]", value)

    def key(self, name: str) -> str:
        """Return the full key of a member, as in `attributes.months_employed.range`."""
        return f"{self.path}.{name}" if self.path else name

    def allow(self, names: Collection[str]) -> None:
        """Refuse members that are not among `names`."""
        for name in self.values:
            if name not in names:
                raise SpecError(f"{self.key(name)}: unknown key. Known keys here: {', '.join(sorted(names))}.")

    def table(self, name: str, *, optional: bool = False) -> "Table":
        """Get a table; an optional one that is absent is empty."""
        if name not in self.values and not optional:
            raise SpecError(f"{self.key(name)}: missing. Add the table [{self.key(name)}].")
        return Table(self.key(name), self.values.get(name, {}))

    def text(self, name: str, default: str | None = None) -> str:
        """Get a text."""
        return cast(str, self._get(name, str, "text", default))

    def flag(self, name: str, *, default: bool) -> bool:
        """Get true or false."""
        return cast(bool, self._get(name, bool, "true or false", default))

    def integer(self, name: str, lowest: int, highest: int, default: int | None = None) -> int:
        """Get a whole number from `lowest` to `highest`."""
        value = cast(int, self._get(name, int, "a whole number", default))
        if not lowest <= value <= highest:
            raise SpecError(f"{self.key(name)}: expected {lowest} to {highest}, found {value}.")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """Get a finite number."""
        value = cast(float, self._get(name, (int, float), "a finite number", default))
        if abs(value) > LARGEST_NUMBER:
            raise SpecError(f"{self.key(name)}: expected a number of at most {LARGEST_NUMBER:g}.")
        return float(value)

    def texts(self, name: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Get a list of texts."""
        return cast(tuple[str, ...], self._list(name, (str,), "texts", default))

    def integers(self, name: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Get a list of whole numbers."""
        return cast(tuple[int, ...], self._list(name, (int,), "whole numbers", default))

    def numbers(self, name: str, default: tuple[float, ...] | None = None) -> tuple[float, ...]:
        """Get a list of finite numbers."""
        return tuple(float(v) for v in cast(tuple[float, ...], self._list(name, (int, float), "numbers", default)))

    def _get(self, name: str, kind: type | tuple[type, ...], expected: str, default: object) -> object:
        if name not in self.values:
            if default is None:
                raise SpecError(f"{self.key(name)}: missing, expected {expected}.")
            return default
        value = self.values[name]
        if not _is_a(value, kind):
            raise SpecError(f"{self.key(name)}: expected {expected}, found {_toml_type(value)}.")
        return value

    def _list(self, name: str, kind: tuple[type, ...], expected: str, default: object) -> tuple[object, ...]:
        values = self._get(name, list, f"a list of {expected}", None if default is None else list(cast(Any, default)))
        for value in cast("list[object]", values):
            if not _is_a(value, kind):
                raise SpecError(f"{self.key(name)}: expected a list of {expected}, found {_toml_type(value)} in it.")
        return tuple(cast("list[object]", values))


def toml_text(value: str) -> str:
    """Write a TOML text: JSON's escapes, and DEL, which only TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_key(name: str) -> str:
    """Write a key, quoted where it must be."""
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else toml_text(name)


def _is_a(value: object, kind: type | tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, kind) and not (isinstance(value, float) and not math.isfinite(value))


def _toml_type(value: object) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text", list: "a list"}
    return names.get(type(value), "a table" if isinstance(value, Mapping) else type(value).__name__)
