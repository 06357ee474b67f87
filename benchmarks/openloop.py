"""An open-loop generator of HTTP requests: each is due at its time, whatever became of those before it.

A request's latency counts from when it was due to the last byte of its answer, so that a server that stalls is
charged for everybody who would have come meanwhile ("coordinated omission"). Connections are kept alive and opened
when none is free.
"""

from __future__ import annotations

import asyncio
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """Args:
    kind: what its latency is filed under.
    data: head and body as they go over the wire.
    then: told of an answer's body, such as to go on with the next page.
    """

    kind: str
    data: bytes
    then: Callable[[bytes], None] | None = None


@dataclass
class Taken:
    """Seconds by kind of request, and what was answered with anything but success."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    late: list[float] = field(default_factory=list)
    failures: list[tuple[str, int, bytes]] = field(default_factory=list)

    @property
    def all(self) -> list[float]:
        return [value for values in self.seconds.values() for value in values]


class Client:
    """Raw HTTP/1.1 over as many connections as are needed at once."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.opened = 0

    async def send(self, data: bytes) -> tuple[int, bytes]:
        """Status and body."""
        if self._free:
            reader, writer = self._free.pop()
        else:
            reader, writer = await asyncio.open_connection(self._host, self._port)
            self.opened += 1
        writer.write(data)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection", "").lower() == "close":
            writer.close()
        else:
            self._free.append((reader, writer))
        return int(lines[0].split()[1]), body

    async def close(self) -> None:
        for _, writer in self._free:
            writer.close()
            await writer.wait_closed()
        self._free.clear()


async def run(client: Client, requests: Iterable[Request], rate: float) -> Taken:
    """Send each request when it is due, `rate` a second, and wait for all the answers."""
    loop, taken = asyncio.get_running_loop(), Taken()
    began = loop.time() + 0.05

    async def one(request: Request, due: float) -> None:
        status, body = await client.send(request.data)
        taken.seconds[request.kind].append(loop.time() - due)
        if status != 200:
            taken.failures.append((request.kind, status, body[:300]))
        elif request.then is not None:
            request.then(body)

    async with asyncio.TaskGroup() as group:
        for number, request in enumerate(requests):
            due = began + number / rate
            if (pause := due - loop.time()) > 0:
                await asyncio.sleep(pause)
            taken.late.append(loop.time() - due)
            group.create_task(one(request, due))
    return taken


async def flood(client: Client, requests: Iterable[Request], clients: int) -> tuple[Taken, float]:
    """Send as fast as `clients` callers can, each waiting for its answers; what was taken, and seconds in all."""
    loop, taken, waiting = asyncio.get_running_loop(), Taken(), iter(requests)
    began = loop.time()

    async def caller() -> None:
        for request in waiting:
            sent = loop.time()
            status, body = await client.send(request.data)
            taken.seconds[request.kind].append(loop.time() - sent)
            if status != 200:
                taken.failures.append((request.kind, status, body[:300]))

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(caller())
    return taken, loop.time() - began


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Milliseconds: median, 95th and 99th of a hundred, the largest."""
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000

    return {
        "p50": round(statistics.median(ordered) * 1000, 2),
        "p95": round(at(0.95), 2),
        "p99": round(at(0.99), 2),
        "max": round(ordered[-1] * 1000, 2),
    }


def table(seconds: Mapping[str, list[float]]) -> str:
    """Quantiles by kind, and over all."""
    width = max(map(len, seconds))
    rows = [f"{'ms':{width}} {'count':>7} {'p50':>8} {'p95':>8} {'p99':>8} {'max':>8}"]
    everything = [value for values in seconds.values() for value in values]
    for kind, values in [*sorted(seconds.items()), ("all", everything)]:
        found = quantiles(values)
        rows.append(f"{kind:{width}} {len(values):7} " + " ".join(f"{v:8.2f}" for v in found.values()))
    return "\n".join(rows)
