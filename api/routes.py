"""The addresses of the REST door: one table, from which both frameworks route and the OpenAPI document is made."""

from dataclasses import dataclass
from typing import Literal

Name = Literal["score", "batch", "bundle", "schema", "health", "ready", "metrics", "openapi", "docs"]


@dataclass(frozen=True, slots=True)
class Route:
    """One address. `open`: served without a key."""

    name: Name
    method: Literal["GET", "POST"]
    path: str
    summary: str
    open: bool = False

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that it takes, sorted; HEAD comes with GET."""
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)


ROUTES = (
    Route("score", "POST", "/v1/score", "Score one application with its events"),
    Route("batch", "POST", "/v1/score/batch", "Score up to 1,000 applications; each gets a decision or a problem"),
    Route("bundle", "GET", "/v1/bundle", "The bundle in service: id, spec, classes, policy, metrics"),
    Route("schema", "GET", "/v1/schema", "JSON Schema of an application and of a decision"),
    Route("health", "GET", "/healthz", "The process runs", open=True),
    Route("ready", "GET", "/readyz", "The process takes requests", open=True),
    Route("metrics", "GET", "/metrics", "Metrics for Prometheus, without personal data", open=True),
    Route("openapi", "GET", "/openapi.json", "This interface as OpenAPI 3.1", open=True),
    Route("docs", "GET", "/docs", "This interface for people; needs no internet access", open=True),
)
BY_PATH = {route.path: route for route in ROUTES}
