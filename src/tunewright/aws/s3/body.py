"""Bodies of uploads: the aws-chunked framing taken off, and every digest that the client sent checked.

Over TLS the SDKs send `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: chunks in a framing of their own within the HTTP body,
and the checksum in a trailer behind the last. A server that stores such a body as it comes stores garbage.

Source: AWS's reference "Signature calculations for the Authorization header: transferring payload in multiple
chunks", and the same "including trailing headers".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
import re
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tunewright.aws.http.call import Call
from tunewright.aws.http.sigv4 import EMPTY, Signature
from tunewright.aws.s3.faults import S3Fault

STREAMING = "STREAMING-"
MAX_LINE = 4096
_HEX = re.compile(r"[0-9a-f]{64}")
_PREFIX = "x-amz-checksum-"
_CHECKSUM = re.compile(r"[A-Za-z0-9+/]{1,128}={0,2}")
MOST_TRAILERS = 16
ALGORITHMS = ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")


class Crc:
    """A cyclic checksum with the methods of a hash."""

    def __init__(self, step: Callable[[bytes | bytearray, int], int] = zlib.crc32, size: int = 4) -> None:
        self._step, self._size, self._value = step, size, 0

    def update(self, data: bytes | bytearray) -> None:
        self._value = self._step(bytes(data), self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


def checksum(name: str) -> Any:
    """A fresh digest for `crc32`, `sha1` ..., or None for one that cannot be computed here."""
    match name:
        case "crc32":
            return Crc()
        case "sha1" | "sha256":
            return hashlib.new(name, usedforsecurity=False)
        case "crc32c" | "crc64nvme":
            try:
                found = getattr(importlib.import_module("awscrt.checksums"), name)
            except (ImportError, AttributeError):
                return None
            return Crc(found, 4 if name == "crc32c" else 8)
        case _:
            return None


class Digests:
    """All that is computed over a body while it is written."""

    def __init__(self, call: Call) -> None:
        headers = call.headers
        self.md5 = hashlib.md5(usedforsecurity=False)
        self._sha = headers.get("x-amz-content-sha256", "").lower()
        self._md5 = headers.get("content-md5", "")
        self.given = {n.removeprefix(_PREFIX): v for n, v in headers.items() if n.startswith(_PREFIX)}
        names = [*self.given, *(n.strip().lower() for n in headers.get("x-amz-trailer", "").split(","))]
        made = {name.removeprefix(_PREFIX): checksum(name.removeprefix(_PREFIX)) for name in names if name}
        self.sums = {"crc32": Crc(), **{name: made[name] for name in made if made[name] is not None}}
        if _HEX.fullmatch(self._sha):
            self.sums["body"] = hashlib.sha256()

    def update(self, data: bytes | bytearray) -> None:
        self.md5.update(data)
        for each in self.sums.values():
            each.update(data)

    def check(self) -> None:
        """Compare with what the client sent. Raises S3Fault."""
        if self._md5 and self._md5 != base64.b64encode(self.md5.digest()).decode():
            raise S3Fault("BadDigest", "The Content-MD5 you specified did not match what we received.")
        if (body := self.sums.get("body")) is not None and body.hexdigest() != self._sha:
            text = "The provided 'x-amz-content-sha256' header does not match what was computed."
            raise S3Fault("XAmzContentSHA256Mismatch", text)
        for name, value in self.given.items():
            if name in self.sums and self.text(name) != value:
                text = f"Value for x-amz-checksum-{name} header is invalid: the content has {self.text(name)}."
                raise S3Fault("BadDigest", text)

    def told(self) -> dict[str, str]:
        """What is kept of the content's checksums: the client's own, else CRC-32."""
        own = {name: value for name, value in self.given.items() if name in ALGORITHMS}
        return own or {"crc32": self.text("crc32")}

    def text(self, name: str) -> str:
        return base64.b64encode(self.sums[name].digest()).decode()


@dataclass(frozen=True, slots=True)
class ChunkKey:
    """With what the chunks of a body are signed, one after the other."""

    key: bytes
    signature: Signature

    def check(self, previous: str, kind: str, parts: tuple[str, ...], given: str) -> str:
        """The signature of a chunk or trailer, verified. Raises S3Fault."""
        head = (f"AWS4-HMAC-SHA256-{kind}", self.signature.at, self.signature.scope, previous)
        good = hmac.new(self.key, "\n".join((*head, *parts)).encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(good.encode(), given.encode("utf-8", "replace")):
            raise S3Fault("SignatureDoesNotMatch", "The signature of a chunk of the body does not match.", 403)
        return good


def upload(call: Call, digests: Digests, key: ChunkKey | None) -> AsyncIterator[bytes]:
    """The content of an upload, whatever framing it comes in.

    Args:
        key: to verify signed chunks with; None where no keys are configured.
    """
    declared = call.headers.get("x-amz-content-sha256", "")
    if declared.startswith(STREAMING):
        return _Framed(call, digests, key if declared.startswith("STREAMING-AWS4") else None).content()
    if "aws-chunked" in call.headers.get("content-encoding", ""):
        return _Framed(call, digests, None).content()
    return call.stream()


class _Framed:
    """`<hex size>[;chunk-signature=<hex>]CRLF <data> CRLF ... 0 CRLF <trailers> CRLF`."""

    def __init__(self, call: Call, digests: Digests, key: ChunkKey | None) -> None:
        self._call = call
        self._source = call.stream()
        self._digests = digests
        self._key = key
        self._held = bytearray()
        self._previous = key.signature.signature if key else ""
        self._read = 0

    async def content(self) -> AsyncIterator[bytes]:
        while True:
            size, given = self._head(await self._line())
            if size == 0:
                break
            digest = hashlib.sha256()
            left = size
            while left:
                data = await self._some(left)
                left -= len(data)
                self._read += len(data)
                if self._key is not None:
                    digest.update(data)
                yield data
            if await self._line():
                raise _malformed("a chunk is longer than it says")
            self._verify(digest.hexdigest(), given)
        self._verify(EMPTY, given)
        await self._trailers()
        declared = self._call.headers.get("x-amz-decoded-content-length")
        if declared is not None and declared != str(self._read):
            raise S3Fault("IncompleteBody", f"The content has {self._read} bytes, {declared} were announced.")

    def _head(self, line: bytes) -> tuple[int, str]:
        text, _, extension = line.decode("latin-1").partition(";")
        if not re.fullmatch(r"[0-9a-fA-F]{1,12}", text):
            raise _malformed("a chunk does not begin with its size")
        return int(text, 16), extension.removeprefix("chunk-signature=")

    def _verify(self, content: str, given: str) -> None:
        if self._key is not None:
            self._previous = self._key.check(self._previous, "PAYLOAD", (EMPTY, content), given)

    async def _trailers(self) -> None:
        found: dict[str, str] = {}
        while line := await self._line(end_allowed=True):
            name, _, value = line.decode("latin-1").partition(":")
            if len(found) == MOST_TRAILERS:
                raise _malformed(f"it has more than {MOST_TRAILERS} trailers")
            found[name.strip().lower()] = value.strip()
        given = found.pop("x-amz-trailer-signature", None)
        if self._key is not None and "x-amz-trailer" in self._call.headers:
            text = "".join(f"{name}:{value}\n" for name, value in found.items())
            parts = (hashlib.sha256(text.encode()).hexdigest(),)
            self._key.check(self._previous, "TRAILER", parts, given or "")
        self._expect(found)

    def _expect(self, found: Mapping[str, str]) -> None:
        """Every checksum that was announced has to be there."""
        for name in (part.strip().lower() for part in self._call.headers.get("x-amz-trailer", "").split(",")):
            if name.startswith(_PREFIX):
                if name not in found:
                    raise _malformed(f"the trailer {name} is missing")
                if not _CHECKSUM.fullmatch(found[name]):
                    raise _malformed(f"the trailer {name} is no checksum")
                self._digests.given[name.removeprefix(_PREFIX)] = found[name]

    async def _line(self, *, end_allowed: bool = False) -> bytes:
        while (end := self._held.find(b"\r\n")) < 0:
            if len(self._held) > MAX_LINE:
                raise _malformed("a line has no end")
            if not await self._more():
                if end_allowed and not self._held:
                    return b""
                raise S3Fault("IncompleteBody", "The body ends before its last chunk.")
        line = bytes(self._held[:end])
        del self._held[: end + 2]
        return line

    async def _some(self, most: int) -> bytes:
        if not self._held and not await self._more():
            raise S3Fault("IncompleteBody", "The body ends in the middle of a chunk.")
        data = bytes(self._held[:most])
        del self._held[: len(data)]
        return data

    async def _more(self) -> bool:
        data = await anext(self._source, b"")
        self._held += data
        return bool(data)


def _malformed(why: str) -> S3Fault:
    return S3Fault("InvalidRequest", f"The aws-chunked body is malformed: {why}.")
