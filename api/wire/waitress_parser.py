"""Requests as the Flask door reads them: by waitress, which guesses where the FastAPI door's parser refuses.

Readers that guess differently let requests be hidden in requests. So that parser takes a second look at every byte.
"""

import re

from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest, Error

from api.wire.heads import Strict, good_target, without_upgrade

_CODINGS = re.compile(rb"(?im)^transfer-encoding[ \t]*:[ \t]*(.*?)[ \t]*\r?$")
_SPACES = re.compile(rb"\A([^ \r\n]+) +([^ \r\n]+) +")
_HEADERS_TOO_LARGE = 431


class RequestError(Error):  # type: ignore[misc]
    """A request that is refused with a status."""

    def __init__(self, status: int) -> None:
        """Take the status."""
        super().__init__("")
        self.code = status


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Refuses what the other door refuses, such as a length beside chunks, which proxies read differently.

    What the other door's parser cannot read is refused even where waitress would guess.
    """

    def __init__(self, adjustments: Adjustments) -> None:
        """Begin before a request."""
        super().__init__(adjustments)
        self._strict = Strict()

    def parse_header(self, header_plus: bytes) -> None:
        """Read a whole head."""
        line = _SPACES.sub(rb"\1 \2 ", header_plus)
        target = line.split(b" ", 2)[1:2]
        codings = [coding.lower() for coding in _CODINGS.findall(header_plus)]
        if not (target and good_target(target[0])) or codings not in ([], [b"chunked"]):
            raise ParsingError("")
        super().parse_header(line)
        if self.version not in {"1.0", "1.1"} or (codings and not self.chunked):
            self.error = BadRequest("")
        self.expect_continue &= self.chunked or self.content_length > 0

    def received(self, data: bytes) -> int:
        """Read on; return how many bytes belong to this request."""
        in_head = not self.headers_finished
        consumed: int = super().received(data)
        refused = self._strict.refuses(without_upgrade(data[:consumed]) if in_head else data[:consumed])
        if refused and not (self.error and self.error.code == _HEADERS_TOO_LARGE):
            self.error = RequestError(refused)
        if self.error:
            self.expect_continue, self.completed = False, True
        elif self.completed and not self._strict.keeps_alive:
            self.headers["CONNECTION"] = "close"  # as one of several words waitress overlooks it
        return consumed
