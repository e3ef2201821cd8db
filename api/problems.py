"""Problem details (RFC 9457): the closed list of codes, and the response that carries one. Never a customer's value."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from scoring.message import Answer, Refusal

Header = tuple[str, str]
JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
WATERMARK = "History-Watermark"
SECURITY_HEADERS: tuple[Header, ...] = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)


@dataclass(frozen=True, slots=True)
class Response:
    """What goes out: status, the headers that this product sets, body. `code` is the problem's, for log and metrics."""

    status: int
    headers: tuple[Header, ...]
    body: bytes
    code: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its status, its title and what to do."""

    status: int
    title: str
    remedy: str


PROBLEMS = {
    "malformed_http": Kind(400, "The request is not well-formed HTTP", "send HTTP/1.1 as RFC 9112 describes it"),
    "query_unexpected": Kind(400, "The address holds a query", "no query: everything stands in the body"),
    "body_empty": Kind(400, "The body is empty", "one application as a JSON object"),
    "batch_unreadable": Kind(400, "The body is not a JSON array", "a JSON array of applications, in UTF-8"),
    "key_missing": Kind(401, "No API key", "a key in the header X-API-Key, or as Authorization: Bearer"),
    "key_unknown": Kind(401, "The API key is unknown or revoked", "a key that `credit key list` shows"),
    "not_found": Kind(404, "There is nothing at this address", "an address that /docs lists"),
    "method_not_allowed": Kind(405, "This address takes another method", "a method of the header Allow"),
    "body_too_slow": Kind(408, "The body did not arrive in time", "the whole request within the time limit"),
    "body_too_large": Kind(413, "The body is too large", "a body within the limit that /docs states"),
    "batch_too_long": Kind(413, "The batch holds too many applications", "at most 1,000 applications in a batch"),
    "batch_element_too_large": Kind(
        413, "An application of the batch is too large", "each within the limit of one application, which /docs states"
    ),
    "content_type_unsupported": Kind(415, "The body is not declared as JSON", "Content-Type: application/json"),
    "charset_unsupported": Kind(415, "The body is not declared as UTF-8", "charset=utf-8, or none"),
    "content_encoding_unsupported": Kind(415, "The body is compressed", "no Content-Encoding"),
    "rate_limited": Kind(429, "Too many applications with this key", "a pause of Retry-After seconds"),
    "headers_too_large": Kind(431, "The headers are too large", "at most 32 KiB of headers"),
    "fault": Kind(500, "A fault of this product", "a report with the request_id; the request was not scored"),
    "overloaded": Kind(503, "Too many requests are waiting", "another try after Retry-After seconds"),
    "deadline_exceeded": Kind(503, "The request could not be answered in time", "another try after Retry-After"),
    "keys_unreadable": Kind(503, "The file of API keys cannot be read", "a repair by the operator; nobody is let in"),
    "receipts_unwritable": Kind(
        503, "The receipt could not be written, so there is no decision", "a repair by the operator; see the log"
    ),
    "history_behind": Kind(
        503, "The history store is behind", "another try after Retry-After; the operator looks after its consumer"
    ),
    "stopping": Kind(503, "This process is stopping", "another try; another process will answer"),
}
_UNSCORABLE = "The application cannot be scored"


def problem(code: str, request_id: str, headers: Iterable[Header] = ()) -> Response:
    """Make the response for a code of `PROBLEMS`."""
    kind = PROBLEMS[code]
    body = _body(code, kind.status, kind.title, f"Expected {kind.remedy}.") | {"request_id": request_id}
    return Response(
        kind.status, fixed_headers(PROBLEM_JSON, request_id) + tuple(headers), msgspec.json.encode(body), code
    )


def refused(refusal: Refusal) -> dict[str, object]:
    """Say why a message was refused, as the members of problem details."""
    return _body(refusal.code, status_of(refusal.code), _UNSCORABLE, f"Expected {refusal.expected}.") | {
        "pointer": refusal.pointer
    }


def status_of(code: str) -> int:
    """Return 422 where the data is at fault, 400 where the bytes are no usable JSON; 503 where nothing of it is."""
    if code in PROBLEMS:
        return PROBLEMS[code].status
    return 400 if code.startswith("message_") else 422


def answer_response(answer: Answer, request_id: str) -> Response:
    """Make the response for one application: its decision, or why there is none."""
    if answer.refusal is None:
        return Response(200, fixed_headers(JSON, request_id) + seen([answer]), answer.decision or b"")
    body = refused(answer.refusal) | {"request_id": request_id}
    code = answer.refusal.code
    headers = fixed_headers(PROBLEM_JSON, request_id) + ((("Retry-After", "1"),) if code in PROBLEMS else ())
    return Response(status_of(code), headers, msgspec.json.encode(body), code)


def batch_response(answers: list[Answer], request_id: str) -> Response:
    """Make the response for a batch: one object per application, in order, with `decision` or `problem`."""
    parts = [
        b'{"decision":' + (answer.decision or b"").strip() + b"}"
        if answer.refusal is None
        else msgspec.json.encode({"problem": refused(answer.refusal)})
        for answer in answers
    ]
    return Response(200, fixed_headers(JSON, request_id) + seen(answers), b"[" + b",".join(parts) + b"]")


def seen(answers: Iterable[Answer]) -> tuple[Header, ...]:
    """Return the header that says up to where a history store was seen, where all decisions of a response agree."""
    decided = [answer.history for answer in answers if answer.refusal is None]
    found = {None if history is None else history.watermark for history in decided}
    mark = found.pop() if len(found) == 1 else None
    return () if mark is None else ((WATERMARK, mark.decode("ascii")),)


def fixed_headers(content_type: str, request_id: str) -> tuple[Header, ...]:
    """Return the headers of each response."""
    return (("Content-Type", content_type), ("X-Request-ID", request_id), *SECURITY_HEADERS)


def _body(code: str, status: int, title: str, detail: str) -> dict[str, object]:
    return {"type": f"/docs#{code}", "title": title, "status": status, "code": code, "detail": detail}
