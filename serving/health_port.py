"""The small HTTP port of a worker: /healthz (the process lives), /readyz (it can work), /metrics (Prometheus)."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from features.errors import SettingsError
from monitoring.live import CONTENT_TYPE

__all__ = ["HealthServer"]

_TEXT = "text/plain; charset=utf-8"


class HealthServer:
    """Serves until the process ends, from a thread of its own."""

    def __init__(self, host: str, port: int, metrics: Callable[[], bytes], not_ready: Callable[[], str | None]) -> None:
        """`port` 0: a free one. `metrics`: their text. `not_ready`: why not, or None when ready.

        Raises:
            SettingsError: the port cannot be listened on.

        """
        try:
            self._server = ThreadingHTTPServer((host, port), _handler(metrics, not_ready))
        except (OSError, OverflowError) as error:
            raise SettingsError(
                f"health port {host}:{port}: cannot be listened on ({error}). Choose another --health-port."
            ) from error
        self._server.daemon_threads = True
        self.address = f"{host}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def _handler(metrics: Callable[[], bytes], not_ready: Callable[[], str | None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            status, kind, body = _answers(self.path, metrics, not_ready)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay quiet: probes come every few seconds."""

    return Handler


def _answers(path: str, metrics: Callable[[], bytes], not_ready: Callable[[], str | None]) -> tuple[int, str, bytes]:
    if path == "/healthz":
        return 200, _TEXT, b"alive\n"
    if path == "/readyz":
        reason = not_ready()
        return (200, _TEXT, b"ready\n") if reason is None else (503, _TEXT, f"not ready: {reason}\n".encode())
    if path == "/metrics":
        return 200, CONTENT_TYPE, metrics()
    return 404, _TEXT, b"expected /healthz, /readyz or /metrics\n"
