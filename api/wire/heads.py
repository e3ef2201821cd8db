"""What both servers ask of a request beyond what is parsed: so one takes what the other takes, and refuses the same."""

import re

import httptools

MOST_HEADER_BYTES = 32 << 10
_UPGRADE = re.compile(rb"\r\nupgrade(?=[ \t]*:)", re.IGNORECASE)


def good_target(target: bytes) -> bool:
    """Tell whether an address is a path, or a whole URL with one; a fragment is never sent."""
    try:
        path = httptools.parse_url(target).path
    except httptools.HttpParserInvalidURLError:
        return False
    return bool(path) and target.startswith((b"/", b"http://", b"https://")) and b"#" not in target


def without_upgrade(data: bytes) -> bytes:
    """Rename an offer of another protocol in a head, by which the parser would lose the body; Java's client makes one.

    A server may ignore it (RFC 9110, 7.8), and no other protocol is spoken here.
    """
    end = data.find(b"\r\n\r\n")
    head = data if end < 0 else data[:end]
    return _UPGRADE.sub(b"\r\nignored", head) + data[len(head) :] if _UPGRADE.search(head) else data


class Strict:
    """The parser of the FastAPI door, as a second look at a request of the other; it calls the methods `on_`."""

    def __init__(self) -> None:
        """Begin before a request."""
        self._header_bytes = 0
        self._unread_bytes = 0
        self.keeps_alive = True
        self._parser = httptools.HttpRequestParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header, or one behind the body."""
        self._header_bytes += len(name) + len(value)

    def on_headers_complete(self) -> None:
        """Note whether the connection may be used again."""
        self.keeps_alive = self._parser.should_keep_alive()

    def on_body(self, _part: bytes) -> None:
        """Count anew what is neither head nor body."""
        self._unread_bytes = 0

    def refuses(self, data: bytes) -> int:
        """Read on; return the status with which the request is to be refused, or 0."""
        self._unread_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return 400
        too_large = self._header_bytes > MOST_HEADER_BYTES or self._unread_bytes > 2 * MOST_HEADER_BYTES
        return 431 if too_large else 0
