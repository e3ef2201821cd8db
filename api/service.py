"""The REST door without a framework: the head of a request, then its body, in; a response out. No I/O but the log.

1. open     address, method, key, rate, content type, declared size; a refusal here costs no reading of the body
2. submit   the body waits for the scorer; the future gets the response, whatever becomes of the request
3. close    counted and logged, once, with the status and the code; never a value of the request
"""

import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from api.batches import split_batch
from api.documents import Documents
from api.extra_headers import ExtraHeaders
from api.gate import Caller, Gate, Refused, check_body_head, check_size
from api.problems import Header, Response, answer_response, batch_response, problem
from api.routes import BY_PATH, Route
from api.settings import Settings
from api.watch import Seen, Watch
from scoring.message import Answer
from serving.coalescer import Coalescer, Full
from serving.fair_queue import Deciding, Early, Work
from serving.recorder import Recorder

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_RETRY: tuple[Header, ...] = (("Retry-After", "1"),)
_PASSING = ("deadline_exceeded", "overloaded", "receipts_unwritable", "history_behind")


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request from its head to its response. `refusal`: the response that needs no body.

    `carried`: headers that go to its receipts; `extra`: those that its response has besides its own.
    `answered`: the response that was made of the answers, which count as sent if it is the one that goes out.
    """

    request_id: str
    method: str
    route: Route | None
    started: float
    caller: Caller | None = None
    refusal: Response | None = None
    body_limit: int = 0
    reserved: int = 0
    body_bytes: int = 0
    carried: Mapping[str, str] = field(default_factory=dict)
    extra: tuple[Header, ...] = ()
    answered: tuple[Response, list[Answer]] | None = None


@dataclass(frozen=True, slots=True)
class Scoring:
    """What belongs to one bundle: what decides by it, and what is said of it.

    `behind` tells whether the history store is behind; None: there is none.
    """

    by: Deciding
    documents: Documents
    behind: Callable[[], bool] | None = None


class Service:
    """What both frameworks serve. Safe to share between threads."""

    def __init__(
        self, scoring: Scoring, recorder: Recorder | None, gate: Gate, settings: Settings, watch: Watch
    ) -> None:
        """Start the scoring thread. `recorder` None: no receipts are kept."""
        self.at_end: Callable[[], None] = lambda: None  # of what stands beside the door: challengers
        self.settings = settings
        self._scoring, self._recorder = scoring, recorder
        self._watch = watch
        self.stopping = False
        self._gate = gate
        self._coalescer = Coalescer[Response](
            scoring.by, time.monotonic, most_waiting=settings.max_waiting, round_size=settings.round_size
        )
        self._extra = ExtraHeaders(settings.carry_headers, settings.cors_origins)
        self._lock = threading.Lock()
        self._in_flight = 0

    def change(self, scoring: Scoring) -> None:
        """Go over to another bundle between two rounds; a request that was begun ends with the one before."""
        self._scoring = scoring
        self._coalescer.change(scoring.by)

    def open(self, method: str, path: str, query: str, headers: Mapping[str, str]) -> Exchange:
        """Look at the head of a request: method, path and query as sent, headers with names in lower case."""
        given = headers.get("x-request-id", "")
        exchange = Exchange(
            request_id=given if _REQUEST_ID.fullmatch(given) else _new_id(),
            method=method,
            route=BY_PATH.get(path),
            started=time.monotonic(),
        )
        exchange.carried = self._extra.carried(headers)
        exchange.extra = (*exchange.carried.items(), *self._extra.of_origin(headers))
        try:
            self._admit(exchange, query, headers)
        except Refused as refused:
            exchange.refusal = problem(refused.code, exchange.request_id, refused.headers)
        return exchange

    def _admit(self, exchange: Exchange, query: str, headers: Mapping[str, str]) -> None:
        check_size(headers, self.settings.max_batch_bytes)
        route = exchange.route
        if route is None:
            raise Refused("not_found")
        exchange.refusal = self._extra.preflight(exchange.method, headers, route.methods)
        if exchange.refusal is not None:
            return
        if exchange.method not in route.methods:
            raise Refused("method_not_allowed", (("Allow", ", ".join(route.methods)),))
        if not route.open:
            exchange.caller = self._gate.admit(headers)
        if route.method == "GET":
            exchange.refusal = self._scoring.documents.page(route.name, exchange.request_id, self._not_ready())
            return
        if self._receipts_fail():
            raise Refused("receipts_unwritable", _RETRY)
        if query:
            raise Refused("query_unexpected")
        exchange.body_limit = self.settings.max_batch_bytes if route.name == "batch" else self.settings.max_body_bytes
        self._reserve(exchange, check_body_head(headers, exchange.body_limit))

    def _not_ready(self) -> str | None:
        if self.stopping:
            return "stopping"
        if self._receipts_fail():
            return "receipts_unwritable"
        behind = self._scoring.behind
        return "history_behind" if behind is not None and behind() else None

    def _receipts_fail(self) -> bool:
        return self._recorder is not None and self._recorder.failing

    def _reserve(self, exchange: Exchange, size: int) -> None:
        with self._lock:
            if self._in_flight + size > self.settings.max_bytes_in_flight:
                raise Refused("overloaded", _RETRY)
            self._in_flight += size
            exchange.reserved = size

    def refuse(self, exchange: Exchange, code: str) -> Response:
        """Make the response for a request that failed on its way: too slow, too large, past its deadline."""
        return problem(code, exchange.request_id, _RETRY if code in _PASSING else ())

    def fault(self, exchange: Exchange, error: BaseException) -> Response:
        """Log where this product failed, without the error's text, and make the response."""
        self._watch.fault(exchange.request_id, error)
        return self.refuse(exchange, "fault")

    def reject(self, code: str) -> Response:
        """Make and log the response for bytes that never became a request."""
        exchange = Exchange(request_id=_new_id(), method="", route=None, started=time.monotonic())
        response = self.refuse(exchange, code)
        self.close(exchange, response)
        return response

    def submit(self, exchange: Exchange, body: bytes, gone: Callable[[], bool] | None = None) -> "Future[Response]":
        """Let a body be scored. A request whose future is cancelled, or whose client is `gone`, costs nothing."""
        exchange.body_bytes = len(body)
        work = self._work(exchange, body, gone or (lambda: False))
        if not body:
            work.future.set_result(problem("body_empty", exchange.request_id))
            return work.future
        try:
            self._coalescer.submit(work)
        except Full:
            work.future.set_result(self.refuse(exchange, "overloaded"))
        return work.future

    def _work(self, exchange: Exchange, body: bytes, gone: Callable[[], bool]) -> Work[Response]:
        batch = exchange.route is not None and exchange.route.name == "batch"

        def respond(answers: list[Answer]) -> Response:
            made = batch_response(answers, exchange.request_id) if batch else None
            made = made or answer_response(answers[0], exchange.request_id)
            exchange.answered = made, answers
            return made

        return Work(
            split=(lambda: self._split(exchange, body)) if batch else (lambda: [body]),
            respond=respond,
            late=lambda: self.refuse(exchange, "deadline_exceeded"),
            unkept=lambda: self.refuse(exchange, "receipts_unwritable"),
            failed=lambda error: self.fault(exchange, error),
            deadline=exchange.started + self.settings.deadline_seconds,
            request_id=exchange.request_id,
            headers=exchange.carried,
            key=exchange.caller.key_id if exchange.caller else "",
            large=batch,
            gone=gone,
        )

    def _split(self, exchange: Exchange, body: bytes) -> list[bytes] | Early[Response]:
        made = split_batch(body, exchange.request_id, self.settings.max_body_bytes)
        if isinstance(made, Response):
            return Early(made)
        try:
            if exchange.caller is not None:
                self._gate.charge(exchange.caller, len(made) - 1)
        except Refused as refused:
            return Early(problem(refused.code, exchange.request_id, refused.headers))
        return made

    def close(self, exchange: Exchange, response: Response | None) -> None:
        """Count and log a request, and give back what it reserved; None: the client went away."""
        with self._lock:
            self._in_flight -= exchange.reserved
            exchange.reserved = 0
        if exchange.answered is not None and response is exchange.answered[0]:
            self._watch.metrics.sent(exchange.answered[1])
        route = exchange.route
        seen = Seen(
            request_id=exchange.request_id,
            method=exchange.method if route and exchange.method in route.methods else "",
            path=route.path if route else "",
            key=exchange.caller.key_id if exchange.caller else "",
            body_bytes=exchange.body_bytes,
            seconds=time.monotonic() - exchange.started,
        )
        self._watch.request(seen, response)

    def finish(self) -> None:
        """Finish what waits, end the scoring thread, and leave the receipts to whoever seals them."""
        self._coalescer.close()
        self.at_end()
        if self._recorder is not None:
            self._recorder.close()


def _new_id() -> str:
    return f"{random.getrandbits(128):032x}"  # tells requests apart and is no secret
