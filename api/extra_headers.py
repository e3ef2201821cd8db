"""Headers that a response bears because of its request: those that are carried along, and what browsers ask for."""

import re
from collections.abc import Mapping

from api.problems import WATERMARK, Header, Response
from features.carried_headers import MOST_BYTES, VALUE

RESERVED = (
    *("authorization", "x-api-key", "cookie", "set-cookie*", "content-*", "access-control-*", "proxy-*", "sec-*"),
    *("host", "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "expect", "date", "server"),
    *(
        "x-request-id",
        "retry-after",
        "history-watermark",
        "allow",
        "www-authenticate",
        "cache-control",
        "referrer-policy",
        "vary",
    ),
    *("x-content-type-options", "x-frame-options", "cross-origin-*", "location", "age", "etag", "origin"),
)
_KEPT_SECONDS = 600  # browsers ask again after so long
_EXPOSED = ("X-Request-ID", "Retry-After", WATERMARK)
_TAKEN = ("Content-Type", "X-API-Key", "Authorization", "X-Request-ID")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9A-Fa-f:]+\](:[0-9]{1,5})?")


def check_origins(origins: list[str]) -> list[str]:
    """Return origins of pages in a browser.

    Raises:
        ValueError: one is none.

    """
    found = [origin.strip() for origin in origins if origin.strip()]
    if not all(_ORIGIN.fullmatch(origin) for origin in found):
        raise ValueError("expected origins such as https://loans.example.com, without a path; not *")
    return found


class ExtraHeaders:
    """What requests of one door bring along."""

    def __init__(self, names: list[str], origins: list[str]) -> None:
        """`names`: headers that are carried along, in lower case; `origins`: of pages that may ask, none by default."""
        self._names, self._origins = tuple(names), frozenset(origins)

    def carried(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return what goes from a request to its receipt and response: sound values of bounded size, by name."""
        found = {name: headers[name] for name in self._names if headers.get(name)}
        return {n: v for n, v in found.items() if len(v) <= MOST_BYTES and v.isascii() and re.match(VALUE, v)}

    def of_origin(self, headers: Mapping[str, str]) -> tuple[Header, ...]:
        """Return the headers by which a browser lets a page of an allowed origin read the response."""
        if not self._origins:
            return ()
        vary, origin = ("Vary", "Origin"), headers.get("origin", "")
        if origin not in self._origins:
            return (vary,)
        exposed = ", ".join((*_EXPOSED, *self._names))
        return vary, ("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", exposed)

    def preflight(self, method: str, headers: Mapping[str, str], methods: tuple[str, ...]) -> Response | None:
        """Answer a browser that asks whether a page may send a request; None: this is no such question."""
        asked = headers.get("access-control-request-method", "")
        if method != "OPTIONS" or not asked or headers.get("origin", "") not in self._origins:
            return None
        answer = (
            ("Access-Control-Allow-Methods", ", ".join(methods)),
            ("Access-Control-Allow-Headers", ", ".join((*_TAKEN, *self._names))),
            ("Access-Control-Max-Age", str(_KEPT_SECONDS)),
        )
        return Response(200, answer, b"")
