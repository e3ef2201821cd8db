"""Responses of the FastAPI door as bytes: uvicorn's way to send, with less work.

uvicorn writes head and body one by one, each a call of the system, and searches every header for characters that do not
belong there; together that is a tenth of all that a request costs. The headers here are constants or were checked when
they came in, and every response has one body.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from api.problems import Response

Headers = list[tuple[bytes, bytes]]


class Sender:
    """What a request is answered through: an ASGI `send` for a response with one body of known length."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        """Take uvicorn's state of the request, which is kept as uvicorn keeps it."""
        self._cycle = cycle
        self._head = b""

    async def __call__(self, message: Any) -> None:
        """Keep the head until the body is there, then write both at once."""
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        if message["type"] == "http.response.start":
            cycle.response_started, cycle.waiting_for_100_continue = True, False
            self._head = _head(message["status"], [*cycle.default_headers, *message["headers"]])
            return
        ending = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        cycle.transport.write(self._head + ending + (b"" if cycle.scope["method"] == "HEAD" else message["body"]))
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()


def http_bytes(response: Response) -> bytes:
    """Write a response that no request stands behind; the connection closes after it."""
    more = (("Content-Length", str(len(response.body))), ("Connection", "close"))
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (*response.headers, *more)]
    return _head(response.status, headers) + b"\r\n" + response.body


def _head(status: int, headers: Headers) -> bytes:
    return STATUS_LINE[status] + b"".join([b"%b: %b\r\n" % header for header in headers])
