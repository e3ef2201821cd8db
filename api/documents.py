"""The documents of the REST door: made once for each bundle that it serves, but for health and metrics."""

import json
import tomllib
from collections.abc import Callable
from typing import Any

from api.docs_page import docs_html
from api.openapi import Contract, openapi_document
from api.problems import JSON, Response, fixed_headers, problem
from api.routes import Name
from api.settings import Settings
from scoring.scorer import Scorer

_HTML = "text/html; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"


class Documents:
    """What GET returns."""

    def __init__(self, scorer: Scorer, contract: Contract, settings: Settings, metrics: Callable[[], bytes]) -> None:
        """Make the documents; `metrics` gives Prometheus's text format."""
        openapi = openapi_document(contract, settings)
        self._metrics = metrics
        self._pages: dict[Name, tuple[str, bytes]] = {
            "bundle": (JSON, _json(describe(scorer))),
            "schema": (JSON, _json({"application": contract.application, "decision": contract.decision})),
            "health": (JSON, _json({"status": "ok"})),
            "ready": (JSON, _json({"status": "ready", "bundle_id": contract.bundle_id})),
            "openapi": (JSON, _json(openapi)),
            "docs": (_HTML, docs_html(openapi).encode()),
        }

    def page(self, name: Name, request_id: str, not_ready: str | None) -> Response:
        """Return a document by the name of its route; `not_ready`: the code of why no request can be served now."""
        if name == "ready" and not_ready:
            return problem(not_ready, request_id, (("Retry-After", "1"),))
        content_type, body = (_METRICS, self._metrics()) if name == "metrics" else self._pages[name]
        return Response(200, fixed_headers(content_type, request_id), body)


def describe(scorer: Scorer) -> dict[str, Any]:
    """Say which bundle is in service, and how good it is."""
    bundle = scorer.bundle
    return {
        "bundle_id": bundle.bundle_id,
        "classes": list(bundle.spec.classes),
        "spec": tomllib.loads(bundle.spec.text),
        "policy": tomllib.loads(bundle.policy.to_toml()),
        "metrics": bundle.manifest["evaluation"],
        "golden_rows": {"rows": scorer.golden.rows, "bits_agree": scorer.golden.bits},
    }


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
