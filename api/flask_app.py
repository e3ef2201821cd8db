"""The REST door in Flask: routing, reading the body and returning the response. All else is `api.service`."""

from concurrent.futures import CancelledError
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, request
from flask import Response as FlaskResponse
from werkzeug.exceptions import HTTPException

from api.problems import Response
from api.routes import ROUTES
from api.service import Exchange, Service


def flask_app(service: Service) -> Flask:
    """Build the app; each route of the table leads to the same view, which asks the service."""
    app = Flask("credit", static_folder=None)
    app.url_map.merge_slashes = False
    views = Views(service)
    for route in ROUTES:
        app.add_url_rule(
            route.path,
            route.name,
            views.serve,
            methods=list(route.methods),
            provide_automatic_options=False,
            strict_slashes=True,
        )
    app.register_error_handler(HTTPException, views.unmatched)
    app.register_error_handler(Exception, views.fault)
    return app


class Views:
    """The view of every route, and what becomes of errors."""

    def __init__(self, service: Service) -> None:
        """Take the service."""
        self._service = service

    def serve(self) -> FlaskResponse:
        """Serve one request."""
        exchange = _open(self._service, request.environ)
        return self._answer(exchange, exchange.refusal or self._score(exchange, request.environ))

    def _score(self, exchange: Exchange, environ: dict[str, Any]) -> Response:
        body = environ["wsgi.input"].read(exchange.body_limit + 1)
        if len(body) > exchange.body_limit:
            return self._service.refuse(exchange, "body_too_large")
        future = self._service.submit(exchange, body, environ.get("waitress.client_disconnected"))
        try:
            return future.result(self._service.settings.deadline_seconds)
        except (TimeoutError, CancelledError):
            future.cancel()
            return self._service.refuse(exchange, "deadline_exceeded")

    def unmatched(self, _error: HTTPException) -> FlaskResponse:
        """Answer what no route matches; the service finds the same."""
        exchange = _open(self._service, request.environ)
        return self._answer(exchange, exchange.refusal or self._service.refuse(exchange, "not_found"))

    def fault(self, error: Exception) -> FlaskResponse:
        """Answer after a fault of this product."""
        exchange = _open(self._service, request.environ)
        return self._answer(exchange, self._service.fault(exchange, error))

    def _answer(self, exchange: Exchange, response: Response) -> FlaskResponse:
        self._service.close(exchange, response)
        status = f"{response.status} {HTTPStatus(response.status).phrase}"
        return FlaskResponse(response.body, status, [*response.headers, *exchange.extra])


def _open(service: Service, environ: dict[str, Any]) -> Exchange:
    headers = {name[5:].lower().replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
    for name, variable in (("content-type", "CONTENT_TYPE"), ("content-length", "CONTENT_LENGTH")):
        if environ.get(variable):
            headers[name] = environ[variable]
    target = environ["REQUEST_URI"]  # as sent: PATH_INFO is unescaped, and waitress drops slashes in front
    path = target.partition("?")[0] if target.startswith("/") else urlsplit(target).path
    return service.open(environ["REQUEST_METHOD"], path, environ["QUERY_STRING"], headers)
