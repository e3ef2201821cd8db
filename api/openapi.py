"""The interface as OpenAPI 3.1, made from the spec of the bundle, with examples that run."""

from dataclasses import dataclass
from typing import Any

from api.problems import JSON, PROBLEM_JSON, PROBLEMS, WATERMARK
from api.routes import ROUTES, Route
from api.settings import Settings

Json = dict[str, Any]
_BODY_STATUSES = (400, 401, 408, 413, 415, 429, 431, 500, 503)
_GET_STATUSES = (400, 401, 429, 431, 500, 503)
_OPEN_STATUSES = (400, 431, 500, 503)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What the spec says about messages: two JSON Schemas, and an application with its answer as an example."""

    name: str
    bundle_id: str
    application: Json
    decision: Json
    example: Json
    example_decision: Json


def openapi_document(contract: Contract, settings: Settings) -> Json:
    """Describe every route of the table."""
    return {
        "openapi": "3.1.0",
        "info": _info(contract, settings),
        "paths": {route.path: {route.method.lower(): _operation(route, contract, settings)} for route in ROUTES},
        "components": {
            "schemas": {
                "Application": contract.application,
                "Decision": contract.decision,
                "Problem": _problem_schema(with_request=True),
                "ApplicationProblem": _problem_schema(with_request=False),
            },
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _info(contract: Contract, settings: Settings) -> Json:
    return {
        "title": f"Credit scoring: {contract.name}",
        "version": contract.bundle_id[:12],
        "description": (
            "An application with its events in, a decision out; the same bits as in batch and stream. "
            "A decision is deterministic, so a request may be repeated at any time: no Idempotency-Key is needed. "
            f"Bodies: at most {settings.max_body_bytes:,} bytes, batches {settings.max_batch_bytes:,}."
        ),
    }


def _operation(route: Route, contract: Contract, settings: Settings) -> Json:
    operation: Json = {
        "operationId": route.name,
        "summary": route.summary,
        "responses": {"200": _success(route, contract), **_problems(route)},
        "security": [] if route.open or settings.no_auth else [{"key": []}, {"bearer": []}],
    }
    if route.method == "POST":
        operation["requestBody"] = {"required": True, "content": {JSON: _request(route, contract)}}
    return operation


def _request(route: Route, contract: Contract) -> Json:
    one = {"$ref": "#/components/schemas/Application"}
    if route.name == "score":
        return {"schema": one, "example": contract.example}
    return {"schema": {"type": "array", "maxItems": 1000, "items": one}, "example": [contract.example]}


def _success(route: Route, contract: Contract) -> Json:
    decision = {"$ref": "#/components/schemas/Decision"}
    results = {
        "type": "array",
        "items": {
            "oneOf": [
                _only("decision", decision),
                _only("problem", {"$ref": "#/components/schemas/ApplicationProblem"}),
            ]
        },
    }
    content: dict[str, Json] = {
        "score": {JSON: {"schema": decision, "example": contract.example_decision}},
        "batch": {JSON: {"schema": results, "example": [{"decision": contract.example_decision}]}},
        "metrics": {"text/plain": {"schema": {"type": "string"}}},
        "docs": {"text/html": {"schema": {"type": "string"}}},
    }
    return {
        "description": route.summary,
        "headers": _REQUEST_ID | (_SEEN if route.name in ("score", "batch") else {}),
        "content": content.get(route.name, {JSON: {"schema": {"type": "object"}}}),
    }


_SEEN = {
    WATERMARK: {
        "schema": {"type": "string"},
        "description": "Up to where the history store was read, as JSON: topic, topic_id, positions. Only where events "
        "came from there, and for a batch where all of its decisions agree.",
    }
}
_REQUEST_ID = {"X-Request-ID": {"schema": {"type": "string"}, "description": "As sent, or made here."}}


def _only(name: str, schema: Json) -> Json:
    return {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}


def _problems(route: Route) -> Json:
    statuses = _OPEN_STATUSES if route.open else _BODY_STATUSES if route.method == "POST" else _GET_STATUSES
    found = {str(status): _problem_response(status) for status in statuses}
    if route.name == "score":
        found["422"] = {"description": "The application cannot be scored", **_problem_content()}
    return found


def _problem_response(status: int) -> Json:
    titles = [kind.title for kind in PROBLEMS.values() if kind.status == status]
    response: Json = {"description": "; ".join(titles), **_problem_content()}
    if status in (429, 503):
        response["headers"] |= {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return response


def _problem_content() -> Json:
    return {
        "headers": dict(_REQUEST_ID),
        "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _problem_schema(*, with_request: bool) -> Json:
    members: Json = {
        "type": {"type": "string", "description": "Where /docs explains the code."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "One of a closed list."},
        "detail": {"type": "string", "description": "What was expected. Never a value of the request."},
        "pointer": {"type": "string", "description": "The field at fault, as a JSON pointer (RFC 6901)."},
    }
    if with_request:
        members["request_id"] = {"type": "string"}
    required = [name for name in members if name != "pointer"]
    return {"type": "object", "properties": members, "required": required, "additionalProperties": False}
