"""A link to a broker that is slow, breaks, and delivers late what was given up: requests and answers by their kind."""

import contextlib
import queue
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from tests.waiting import free_port

LIST_OFFSETS = 2
END_TXN = 26
EARLIEST = struct.pack(">q", -2)  # the timestamp by which clients ask for the first offset


class Kind(Enum):
    """What befalls a request or its answer."""

    SLOW_THERE = "slow there"
    SLOW_BACK = "slow back"
    CUT_BEFORE = "cut before the broker had it"
    CUT_BEHIND = "cut before its answer came"
    GHOST = "cut, and delivered late"


@dataclass(frozen=True)
class Fault:
    kind: Kind
    seconds: float = 0.0


Choose = Callable[[int, bytes], Fault | None]  # by API key and request


@dataclass
class Link:
    """Listens on `port` until it is closed. Like TCP, it keeps the order: what follows a late frame is late as well."""

    broker_port: int
    choose: Choose
    port: int = field(default_factory=free_port)
    done: Counter[tuple[int, str]] = field(default_factory=Counter)

    def __enter__(self) -> "Link":
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._server.accept()[0]
                try:
                    broker = socket.create_connection(("127.0.0.1", self.broker_port))
                except OSError:
                    client.close()
                    continue
                threading.Thread(target=_Connection(client, broker, self).serve, daemon=True).start()


@dataclass
class _Connection:
    client: socket.socket
    broker: socket.socket
    link: Link
    behind: dict[bytes, Fault] = field(default_factory=dict)  # what befalls answers, by correlation id
    ghost: bool = False  # the client is gone, and does not hear answers

    def serve(self) -> None:
        answers = threading.Thread(target=self._pump, args=[self._answers], daemon=True)
        answers.start()
        with self.client, self.broker:
            self._pump(self._requests)
            answers.join()

    def _pump(self, pump: Callable[[], None]) -> None:
        with contextlib.suppress(OSError):
            while True:
                pump()
        for side in (self.client, self.broker):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def _requests(self) -> None:
        frame = _frame(self.client)
        (api,) = struct.unpack_from(">h", frame)
        fault = self.link.choose(api, frame)
        if fault is not None:
            self.link.done[api, fault.kind.value] += 1
            self._befall(fault, frame)
        _send(self.broker, frame)
        if fault is not None and fault.kind is Kind.GHOST:
            time.sleep(1)  # the broker stops at a connection that is closed
            raise ConnectionError

    def _befall(self, fault: Fault, frame: bytes) -> None:
        match fault.kind:
            case Kind.SLOW_THERE:
                time.sleep(fault.seconds)
            case Kind.CUT_BEFORE:
                raise ConnectionError
            case Kind.GHOST:
                self.ghost = True
                self.client.shutdown(socket.SHUT_RDWR)
                time.sleep(fault.seconds)
            case _:
                self.behind[frame[4:8]] = fault

    def _answers(self) -> None:
        frame = _frame(self.broker)
        fault = self.behind.pop(frame[:4], None)
        if fault is not None and fault.kind is Kind.CUT_BEHIND:
            raise ConnectionError
        if fault is not None:
            time.sleep(fault.seconds)
        if not self.ghost:
            _send(self.client, frame)


def late_answers(api: int, holding: bytes, seconds: float) -> Choose:
    """Answers to requests of kind `api` that hold `holding` come so late."""
    return lambda key, frame: Fault(Kind.SLOW_BACK, seconds) if key == api and holding in frame else None


@dataclass
class Once:
    """Befalls one request of each kind: the first of those of `at_once`; those of `in_turn` two transactions apart."""

    kind: Kind
    seconds: float
    at_once: set[int]
    in_turn: list[int]
    rest: int = 2

    def __call__(self, api: int, _frame: bytes) -> Fault | None:
        if api in self.at_once:
            self.at_once.discard(api)
            return Fault(self.kind, self.seconds)
        if self.in_turn[:1] == [api] and self.rest <= 0:
            self.in_turn.pop(0)
            self.rest = 2
            return Fault(self.kind, self.seconds)
        self.rest -= api == END_TXN
        return None


@dataclass
class Chance:
    """Faults at random: `shares` by API key, how many of those requests; the delays are short, seldom long."""

    shares: Mapping[int, float]
    longest: Mapping[int, float]
    seed: int

    def __post_init__(self) -> None:
        self._random, self._lock = random.Random(self.seed), threading.Lock()  # noqa: S311

    def __call__(self, api: int, _frame: bytes) -> Fault | None:
        with self._lock:
            if self._random.random() >= self.shares.get(api, 0.0):
                return None
            kind = self._random.choice(list(Kind))
            longest = self.longest.get(api, 3.0)
            return Fault(kind, self._random.choice((0.05, 0.5, 3.0, longest)) * self._random.random())


def _frame(link: socket.socket) -> bytes:
    (size,) = struct.unpack(">i", _exactly(link, 4))
    return _exactly(link, size)


def _send(link: socket.socket, frame: bytes) -> None:
    link.sendall(struct.pack(">i", len(frame)) + frame)


def _exactly(link: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = link.recv(size - len(data))
        if not part:
            raise ConnectionError
        data += part
    return bytes(data)


@dataclass
class FarLink:
    """A link to a far broker: all bytes arrive `seconds` later, each way, and as many of them as before."""

    broker_port: int
    seconds: float
    port: int = field(default_factory=free_port)
    _open: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> "FarLink":
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for side in self._open:
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, broker = self._server.accept()[0], socket.create_connection(("127.0.0.1", self.broker_port))
                self._open += [client, broker]
                for one, other in ((client, broker), (broker, client)):
                    on_its_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                    threading.Thread(target=self._take, args=(one, on_its_way), daemon=True).start()
                    threading.Thread(target=self._give, args=(other, on_its_way), daemon=True).start()

    def _take(self, side: socket.socket, on_its_way: "queue.SimpleQueue[tuple[float, bytes]]") -> None:
        data = b"-"
        while data:
            try:
                data = side.recv(1 << 16)
            except OSError:
                data = b""
            on_its_way.put((time.monotonic() + self.seconds, data))

    @staticmethod
    def _give(side: socket.socket, on_its_way: "queue.SimpleQueue[tuple[float, bytes]]") -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = on_its_way.get()
                time.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    break
                side.sendall(data)
        with contextlib.suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)
