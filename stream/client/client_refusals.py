"""What the client library says of a setting that it refuses, in words that name it, without its value."""

import re
from collections.abc import Mapping
from typing import Any

from stream.client.client_names import ALIASES, CHOICES

_RANGE = re.compile(r"outside allowed range (-?[0-9]+)\.\.(-?[0-9]+)")
_SHORT = 3  # characters; what is shorter is no secret, and would blacken words
_WORDS = {"true", "false", "consumer", "classic", "error"}  # no secrets, and they stand in the library's texts
_HINTS = (
    ("private key check failed", "the key does not belong to the certificate"),
    ("key values mismatch", "the key does not belong to the certificate"),
    ("bad decrypt", "a password does not fit"),
    ("mac verify failure", "the password of the keystore does not fit"),
    ("maybe wrong password", "a password does not fit"),
    ("nested asn1 error", "it is not PKCS#12"),
    ("not enough data", "it is not PKCS#12"),
)


def refusal(text: str, config: Mapping[str, Any]) -> str:
    """Return the setting's name and the cause, from the library's text, which may hold values."""
    name = _named(text, config)
    where = f"{name}: " if name else ""
    found = _RANGE.search(text)
    if found:
        return f"{where}expected a number from {found[1]} to {found[2]}"
    if "No such configuration property" in text:
        return f"{where}the client knows no such setting; its names are in librdkafka's CONFIGURATION.md"
    if "Expected bool value" in text:
        return f"{where}expected true or false"
    if "Invalid value" in text:
        return f"{where}its value is of the wrong type, or none that the client knows"
    hint = next((f" ({said})" for sign, said in _HINTS if sign in text), "")
    if "PEM lib" in text and "ssl.key.password" in config:
        hint = " (ssl.key.password may not fit)"
    return (
        where
        + _without_values(text.strip().removeprefix("Failed to create ").partition(": ")[2] or text, config)
        + hint
    )


def _named(text: str, config: Mapping[str, Any]) -> str:
    """Find the setting that the text is about: the longest of those that it mentions first."""
    names = {name: name for name in config} | {second: f"{first} ({second})" for second, first in ALIASES.items()}
    at = {}
    for name in names:
        found = re.search(rf"(?<![\w.]){re.escape(name)}(?![\w]|\.\w)", text) if name else None
        if found is not None:
            at[found.start(), -len(name)] = name
    if at:
        return names[at[min(at)]]
    return next((n for n, v in config.items() if isinstance(v, str) and len(v) > _SHORT and v in text), "")


def _without_values(text: str, config: Mapping[str, Any]) -> str:
    plain = {choice.lower() for choices in CHOICES.values() for choice in choices} | _WORDS
    values = {str(v) for v in config.values() if isinstance(v, str) and len(v) > _SHORT and v.lower() not in plain}
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, "...")
    return text
