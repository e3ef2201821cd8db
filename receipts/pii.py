"""Personal data in receipts: what the spec declares as `pii` is stored keyed and found by the same key.

    keyed(field, value) = "keyed:" + hex(HMAC-SHA256(key, field + NUL + value)), both UTF-8

Whoever knows an application could confirm it by its `decision_id`, which is a hash over the ids. Where an id is keyed,
the decision_id is therefore keyed as well, and `check_id` is the decision_id over the keyed ids, for replay to check.
"""

import hmac
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from features.errors import SettingsError
from features.spec.contract import IDENTITY, Spec
from receipts.frame import CHECK_ID, feature_matrix
from scoring.decisions import decision_ids

__all__ = ["KEYED", "Pseudonymiser", "keyed", "read_key", "stored_forms"]

KEYED = "keyed:"
_LEAST_KEY_BYTES = 32
_DECODER = msgspec.json.Decoder(float_hook=str)  # a number stays its text


def read_key(path: Path) -> bytes:
    """Read a key file: any text or bytes of at least 32 bytes, without white space around it.

    Raises:
        SettingsError: it cannot be read, or is too short.

    """
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise SettingsError(f"{path}: the key of personal data cannot be read ({error.strerror}).") from error
    if len(key) < _LEAST_KEY_BYTES:
        raise SettingsError(
            f"{path}: {len(key)} bytes, expected a key of at least {_LEAST_KEY_BYTES}. "
            "Make one with: head -c 32 /dev/urandom | base64 > FILE"
        )
    return key


def keyed(key: bytes, field: str, value: str) -> str:
    """Return the form in which a value of a field is stored."""
    return KEYED + hmac.digest(key, f"{field}\0{value}".encode(), "sha256").hex()


class Pseudonymiser:
    """Stores what a spec declares as personal data keyed. No I/O, no state; safe to share between threads."""

    def __init__(self, spec: Spec, key: bytes | None) -> None:
        """Take the key of `read_key`; None where the spec declares nothing.

        Raises:
            SettingsError: the spec declares personal data, and there is no key.

        """
        if spec.pii and key is None:
            raise SettingsError(
                f"the spec declares {', '.join(spec.pii)} as pii, which the decision log stores keyed. "
                "Give the file of the key with --pii-key."
            )
        self._key = key or b""
        self._ids = tuple(name for name in IDENTITY if name in spec.pii)
        self._attributes = tuple(name for name in spec.pii if name not in IDENTITY)

    def frame(self, receipts: pl.DataFrame) -> pl.DataFrame:
        """Return receipts with personal data keyed: ids, decision_id, and the application's JSON."""
        if not self._ids and not self._attributes:
            return receipts
        changed = [self._keyed_column(receipts[name]) for name in self._ids]
        if self._attributes or self._ids:
            changed.append(_mapped(receipts["application"], lambda text: self.message(text.encode()).decode()))
        stored = receipts.with_columns(changed)
        return self._with_check(stored) if self._ids else stored

    def _with_check(self, receipts: pl.DataFrame) -> pl.DataFrame:
        ids = receipts.select("application_id", "customer_id", pl.col("as_of").to_physical())
        (bundle_id,) = receipts["bundle_id"].unique().to_list() or ["00" * 32]
        checks = pl.Series(CHECK_ID, decision_ids(ids, feature_matrix(receipts), bundle_id), dtype=pl.String)
        return receipts.with_columns(checks, self._keyed_column(receipts["decision_id"]))

    def message(self, message: bytes) -> bytes:
        """Return an application as JSON with personal data keyed; all else stays as it was written.

        `message` is one that a door has scored. White space around a value does not count.
        """
        if not self._ids and not self._attributes:
            return message
        fields = msgspec.json.decode(message, type=dict[str, msgspec.Raw])
        fields |= {name: self._keyed_raw(name, fields[name]) for name in self._ids}
        attributes = msgspec.json.decode(fields["attributes"], type=dict[str, msgspec.Raw])
        named = [name for name in self._attributes if name in attributes]
        attributes |= {name: self._keyed_raw(name, attributes[name]) for name in named}
        return msgspec.json.encode({**fields, "attributes": attributes})

    def _keyed_raw(self, field: str, raw: msgspec.Raw) -> msgspec.Raw:
        value: Any = _DECODER.decode(raw)
        if value is None:
            return raw
        return msgspec.Raw(msgspec.json.encode(keyed(self._key, field, str(value).strip())))

    def _keyed_column(self, values: pl.Series) -> pl.Series:
        return _mapped(values, lambda value: keyed(self._key, values.name, value))


def _mapped(values: pl.Series, change: Callable[[str], str]) -> pl.Series:
    changed = {value: change(value) for value in values.drop_nulls().unique()}
    return pl.Series(values.name, [changed.get(value) for value in values], dtype=pl.String)


def stored_forms(field: str, value: str, key: bytes | None) -> Sequence[str]:
    """Return the forms in which an id may be stored: as it is, and keyed."""
    return [value] if key is None else [value, keyed(key, field, value)]
