"""Requests that both frameworks must answer alike: name, what is sent, and the status and code that come back."""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    name: str
    status: int
    code: str
    body: bytes | None = None
    method: str = "POST"
    path: str = "/v1/score"
    headers: dict[str, str] = field(default_factory=dict)


JSON = "application/json"


def body_cases(good: dict[str, Any]) -> list[Case]:
    """Bodies of /v1/score that no decision follows from; an empty code: any code of the closed list."""
    text = json.dumps(good)
    identity = f'"application_id": "{good["application_id"]}"'

    def replaced(part: str) -> bytes:
        assert identity in text
        return text.replace(identity, part).encode()

    bodies = {
        "NaN": replaced(f'{identity}, "extra": NaN'),
        "NaN as an amount": _event(good, "NaN"),
        "Infinity as an amount": _event(good, "Infinity"),
        "1e400 as an amount": _event(good, "1e400"),
        "an amount of a million digits": _event(good, "1" * 900_000),
        "a lone surrogate": replaced('"application_id": "\\ud800"'),
        "a NUL": replaced('"application_id": "a\\u0000b"'),
        "a key twice": replaced(f"{identity}, {identity}"),
        "an unknown member": replaced(f'{identity}, "ssn": "123-45-6789"'),
        "no application_id": replaced('"application_id": null'),
        "a number as application_id": replaced('"application_id": 7'),
        "an array": b"[1]",
        "an array of it": f"[{text}]".encode(),
        "text": b'"application"',
        "a number": b"7",
        "null": b"null",
        "true": b"true",
        "white space": b"  \n ",
        "cut": text.encode()[:-9],
        "two documents": (text + text).encode(),
        "something behind": (text + "x").encode(),
        "a byte order mark": b"\xef\xbb\xbf" + text.encode(),
        "UTF-16": text.encode("utf-16"),
        "bytes that are no UTF-8": text.encode().replace(b'"application_id": "', b'"application_id": "\xff\xfe'),
        "a form": b"application_id=A1&customer_id=C1",
        "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
        "deep arrays": b"[" * 100_000,
        "deep objects": b'{"a":' * 100_000,
        "deep attributes": replaced(f'{identity}, "attributes": ' + "[" * 5_000 + "]" * 5_000),
        "attributes as an array": json.dumps({**good, "attributes": []}).encode(),
        "events as an object": json.dumps({**good, "events": {}}).encode(),
        "an event as a number": json.dumps({**good, "events": [7]}).encode(),
        "an attribute as an object": json.dumps({**good, "attributes": {next(iter(good["attributes"])): {}}}).encode(),
        "an unknown kind": _event(good, "1", kind="bribe"),
        "as_of that does not exist": json.dumps({**good, "as_of": "2026-02-30"}).encode(),
        "as_of as a number": json.dumps({**good, "as_of": 1}).encode(),
    }
    return [Case(name, 0, "", body) for name, body in bodies.items()]


def _event(good: dict[str, Any], amount: str, **members: str) -> bytes:
    event = {"occurred_at": "2025-01-01", "kind": good["events"][0]["kind"], **members, "amount": 271828}
    return json.dumps({**good, "events": [event]}).replace("271828", amount).encode()


def head_cases(good: dict[str, Any]) -> list[Case]:
    """Requests whose head decides."""
    body = json.dumps(good).encode()

    def typed(name: str, status: int, code: str, content_type: str) -> Case:
        return Case(name, status, code, body, headers={"Content-Type": content_type})

    return [
        Case("good", 200, "", body),
        typed("good, charset", 200, "", "application/json; charset=UTF-8"),
        typed("good, as curl -d sends it", 200, "", "application/x-www-form-urlencoded"),
        Case("an empty body", 400, "body_empty", b"", headers={"Content-Type": JSON}),
        typed("text", 415, "content_type_unsupported", "text/plain"),
        typed("XML", 415, "content_type_unsupported", "application/xml"),
        typed("no type", 415, "content_type_unsupported", ""),
        typed("a type that begins alike", 415, "content_type_unsupported", "application/jsonp"),
        typed("multipart", 415, "content_type_unsupported", "multipart/form-data; boundary=x"),
        typed("latin-1", 415, "charset_unsupported", "application/json; charset=iso-8859-1"),
        typed("UTF-16 declared", 415, "charset_unsupported", 'application/json; charset="utf-16"'),
        Case("gzip declared", 415, "content_encoding_unsupported", body, headers={"Content-Encoding": "gzip"}),
        Case("a query", 400, "query_unexpected", body, path="/v1/score?dry=1"),
        Case("nothing there", 404, "not_found", body, path="/v2/score"),
        Case("a slash more behind", 404, "not_found", body, path="/v1/score/"),
        Case("a slash more in front", 404, "not_found", body, path="//v1/score"),
        Case("an escaped letter", 404, "not_found", body, path="/v1/scor%65"),
        Case("dots", 404, "not_found", body, path="/v1/../v1/score"),
        *[
            Case(m, 405, "method_not_allowed", method=m)
            for m in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND")
        ],
        Case("an unknown method", 400, "malformed_http", method="BREW"),
        Case("HEAD of score", 405, "", method="HEAD"),
        Case("HEAD of health", 200, "", method="HEAD", path="/healthz"),
        Case("POST to health", 405, "method_not_allowed", b"{}", path="/healthz"),
        Case("no key", 401, "key_missing", body, headers={"X-API-Key": ""}),
        Case("a wrong key", 401, "key_unknown", body, headers={"X-API-Key": "ck_00000000_" + "x" * 43}),
        Case("a key of another shape", 401, "key_unknown", body, headers={"X-API-Key": "\xe4\xff secret"}),
        *[Case(p, 200, "", method="GET", path=p) for p in ("/v1/bundle", "/v1/schema", "/healthz", "/readyz")],
        *[Case(p, 200, "", method="GET", path=p) for p in ("/openapi.json", "/docs")],
        Case("bundle without a key", 401, "key_missing", None, "GET", "/v1/bundle", {"X-API-Key": ""}),
        Case("a declared size above the limit", 413, "body_too_large", b" " * (1 << 20) + body),
        Case("an id of one's own", 200, "", body, headers={"X-Request-ID": "a-1.b_2"}),
        Case("batch: good", 200, "", b"[" + body + b"]", path="/v1/score/batch"),
        Case("batch: empty", 200, "", b"[]", path="/v1/score/batch"),
        Case("batch: good, bad, good", 200, "", b"[%b,{},%b]" % (body, body), path="/v1/score/batch"),
        Case("batch: an object", 400, "batch_unreadable", body, path="/v1/score/batch"),
        Case("batch: cut", 400, "batch_unreadable", b"[" + body, path="/v1/score/batch"),
        Case("batch: 1,001", 413, "batch_too_long", b"[" + b"{}," * 1000 + b"{}]", path="/v1/score/batch"),
        Case("batch: deep", 400, "batch_unreadable", b"[" * 100_000, path="/v1/score/batch"),
    ]


RAW = {  # bytes that are no request; the code, or "" if the connection may also just be closed
    "no HTTP": (b"hello\r\n\r\n", "malformed_http"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50) + b"\r\n\r\n", "malformed_http"),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "malformed_http"),
    "no version": (b"GET /healthz\r\n\r\n", "malformed_http"),
    "version 3": (b"GET /healthz HTTP/3.0\r\nHost: x\r\n\r\n", "malformed_http"),
    "the whole server": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "malformed_http"),
    "a tunnel": (b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n", "malformed_http"),
    "a header without a colon": (b"GET /healthz HTTP/1.1\r\nHost x\r\n\r\n", "malformed_http"),
    "a space before the colon": (b"GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n", "malformed_http"),
    "two lengths": (
        b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        "malformed_http",
    ),
    "a length and chunks": (
        b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "malformed_http",
    ),
    **{
        f"the coding {coding!r}": (
            b"POST /v1/score HTTP/%b\r\nHost: x\r\nTransfer-Encoding:%b\r\n\r\n0\r\n\r\n" % (version, coding),
            "malformed_http",
        )
        for version, coding in (
            *[(b"1.1", c) for c in (b" gzip", b" gzip, chunked", b" identity", b" chunked, chunked", b"")],
            (b"1.1", b" chunked\r\nTransfer-Encoding: chunked"),
            (b"1.0", b" chunked"),
        )
    },
    "a folded header": (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: a\r\n b\r\n\r\n", "malformed_http"),
    "a negative length": (b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "malformed_http"),
    "headers of 100 KB": (
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: %b\r\n" % (i, b"y" * 90) for i in range(1000)),
        "headers_too_large",
    ),
    "one header of 100 KB": (b"GET /healthz HTTP/1.1\r\nX-A: " + b"y" * 100_000, "headers_too_large"),
    "an address of 100 KB": (b"GET /" + b"y" * 100_000 + b" HTTP/1.1\r\n", "headers_too_large"),
}
