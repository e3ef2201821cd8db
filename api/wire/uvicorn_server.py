"""FastAPI under uvicorn, guarded: slow heads, large heads and too many connections are closed; closing is gentle.

uvicorn has no limit for the time and size of headers, and closes a connection whose body is still arriving, so that the
client never reads why. It also closes idle connections at once when it stops, although a request may be on its way.
"""

import asyncio
import math
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.fastapi_app import fastapi_app
from api.service import Service
from api.wire.connections import GRACE_SHARE, longest_waiting, overdue
from api.wire.heads import MOST_HEADER_BYTES, good_target, without_upgrade
from api.wire.uvicorn_response import Sender, http_bytes

_LINGER_SECONDS = 2.0


def run_fastapi(service: Service, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are finished first."""
    settings = service.settings
    config = uvicorn.Config(
        fastapi_app(service),
        loop="uvloop",
        http=guarded_protocol(service),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=math.ceil(settings.idle_seconds),
        timeout_graceful_shutdown=math.ceil(settings.stop_seconds),
    )
    _Server(config, service, on_ready).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Says when it is ready, looks for overdue connections twice a second, and tells the service that it stops."""

    def __init__(self, config: uvicorn.Config, service: Service, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._service = service
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        if counter % 5 == 0:
            self._sweep()
        return await super().on_tick(counter)

    def _sweep(self) -> None:
        settings, now = self._service.settings, asyncio.get_running_loop().time()
        found: Any = self.server_state.connections
        for connection in overdue(list(found), now, settings.header_seconds, settings.idle_seconds):
            connection.transport.abort()  # type: ignore[attr-defined]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.stopping = True
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Stop as uvicorn does, but without raising the signal again afterwards: a stop on request ends with 0."""
        super().handle_exit(sig, frame)
        self._captured_signals.clear()


def guarded_protocol(service: Service) -> type[HttpToolsProtocol]:
    """Bind the protocol to a service."""

    class Guarded(_GuardedProtocol):
        _service = service

    return Guarded


class _GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits. `waiting_since` and `begun` are those of `api.wire.connections`."""

    _service: Service
    waiting_since: float | None = None
    begun = True
    _header_bytes = 0
    _unread_bytes = 0
    _code = "malformed_http"
    _message_complete = True
    _keep = True
    _discarding = False
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= self._service.settings.max_connections:
            evicted: Any = longest_waiting(self.connections)  # type: ignore[arg-type]
            (evicted.transport if evicted else transport).abort()
        super().connection_made(transport)
        self.waiting_since = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        scope: Any = self.scope
        if scope and (when_gone := scope["state"].get("when_gone")):
            when_gone()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._discarding or self._refused or self.parser is None:
            return
        self._unread_bytes += len(data)
        super().data_received(data if self.waiting_since is None else without_upgrade(data))
        if self._unread_bytes > 2 * MOST_HEADER_BYTES:  # a header that grows without end never reaches `on_header`
            self._code = "headers_too_large"
            self.send_400_response("")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = 0
        self._message_complete = False
        if self.waiting_since is None or not self.begun:
            self.waiting_since, self.begun = self.loop.time(), True

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count_header(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.waiting_since is not None:  # else it stands behind the body, where nobody looked who may add headers
            super().on_header(name, value)
        self._count_header(len(name) + len(value))

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MOST_HEADER_BYTES:
            self._code = "headers_too_large"
            raise ValueError  # the parser stops, and uvicorn calls send_400_response

    def on_headers_complete(self) -> None:
        self.waiting_since = None
        version = self.parser.get_http_version()
        codings = [value.strip(b" \t").lower() for name, value in self.headers if name == b"transfer-encoding"]
        framed = not codings or (version == "1.1" and codings == [b"chunked"])
        if not (framed and version in {"1.0", "1.1"} and good_target(self.url)) or self.parser.should_upgrade():
            raise ValueError  # as above
        self.expect_100_continue &= version == "1.1"
        super().on_headers_complete()
        # Until its body is complete, a connection cannot be kept; the header of the response says so.
        self._keep, self.cycle.keep_alive = self.cycle.keep_alive, False
        self.cycle.transport = _GentleTransport(self)  # type: ignore[assignment]

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, lambda scope, receive, _send: app(scope, receive, Sender(cycle)))

    def on_body(self, body: bytes) -> None:
        self._unread_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread_bytes = 0
        self._message_complete = True
        self.cycle.keep_alive = self._keep and not self._service.stopping
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:  # the newest: no other waits in the pipeline
            self.waiting_since, self.begun = self.loop.time(), False
            if self._refused:
                self._refuse()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text is not sent
        self._refused = True
        if self.cycle is None or self.cycle.response_complete or self.cycle.more_body:
            self._refuse()

    def _refuse(self) -> None:
        """Refuse what never became a request, after all answers to what stood before it."""
        if not self.transport.is_closing():
            self.transport.write(http_bytes(self._service.reject(self._code)))
            self._message_complete = False
            self.close_gently()

    def close_gently(self) -> None:
        """Close, but let a client that is still sending read the response first."""
        if self._message_complete or self.transport.is_closing():
            self.transport.close()
        elif not self._discarding:
            self._discarding = True
            self.transport.write_eof()
            self.loop.call_later(_LINGER_SECONDS, self.transport.abort)

    def shutdown(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(self._service.settings.stop_seconds * GRACE_SHARE, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def _close_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class _GentleTransport:
    """What a response is written to: closing waits for a client that still sends."""

    def __init__(self, protocol: _GuardedProtocol) -> None:
        transport = protocol.transport
        self.write, self.is_closing, self.close = transport.write, transport.is_closing, protocol.close_gently
