"""The REST door in FastAPI: routing, reading the body and sending the response. All else is `api.service`.

Endpoints take the bytes of the body as they are: FastAPI's own models would echo a customer's values in errors and
answer NaN or a lone surrogate with 500.
"""

import asyncio
from concurrent.futures import Future
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response as FastAPIResponse
from fastapi.telemetry import TelemetryConfig
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import JSON, SECURITY_HEADERS, Header, Response
from api.routes import ROUTES
from api.service import Exchange, Service

_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}  # ours is api.watch


def _encoded(header: Header) -> tuple[bytes, bytes]:
    return header[0].encode("latin-1"), header[1].encode("latin-1")


_ENCODED = {header: _encoded(header) for header in (*SECURITY_HEADERS, ("Content-Type", JSON))}


class _ClientGone(Exception):  # noqa: N818 - an outcome, not a fault
    """The client closed the connection."""


class _TooLarge(Exception):  # noqa: N818 - an outcome, not a fault
    """More arrived than the limit allows."""


class _Door(FastAPI):
    """FastAPI without the layers for models, dependencies and files, of which nothing here makes use.

    They would cost a request more than all else that is done for it before it is scored.
    """

    def build_middleware_stack(self) -> ASGIApp:
        return ServerErrorMiddleware(self.router, self.exception_handlers[Exception])


def fastapi_app(service: Service) -> FastAPI:
    """Build the app; each address leads to the same endpoint, and the service knows the methods that it takes."""
    app = _Door(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, telemetry=_NO_TELEMETRY)
    endpoint = Endpoint(service)
    for route in ROUTES:
        app.router.routes.append(Route(route.path, endpoint))
    app.router.default = endpoint
    app.add_exception_handler(Exception, endpoint.fault)
    return app


class Endpoint:
    """An ASGI endpoint for every address."""

    def __init__(self, service: Service) -> None:
        """Take the service."""
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        exchange = _open(self._service, scope)
        response = exchange.refusal
        try:
            response = response or await self._score(exchange, scope, receive)
        except (_ClientGone, asyncio.CancelledError):
            return
        finally:
            self._service.close(exchange, response)
        headers = [_ENCODED.get(header) or _encoded(header) for header in (*response.headers, *exchange.extra)]
        headers.append((b"Content-Length", str(len(response.body)).encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    async def _score(self, exchange: Exchange, scope: Scope, receive: Receive) -> Response:
        try:
            async with asyncio.timeout(self._service.settings.body_seconds):
                body = await _read(receive, exchange.body_limit)
        except TimeoutError:
            return self._service.refuse(exchange, "body_too_slow")
        except _TooLarge:
            return self._service.refuse(exchange, "body_too_large")
        future = self._service.submit(exchange, body)
        scope["state"]["when_gone"] = future.cancel
        response = await _answer_of(future, self._service.settings.deadline_seconds)
        return response or self._service.refuse(exchange, "deadline_exceeded")

    async def fault(self, request: Request, error: Exception) -> FastAPIResponse:
        """Answer after a fault of this product."""
        exchange = _open(self._service, request.scope)
        response = self._service.fault(exchange, error)
        self._service.close(exchange, response)
        return FastAPIResponse(response.body, response.status, dict((*response.headers, *exchange.extra)))


def _open(service: Service, scope: Scope) -> Exchange:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1").strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    path: Any = scope.get("raw_path") or scope["path"].encode()
    return service.open(scope["method"], path.decode("latin-1"), scope["query_string"].decode("latin-1"), headers)


async def _read(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGone
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise _TooLarge
        if not message.get("more_body", False):
            return b"".join(chunks)


async def _answer_of(future: "Future[Response]", seconds: float) -> Response | None:
    """Wait for a response of another thread; None: it did not come in time.

    As `asyncio.timeout` around `asyncio.wrap_future`, which cost more than all else that is done for a request here.

    Raises:
        CancelledError: the client has gone.

    """
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[Response | None] = loop.create_future()

    def done(made: "Future[Response]") -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(_hand_over, made, waiting)

    future.add_done_callback(done)
    deadline = loop.call_later(seconds, _hand_over, None, waiting)
    try:
        return await waiting
    finally:
        deadline.cancel()
        future.cancel()


def _hand_over(made: "Future[Response] | None", waiting: "asyncio.Future[Response | None]") -> None:
    if waiting.done():
        return
    if made is not None and made.cancelled():
        waiting.cancel()
    else:
        waiting.set_result(None if made is None else made.result())
