"""One HTTP request as the wire's services see it, on plain ASGI: bounded bodies, bounded waiting."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias
from urllib.parse import unquote_plus

from tunewright.aws.faults import Answer, Fault

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_SECONDS = 60.0
"""How long a client may be silent in the middle of a body."""
MAX_BODY = 8 * 1024 * 1024
"""The largest body that is held in memory; objects are streamed and know no such limit."""

_REGION = re.compile(r"[a-z]{2,4}(-[a-z]{2,12}){1,2}-[0-9]{1,2}")


class Gone(Exception):
    """The client went away before its request was complete."""


class Slow(Exception):
    """The client was silent for too long in the middle of a body."""


@dataclass(slots=True)
class Note:
    """What the access log and the figures say of a request."""

    service: str = "unknown"
    operation: str = ""
    access_key: str = ""
    received: int = 0
    error: str = ""


@dataclass
class Call:
    """A request: its head at once, its body by `body` or `stream`."""

    scope: Scope
    receive: Receive
    request_id: str
    note: Note = field(default_factory=Note)
    complete: bool = False
    """Whether the whole body was read."""

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @cached_property
    def headers(self) -> dict[str, str]:
        """By lower-case name; one that came several times is joined with commas."""
        found: dict[str, str] = {}
        for raw, value in self.scope["headers"]:
            name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
            found[name] = f"{found[name]},{text}" if name in found else text
        return found

    @cached_property
    def raw_path(self) -> str:
        """The path as it was sent, percent signs and all."""
        raw: bytes = self.scope.get("raw_path") or str(self.scope["path"]).encode()
        return raw.split(b"?", 1)[0].decode("latin-1")

    @cached_property
    def raw_query(self) -> list[tuple[str, str]]:
        """The query's names and values as they were sent."""
        text = self.scope["query_string"].decode("latin-1")
        parts = (part.partition("=") for part in text.split("&") if part)
        return [(name, value) for name, _, value in parts]

    @cached_property
    def query(self) -> dict[str, str]:
        return {unquote_plus(name): unquote_plus(value) for name, value in self.raw_query}

    @property
    def host(self) -> str:
        """The Host header without its port, in lower case."""
        text = self.headers.get("host", "").lower()
        return text.rsplit("]", 1)[0] + "]" if text.startswith("[") else text.split(":", 1)[0]

    @property
    def host_bucket(self) -> str:
        """The bucket that the host names where the path does not ("bucket.localhost"), else ""."""
        return self.host.removesuffix(".localhost") if self.host.endswith(".localhost") else ""

    @property
    def must_close(self) -> bool:
        """Whether nobody can tell what comes next: the client waits for a word before it sends its body.

        Answered at once it may send the body or leave it out, so the connection cannot be used again.
        """
        return "expect" in self.headers and not self.complete

    async def stream(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises Gone and Slow."""
        more = True
        while more:
            try:
                message = await asyncio.wait_for(self.receive(), BODY_SECONDS)
            except TimeoutError:
                raise Slow from None
            if message["type"] == "http.disconnect":
                raise Gone
            more = message.get("more_body", False)
            self.complete = not more
            if data := message.get("body", b""):
                self.note.received += len(data)
                yield data

    async def body(self, limit: int = MAX_BODY) -> bytes:
        """The whole body. Raises Fault when it is larger than `limit`, Gone and Slow."""
        found = bytearray()
        async for data in self.stream():
            if len(found) + len(data) > limit:
                raise Fault("RequestEntityTooLargeException", f"The body is larger than {limit} bytes.", 413)
            found += data
        return bytes(found)


def region_of(text: str, default: str) -> str:
    """The region that a request names where that is a region's name, else the default."""
    return text if _REGION.fullmatch(text) else default


async def send_head(send: Send, status: int, headers: Mapping[str, str]) -> None:
    """The head of an answer; header values are latin-1, as they are in requests."""
    lines = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})


async def send_answer(send: Send, answer: Answer, *, head_only: bool = False) -> None:
    """A whole answer at once."""
    status, headers, body = answer
    length = {"content-length": str(len(body))} if not any(h.lower() == "content-length" for h in headers) else {}
    await send_head(send, status, {**headers, **length})
    await send({"type": "http.response.body", "body": b"" if head_only else body})
