"""A load generator in a process of its own: closed loop on kept connections, or a fixed rate; prints one line of JSON.

    python -m benchmarks.rest_load PORT PATH BODY CONNECTIONS SECONDS [RATE]

BODY is a file with what requests send, one line each in turn. At a fixed rate a request's time runs from the moment at
which it was due, so that a server that falls behind is not flattered.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import uvloop

_WARM_SECONDS = 1.0


class _Client(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self.requests = requests
        self.buffer = b""
        self.answer: asyncio.Future[bool] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if found:
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            if len(body) >= length and self.answer is not None:
                self.buffer = b""
                self.answer.set_result(head[9:12] == b"200")

    async def ask(self) -> bool:
        """Send one request; return whether the answer was 200."""
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(next(self.requests))  # type: ignore[attr-defined]
        return await self.answer


async def _closed(clients: list[_Client], seconds: float) -> list[tuple[float, bool]]:
    async def one(client: _Client, end: float) -> list[tuple[float, bool]]:
        seen = []
        while (began := time.perf_counter()) < end:
            good = await client.ask()
            seen.append((time.perf_counter() - began, good))
        return seen

    end = time.perf_counter() + seconds
    return [pair for seen in await asyncio.gather(*[one(client, end) for client in clients]) for pair in seen]


async def _at_rate(clients: list[_Client], seconds: float, rate: float) -> list[tuple[float, bool]]:
    idle: asyncio.Queue[_Client] = asyncio.Queue()
    for client in clients:
        idle.put_nowait(client)
    start = time.perf_counter() + 0.1

    async def one(number: int) -> tuple[float, bool]:
        due = start + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        client = await idle.get()
        good = await client.ask()
        idle.put_nowait(client)
        return time.perf_counter() - due, good

    return list(await asyncio.gather(*[one(number) for number in range(int(seconds * rate))]))


async def main(port: int, requests: Iterator[bytes], connections: int, seconds: float, rate: float) -> dict[str, float]:
    """Warm up, then measure."""
    loop = asyncio.get_running_loop()
    pairs = [await loop.create_connection(lambda: _Client(requests), "127.0.0.1", port) for _ in range(connections)]
    clients = [client for _, client in pairs]
    warm = await _closed(clients, _WARM_SECONDS)
    began = time.perf_counter()
    seen = await (_at_rate(clients, seconds, rate) if rate else _closed(clients, seconds))
    elapsed = time.perf_counter() - began
    times = sorted(duration for duration, _ in seen)

    def milliseconds(share: float) -> float:
        return round(1000 * times[min(len(times) - 1, int(share * len(times)))], 2)

    return {
        "requests": len(seen) + len(warm),
        "not_200": sum(not good for _, good in seen),
        "per_second": round(len(seen) / elapsed, 1),
        "p50_ms": milliseconds(0.5),
        "p99_ms": milliseconds(0.99),
    }


if __name__ == "__main__":
    target, path, file, count, duration = sys.argv[1:6]
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
    asked = [f"{head}{len(line)}\r\n\r\n".encode() + line for line in Path(file).read_bytes().splitlines()]
    wanted = float(sys.argv[6]) if len(sys.argv) > 6 else 0.0
    result = uvloop.run(main(int(target), cycle(asked), int(count), float(duration), wanted))
    sys.stdout.write(json.dumps(result) + "\n")
