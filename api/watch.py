"""What a worker says of itself: one line of log and one count for each request; never a value of a request."""

from dataclasses import dataclass

from api.problems import Response
from monitoring.live import RestMetrics
from serving.json_log import JsonLog, where

CLIENT_GONE = 499


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What may be said of a request. `method` and `path` are those of a route, or empty."""

    request_id: str
    method: str
    path: str
    key: str
    body_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Watch:
    """Log and metrics."""

    log: JsonLog
    metrics: RestMetrics

    def request(self, seen: Seen, response: Response | None) -> None:
        """Note a request that is over; None: the client went away."""
        status, code = (response.status, response.code) if response else (CLIENT_GONE, "client_gone")
        self.metrics.request(seen.path, status, code, seen.seconds)
        self.log.write(
            "request",
            request_id=seen.request_id,
            method=seen.method,
            path=seen.path,
            status=status,
            code=code,
            key=seen.key,
            body_bytes=seen.body_bytes,
            milliseconds=round(1000 * seen.seconds, 3),
        )

    def bundle_changed(self, bundle_id: str) -> None:
        """Note that another bundle decides from now on."""
        self.log.write("bundle_changed", bundle=bundle_id)

    def bundle_refused(self, why: str) -> None:
        """Note that the link leads to what is not served."""
        self.metrics.bundle_refused(refused=True)
        self.log.write("bundle_refused", message=why)

    def bundle_agreed(self) -> None:
        """Note that the link leads again to what is served."""
        self.metrics.bundle_refused(refused=False)
        self.log.write("bundle_refused_no_more")

    def fault(self, request_id: str, error: BaseException) -> None:
        """Note where this product failed, without the error's text."""
        self.log.write("fault", request_id=request_id, error=type(error).__name__, where=where(error))
