"""A fourth door: one application in a line, one answer in a line, over a socket. It is what docs/doors.md explains."""

import socketserver
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import msgspec

from monitoring.live import Live, ServedMetrics
from receipts.log import OUTBOX, create_log
from receipts.outbox import Maker, Outbox, seal_outboxes
from scoring.doors import REQUEST, Door
from scoring.message import Answer, MessageScorer
from scoring.scorer import Scorer
from serving.coalescer import Coalescer, Full
from serving.fair_queue import Deciding, Work
from serving.json_log import JsonLog
from serving.recorder import Recorder

LINE = Door(name="line", source=REQUEST, asked=("line",))
_DEADLINE_S = 60.0


class LineDoor:
    """Translates lines to messages and answers to lines; the rest is `serving` and `scoring`."""

    def __init__(self, bundle: Path, log: Path, said: TextIO) -> None:
        """Load the bundle, which is verified, open an outbox, and listen on a free port of this machine."""
        scorer = Scorer.open(bundle)
        self.metrics = ServedMetrics.of(LINE, Live(scorer.bundle, 5000))
        self.log = JsonLog(said, time.time)
        create_log(log)
        maker = Maker(scorer.bundle.bundle_id, scorer.bundle.spec.text)
        self.outbox = Outbox(log / OUTBOX, maker, durable=True, door=LINE.name)
        self.recorder = Recorder(LINE.name, self.outbox, 60, time.time, self)
        self._where, self._number = log, iter(range(1, 1 << 62))
        answer = self.metrics.counting(MessageScorer(scorer, self.metrics.observe).answer)
        by = Deciding(answer, self.recorder.keep)
        self._rounds = Coalescer[bytes](by, time.monotonic, most_waiting=128, round_size=256)
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, line: bytes) -> bytes:
        """Wait for the answer to one line."""
        work = Work[bytes](
            split=lambda: [line],
            respond=self._respond,
            late=lambda: _refusal("deadline_exceeded"),
            unkept=lambda: _refusal("receipts_unwritable"),
            failed=self._failed,
            deadline=time.monotonic() + _DEADLINE_S,
            request_id=f"line-{self.port}-{next(self._number)}",
        )
        try:
            self._rounds.submit(work)
        except Full:
            return _refusal("overloaded")
        return work.future.result()

    def _respond(self, answers: Sequence[Answer]) -> bytes:
        self.metrics.sent(answers)
        (answer,) = answers
        if answer.refusal is not None:
            return _refusal(answer.refusal.code, answer.refusal.pointer, answer.refusal.expected)
        return (answer.decision or b"").strip()

    def _failed(self, error: BaseException) -> bytes:
        self.log.write("fault", error=type(error).__name__)
        return _refusal("fault")

    def close(self) -> None:
        """Answer what waits, then seal the receipts."""
        self._server.shutdown()
        self._server.server_close()
        self._rounds.close()
        self.recorder.close()
        seal_outboxes(self._where, None, lambda head: self.log.write("sealed", rows=head.rows), _raise)


def _refusal(code: str, pointer: str = "", expected: str = "") -> bytes:
    return msgspec.json.encode({"code": code, "pointer": pointer, "expected": expected})


def _raise(_writer: str, error: Exception) -> None:
    raise error


def _handler(door: LineDoor) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                self.wfile.write(door.answer(line.rstrip(b"\n")) + b"\n")

    return Handler
