"""Flask under waitress, guarded: slow and large requests and too many connections are closed; closing is gentle.

waitress reads whole requests before a thread serves them, so slow clients hold no thread. It has no limit for the time
of a request whose bytes trickle in, answers its own errors as plain text, drops what waits when it stops, and closes a
connection whose body is still arriving, so that the client never reads why.
"""

import signal
import socket
import time
from collections.abc import Callable
from http import HTTPStatus
from types import FrameType
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask

from api.flask_app import flask_app
from api.service import Service
from api.wire.connections import GRACE_SHARE, longest_waiting, overdue
from api.wire.heads import MOST_HEADER_BYTES
from api.wire.waitress_parser import Parser, RequestError

_LINGER_SECONDS = 2.0
_CODES = {408: "body_too_slow", 413: "body_too_large", 431: "headers_too_large"}


def run_flask(service: Service, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are finished first."""
    settings = service.settings
    adjustments = Adjustments(
        sockets=[listener],
        threads=2 * settings.max_waiting + 8,  # one for each request that waits or is scored
        connection_limit=settings.max_connections + 1000,  # ours closes connections, waitress stops accepting
        asyncore_use_poll=True,
        cleanup_interval=1,
        channel_request_lookahead=1,
        max_request_header_size=MOST_HEADER_BYTES,
        max_request_body_size=settings.max_batch_bytes + 1,
        inbuf_overflow=1 << 16,
        recv_bytes=1 << 16,
        ident="",
        log_socket_errors=False,
    )
    server = _Server(service, adjustments, listener)
    server.run_until_stopped(on_ready)


class _ErrorTask(ErrorTask):  # type: ignore[misc]
    """Answers what never became a request as the other door does."""

    def execute(self) -> None:
        status = self.request.error.code
        response = self.channel.server.service.reject(_CODES.get(status, "malformed_http" if status < 500 else "fault"))
        self.status = f"{response.status} {HTTPStatus(response.status).phrase}"
        self.response_headers.extend(response.headers)
        self.set_close_on_finish()
        self.content_length = len(response.body)
        self.channel.linger = True
        self.write(response.body)


class _Task(WSGITask):  # type: ignore[misc]
    """Says in the last response of a connection that it is the last."""

    def build_response_header(self) -> bytes:
        if self.channel.server.service.stopping:
            self.set_close_on_finish()
        header: bytes = super().build_response_header()
        return header


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection with limits. `waiting_since` and `begun` are those of `api.wire.connections`."""

    parser_class = Parser
    task_class = _Task
    error_task_class = _ErrorTask
    linger = False
    discard_until = 0.0
    request: Any

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.since = time.monotonic()
        self.fresh = True
        super().__init__(*arguments, **options)

    @property
    def waiting_since(self) -> float | None:
        busy = self.requests or self.discard_until or (self.request is not None and self.request.headers_finished)
        return None if busy else self.since

    @property
    def begun(self) -> bool:
        return self.fresh or self.request is not None

    def received(self, data: bytes) -> bool:
        if self.request is None:
            self.since = time.monotonic()
        result: bool = super().received(data)
        if self.requests:
            self.fresh = False
        return result

    def service(self) -> None:
        super().service()
        self.since = time.monotonic()

    def refuse_slow_body(self, now: float, seconds: float) -> None:
        """Answer a request whose body did not arrive in time."""
        with self.requests_lock:
            slow = self.request is not None and self.request.headers_finished and now - self.since > seconds
            if slow and not self.requests:
                self.request.error, self.request.completed = RequestError(408), True
                self.requests.append(self.request)
                self.request = None
                self.server.add_task(self)

    def readable(self) -> bool:
        return bool(self.discard_until) or bool(super().readable())

    def writable(self) -> bool:
        return not self.discard_until and bool(super().writable())

    def handle_read(self) -> None:
        if not self.discard_until:
            super().handle_read()
        elif not self.recv(1 << 16):
            self.handle_close()

    def handle_close(self) -> None:
        if self.linger and self.connected and not self.total_outbufs_len:
            self.linger = False
            self.discard_until = time.monotonic() + _LINGER_SECONDS
            self.will_close = self.close_when_flushed = False
            self.socket.shutdown(socket.SHUT_WR)
            return
        super().handle_close()


class _Server(TcpWSGIServer):  # type: ignore[misc]
    """waitress's server with the limits of the settings and a stop that finishes what was accepted."""

    channel_class = _Channel
    accepting: bool

    def __init__(self, service: Service, adjustments: Adjustments, listener: socket.socket) -> None:
        self.service = service
        self._stopping_since: float | None = None
        dispatcher = ThreadedTaskDispatcher()
        dispatcher.set_thread_count(adjustments.threads)
        super().__init__(
            flask_app(service),
            _start=False,
            _sock=listener,
            dispatcher=dispatcher,
            adj=adjustments,
            bind_socket=False,
            sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
        )

    def maintenance(self, now: float) -> None:  # noqa: ARG002 - waitress's clock can be set back
        clock, settings = time.monotonic(), self.service.settings
        channels = list(self.active_channels.values())
        late: Any = overdue(channels, clock, settings.header_seconds, settings.idle_seconds)
        for channel in [*late, *[c for c in channels if c.discard_until and c.discard_until < clock]]:
            channel.handle_close()
        for channel in channels:
            channel.refuse_slow_body(clock, settings.body_seconds)

    def handle_accept(self) -> None:
        if len(self.active_channels) >= self.service.settings.max_connections:
            evicted: Any = longest_waiting(self.active_channels.values())
            if evicted:
                evicted.handle_close()
        super().handle_accept()

    def run_until_stopped(self, on_ready: Callable[[], None]) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self.accept_connections()
        on_ready()
        while not self._stopped():
            wasyncore.loop(timeout=0.1, use_poll=True, map=self._map, count=1)
        self.task_dispatcher.shutdown(cancel_pending=True, timeout=1)
        wasyncore.close_all(self._map)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.service.stopping = True
        self._stopping_since = self._stopping_since or time.monotonic()

    def _stopped(self) -> bool:
        if self._stopping_since is None:
            return False
        if self.accepting:
            self.accepting = False
            self.del_channel()
            self.socket.close()
        elapsed = time.monotonic() - self._stopping_since
        busy = any(c.requests or c.request or c.total_outbufs_len for c in self.active_channels.values())
        allowed = self.service.settings.stop_seconds
        return elapsed > allowed or (elapsed > allowed * GRACE_SHARE and not busy)
