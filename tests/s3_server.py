"""A small S3 on loopback whose conditional puts are atomic: one lock around what is stored, and faults on request.

The well-known stand-ins let several of eight racing writers win; `test_object_stores.py` shows that this one does not.
"""

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

Answer = tuple[int, dict[str, str], bytes]
KEY, SECRET = "AKIATESTTESTTESTTEST", "secret-of-the-test"
STATUS = {
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "AccessDenied": 403,
    "ExpiredToken": 400,
    "PreconditionFailed": 412,
    "InvalidRange": 416,
    "SlowDown": 503,
    "InvalidAccessKeyId": 403,
}
Fault = Callable[[str, str, int], str | None]  # method, key, number of the request from 1: an error's code, or None


@dataclass
class S3:
    """What is stored: content by bucket and key. `fault` is asked before each request, `after` told of each done."""

    buckets: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"lake": {}})
    fault: Fault = lambda _method, _key, _number: None
    after: Callable[[str, str, int], None] = lambda _method, _key, _number: None
    requests: list[tuple[str, str]] = field(default_factory=list)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    port: int = 0

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "eu-central-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def lake(self) -> dict[str, bytes]:
        return self.buckets["lake"]


class RefusedError(Exception):
    """An answer that is an error."""


def refuse(code: str | None) -> None:
    if code:
        raise RefusedError(code)


def tag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    s3: S3

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._handle()

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

    def _handle(self) -> None:
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path.lstrip("/")).partition("/")
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.s3.lock:
            self.s3.requests.append((self.command, key))
            number = len(self.s3.requests)
        try:
            refuse(self.s3.fault(self.command, key, number))
            with self.s3.lock:
                refuse(None if bucket in self.s3.buckets else "NoSuchBucket")
                status, headers, content = self._answer(self.s3.buckets[bucket], key, query, body)
        except RefusedError as error:
            text = f"<Error><Code>{error}</Code><Message>no</Message><AWSAccessKeyId>{KEY}</AWSAccessKeyId></Error>"
            status, headers, content = STATUS[str(error)], {"Content-Type": "application/xml"}, text.encode()
        self.s3.after(self.command, key, number)
        headers.setdefault("Content-Length", str(len(content)))
        with suppress(ConnectionError):  # whoever asked was killed
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else content)

    def _answer(self, held: dict[str, bytes], key: str, query: dict[str, str], body: bytes) -> Answer:
        if self.command == "POST":
            return self._post(held, key, query, body)
        if self.command == "PUT":
            if "partNumber" not in query:
                return self._put(held, key, body)
            self.s3.uploads[query["uploadId"]][int(query["partNumber"])] = body
            return 200, {"ETag": tag(body)}, b""
        if self.command == "DELETE":
            if "uploadId" in query:
                self.s3.uploads.pop(query["uploadId"], None)
            else:
                held.pop(key, None)
            return 204, {}, b""
        if not key:
            return 200, {"Content-Type": "application/xml"}, _listed(held, query.get("prefix", ""), query).encode()
        return self._get(held, key)

    def _post(self, held: dict[str, bytes], key: str, query: dict[str, str], body: bytes) -> Answer:
        if "delete" in query:
            names = [unescape(name) for name in re.findall(r"<Key>(.*?)</Key>", body.decode())]
            for name in names:
                held.pop(name, None)
            gone = "".join(f"<Deleted><Key>{escape(name)}</Key></Deleted>" for name in names)
            return 200, {}, f"<DeleteResult>{gone}</DeleteResult>".encode()
        if "uploads" in query:
            number = str(len(self.s3.requests))
            self.s3.uploads[number] = {}
            return 200, {}, f"<R><Bucket>b</Bucket><Key>k</Key><UploadId>{number}</UploadId></R>".encode()
        parts = self.s3.uploads.pop(query["uploadId"])
        done = self._put(held, key, b"".join(content for _, content in sorted(parts.items())))
        etag = escape(done[1]["ETag"])
        return 200, {}, f"<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>".encode()

    def _put(self, held: dict[str, bytes], key: str, body: bytes) -> Answer:
        match, none_match = self.headers.get("If-Match"), self.headers.get("If-None-Match")
        refuse("NoSuchKey" if match and key not in held else None)
        refuse("PreconditionFailed" if (none_match and key in held) or (match and match != tag(held[key])) else None)
        held[key] = body
        return 200, {"ETag": tag(body)}, b""

    def _get(self, held: dict[str, bytes], key: str) -> Answer:
        refuse(None if key in held else "NoSuchKey")
        content, match = held[key], self.headers.get("If-Match")
        refuse("PreconditionFailed" if match and match != tag(content) else None)
        headers = {"ETag": tag(content), "Last-Modified": formatdate(0, usegmt=True), "Accept-Ranges": "bytes"}
        span = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if span is None:
            return 200, headers | {"Content-Length": str(len(content))}, content
        first = int(span[1]) if span[1] else max(0, len(content) - int(span[2]))
        last = min(int(span[2]), len(content) - 1) if span[1] and span[2] else len(content) - 1
        refuse("InvalidRange" if first > last else None)
        return 206, headers | {"Content-Range": f"bytes {first}-{last}/{len(content)}"}, content[first : last + 1]


def _listed(held: dict[str, bytes], prefix: str, query: dict[str, str]) -> str:
    delimiter, after = query.get("delimiter", ""), query.get("start-after", "")
    names = [name for name in sorted(held) if name.startswith(prefix) and name > after]
    folders: set[str] = set()
    if delimiter:
        deep = [name for name in names if delimiter in name[len(prefix) :]]
        folders = {prefix + name[len(prefix) :].split(delimiter)[0] + delimiter for name in deep}
        names = [name for name in names if name not in deep]
    rows = "".join(
        f"<Contents><Key>{escape(n)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        f"<ETag>{escape(tag(held[n]))}</ETag><Size>{len(held[n])}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for n in names
    )
    rows += "".join(f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>" for f in sorted(folders))
    count = f"<KeyCount>{len(names)}</KeyCount><IsTruncated>false</IsTruncated>"
    return f"<ListBucketResult><Name>b</Name>{count}{rows}</ListBucketResult>"


@contextmanager
def s3_server() -> Iterator[S3]:
    """Serve until the block ends."""
    s3 = S3()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"s3": s3}))
    server.daemon_threads = True
    s3.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield s3
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
