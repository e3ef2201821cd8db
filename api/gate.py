"""Who may enter, and with what kind of body: key, rate, content type, charset, encoding, declared size."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from api.problems import Header
from features.errors import SettingsError
from serving.keys import KeyFile
from serving.rates import RateLimit

# curl -d declares every body as a form; what arrives here is read as JSON or refused all the same.
_JSON_TYPES = ("application/json", "application/x-www-form-urlencoded")
_CHALLENGE: tuple[Header, ...] = (("WWW-Authenticate", 'Bearer realm="credit"'),)
_DIGITS = re.compile(r"[0-9]{1,18}")


class Refused(Exception):  # noqa: N818 - an outcome, not a fault
    """The request is refused with a code of `PROBLEMS`."""

    def __init__(self, code: str, headers: tuple[Header, ...] = ()) -> None:
        """Take the code and the headers that go with it."""
        super().__init__(code)
        self.code = code
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the id of the key, which is no secret; empty without keys."""

    key_id: str


class Gate:
    """Lets requests with a good key in, at their rate."""

    def __init__(self, keys: KeyFile | None, rate: float, clock: Callable[[], float]) -> None:
        """Take the file of keys; None lets everyone in."""
        self._keys = keys
        self._rates = RateLimit(rate, clock)

    def admit(self, headers: Mapping[str, str]) -> Caller:
        """Return who asks.

        Raises:
            Refused: no key, an unknown or revoked one, too many applications, or the file of keys is unreadable.

        """
        caller = Caller("") if self._keys is None else self._known(self._keys, headers)
        wait = self._rates.wait(caller.key_id)
        if wait:
            raise _too_fast(wait)
        return caller

    def charge(self, caller: Caller, more: int) -> None:
        """Count the further applications of a batch.

        Raises:
            Refused: too many of this key.

        """
        wait = self._rates.charge(caller.key_id, more)
        if wait:
            raise _too_fast(wait)

    @staticmethod
    def _known(keys: KeyFile, headers: Mapping[str, str]) -> Caller:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        presented = headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
        if not presented:
            raise Refused("key_missing", _CHALLENGE)
        try:
            key = keys.find(presented)
        except SettingsError as error:
            raise Refused("keys_unreadable", (("Retry-After", "1"),)) from error
        if key is None:
            raise Refused("key_unknown", _CHALLENGE)
        return Caller(key.id)


def _too_fast(wait: int) -> Refused:
    return Refused("rate_limited", (("Retry-After", str(wait)),))


def check_body_head(headers: Mapping[str, str], limit: int) -> int:
    """Check what the headers declare about the body; return its declared size, or the limit if it has none.

    Raises:
        Refused: another type, charset or encoding than JSON in UTF-8 as it is, or a size above the limit.

    """
    media, *parameters = [part.strip().lower() for part in headers.get("content-type", "").split(";")]
    if media not in _JSON_TYPES:
        raise Refused("content_type_unsupported")
    charsets = [value.strip('"') for name, _, value in (p.partition("=") for p in parameters) if name == "charset"]
    if any(charset not in ("utf-8", "utf8", "us-ascii") for charset in charsets):
        raise Refused("charset_unsupported")
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise Refused("content_encoding_unsupported")
    if "transfer-encoding" in headers:
        return limit
    return check_size(headers, limit)


def check_size(headers: Mapping[str, str], limit: int) -> int:
    """Return the declared size of the body.

    Raises:
        Refused: it is above the limit.

    """
    declared = headers.get("content-length", "0").strip()
    if not _DIGITS.fullmatch(declared) or int(declared) > limit:
        raise Refused("body_too_large")
    return int(declared)
