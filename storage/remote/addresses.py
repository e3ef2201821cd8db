"""Which paths are the address of an object store, and which of them are supported."""

import re
from dataclasses import dataclass
from pathlib import Path

from features.errors import SettingsError

__all__ = ["Address", "address_of", "spelled"]

SCHEMES = ("s3", "gs", "az")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_DELTA = "delta+"
_EXPECTED = "s3://, gs:// or az://, and before it delta+ for a Delta table (delta+file:/// for one on this machine)"


@dataclass(frozen=True, slots=True)
class Address:
    """A place by URL; `delta`: it is a Delta table. `url` has neither the word before it nor a slash at its end."""

    url: str
    delta: bool

    @property
    def text(self) -> str:
        """The URL as it was given."""
        return f"{_DELTA if self.delta else ''}{self.url}"

    def __truediv__(self, name: str) -> "Address":
        """Return the address of what lies below."""
        return Address(f"{self.url}/{name}" if name else self.url, self.delta)


def looks_like_address(path: Path) -> bool:
    """Tell whether a path begins with a scheme, as only addresses do."""
    return bool(path.parts and _SCHEME.fullmatch(path.parts[0]))


def address_of(path: Path) -> Address | None:
    """Return the address that a path spells; None for a path of this machine.

    A `Path` keeps one of the slashes behind the scheme, which this puts back.

    Raises:
        SettingsError: it is an address of a kind that is not supported, or holds a login or a query, which it must not.

    """
    if not looks_like_address(path):
        return None
    scheme, rest = path.parts[0][:-1].lower(), "/".join(path.parts[1:])
    delta, scheme = scheme.startswith(_DELTA), scheme.removeprefix(_DELTA)
    if "@" in rest.split("/")[0] or "?" in rest:
        raise SettingsError(
            f"{path.parts[0]}//...: the address holds a login or a query. Take it out (and change that secret): the "
            "cloud's own environment variables, profile or service account give the right to read and write."
        )
    if scheme not in SCHEMES and not (delta and scheme == "file"):
        raise SettingsError(f"{path.parts[0]}//{rest}: this kind of address is not supported. Expected {_EXPECTED}.")
    if not rest:
        raise SettingsError(f"{path.parts[0]}//: names no bucket. Expected {scheme}://BUCKET/PATH.")
    return Address(f"{scheme}://{'/' if scheme == 'file' else ''}{rest}", delta)


def spelled(path: Path) -> str:
    """Return a path, or the address that it spells, as it was given."""
    address = address_of(path)
    return str(path) if address is None else address.text
