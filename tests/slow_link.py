"""A link to a broker that holds back the answers to one kind of request, as a broker does that has just come up."""

import contextlib
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

from tests.waiting import free_port

LIST_OFFSETS = 2
EARLIEST = struct.pack(">q", -2)  # the timestamp by which clients ask for the first offset


@dataclass
class SlowLink:
    """Listens on `port`; answers to requests of kind `api` that hold `holding` come `seconds` late."""

    broker_port: int
    api: int = LIST_OFFSETS
    holding: bytes = EARLIEST
    seconds: float = 1.0
    port: int = field(default_factory=free_port)
    held: int = 0

    def __enter__(self) -> "SlowLink":
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=[self._server.accept()[0]], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Answers come in the order of the requests, so what follows a late one is late as well."""
        late = set[bytes]()
        with client, socket.create_connection(("127.0.0.1", self.broker_port)) as broker, contextlib.suppress(OSError):
            while True:
                for source in select.select([client, broker], [], [])[0]:
                    frame = _frame(source)
                    if source is client and struct.unpack_from(">h", frame)[0] == self.api and self.holding in frame:
                        late.add(frame[4:8])
                    if source is broker and frame[:4] in late:
                        self.held += 1
                        time.sleep(self.seconds)
                    (broker if source is client else client).sendall(struct.pack(">i", len(frame)) + frame)


def _frame(link: socket.socket) -> bytes:
    (size,) = struct.unpack(">i", _exactly(link, 4))
    return _exactly(link, size)


def _exactly(link: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = link.recv(size - len(data))
        if not part:
            raise ConnectionError
        data += part
    return data
