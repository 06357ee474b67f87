"""Whatever is sent, `tunewright serve` answers, keeps its memory, and goes on.

    python -m benchmarks.fuzz_service [--count 100000] [--seed 1] [--clients 4] [--output FILE]

Good requests, good ones changed, ones made of botocore's shapes, S3 and the services around, and noise on the
socket go to one server process; the loop is not part of it, so that no program is started. The run fails when an
answer is a server's error (501 is S3's word for what it has not got), when one does not come within thirty
seconds, when the server dies, when fewer than a fifth of all requests were accepted and reached the store or the
object directory, or when the second half of a run of at least 20,000 adds a tenth to the server's memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import service_store
from benchmarks.fuzz_requests import Made, Requests
from benchmarks.service import Server

PATIENCE_SECONDS = 30.0
NOISE_SECONDS = 0.2
"""How long an answer to noise is waited for: half a request is owed none before the server's own limit."""
LONG_RUN = 20_000
REACHING = ("good", "changed", "bytes changed", "shaped", "objects")
"""Kinds whose acceptance means that the store or the object directory was reached."""
HEALTH = Made("health", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")


class Wrong(Exception):
    """The server did what it must not do."""


@dataclass
class Told:
    """What came of it all."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: list[tuple[str, str, bytes]] = field(default_factory=list)
    slowest: tuple[float, str, bytes] = (0.0, "", b"")
    memory: list[float] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        return sum(n for (kind, status), n in self.statuses.items() if kind in REACHING and 200 <= status < 300)


class Connection:
    """One connection at a time, opened again whenever the server closed it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, made: Made) -> int:
        """The status of the answer; 0 when noise is left without one. Raises Wrong."""
        if not made.whole:
            await self.close()
        for fresh in (self._pair is None, True):
            reader, writer = self._pair = self._pair or await self._open()
            try:
                writer.write(made.data)
                if not made.whole:
                    writer.write_eof()
                return await self._answer(reader, made)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                await self.close()
                if not made.whole:
                    return 0
                if fresh:
                    raise Wrong(f"the connection was closed without an answer: {error!r}") from error
        raise AssertionError("a fresh connection answers or raises")

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._server.host, self._server.port, limit=1 << 20)

    async def _answer(self, reader: asyncio.StreamReader, made: Made) -> int:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS if made.whole else NOISE_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                status, headers = _read_head(head)
                if "content-length" in headers and not made.head_only and status not in (204, 304):
                    await reader.readexactly(int(headers["content-length"]))
        except TimeoutError:
            await self.close()
            if made.whole:
                raise Wrong(f"no answer within {PATIENCE_SECONDS:g} s") from None
            return 0
        if not made.whole or headers.get("connection", "").lower() == "close" or "content-length" not in headers:
            await self.close()
        return status

    async def close(self) -> None:
        if self._pair is not None:
            self._pair[1].close()
            self._pair = None


def _read_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}


async def attack(server: Server, count: int, seed: int, clients: int) -> Told:
    """Send `count` requests by several clients that share one stream of them."""
    told, source = Told(), iter(Requests(seed))
    numbers = iter(range(count))

    async def client() -> None:
        connection = Connection(server)
        for number in numbers:
            made = next(source)
            if number % max(1, count // 20) == 0:
                told.memory.append(server.memory()["VmRSS"])
            began = time.perf_counter()
            try:
                status = await connection.ask(made)
                if status >= 500 and status != 501:
                    told.faults.append((made.kind, str(status), made.data))
                if not made.whole:
                    await connection.ask(HEALTH)
            except Wrong as error:
                told.faults.append((made.kind, str(error), made.data))
                status = -1
                if server.process.poll() is not None:
                    return
            seconds = time.perf_counter() - began
            told.slowest = max(told.slowest, (seconds, made.kind, made.data[:400]))
            told.statuses[made.kind, status] += 1
        await connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    told.memory.append(server.memory()["VmRSS"] if server.process.poll() is None else 0.0)
    return told


def wrongs(told: Told, count: int, alive: bool) -> Iterator[str]:
    """All that a run must not show."""
    for kind, why, data in told.faults[:10]:
        yield f"{kind}: {why}: {data[:2000]!r}"
    if len(told.faults) > 10:
        yield f"and {len(told.faults) - 10} more"
    if not alive:
        yield "the server ended"
    if told.accepted * 5 < count:
        yield f"only {told.accepted} of {count} were accepted"
    middle, end = told.memory[len(told.memory) // 2], told.memory[-1]
    if count >= LONG_RUN and end > middle * 1.1:
        yield f"memory grew from {middle} MB in the middle to {end} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        service_store.SOURCE[:] = [home]
        (home / "train.py").write_text(service_store.PROGRAM)
        server = Server(home, 1, "--no-loop", "--no-access-log")
        began = time.perf_counter()
        try:
            told = asyncio.run(attack(server, args.count, args.seed, args.clients))
            alive = server.process.poll() is None
        finally:
            server.close()
        seconds = time.perf_counter() - began
        log = (home / "serve.log").read_text(errors="replace")
    found = [*wrongs(told, args.count, alive), *(["the server logged an error"] if "Traceback" in log else [])]
    figures = {
        "count": args.count,
        "seed": args.seed,
        "a_second": round(args.count / seconds, 1),
        "accepted": round(told.accepted / args.count, 3),
        "memory_mb": " ".join(f"{each:.0f}" for each in told.memory),
        "slowest": {"ms": round(told.slowest[0] * 1000), "kind": told.slowest[1], "data": repr(told.slowest[2])},
        "statuses": {f"{kind} {status}": n for (kind, status), n in sorted(told.statuses.items())},
        "load": os.getloadavg()[0],
        "wrong": found,
    }
    print(json.dumps(figures, indent=1))
    if args.output is not None:
        args.output.write_text(json.dumps(figures, indent=1))
    if found:
        sys.exit(f"{log[-6000:] if 'Traceback' in log else ''}\n{len(found)} things went wrong")


if __name__ == "__main__":
    main()
