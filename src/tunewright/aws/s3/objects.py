"""S3's operations on objects: put, get with ranges and conditions, delete, copy."""

from __future__ import annotations

import os
from typing import Any, BinaryIO

from tunewright.aws.faults import Answer
from tunewright.aws.http.call import Call, Gone, Send, send_head
from tunewright.aws.s3.body import ChunkKey
from tunewright.aws.s3.conditions import unchanged
from tunewright.aws.s3.desk import BLOCK, Desk
from tunewright.aws.s3.faults import S3Fault
from tunewright.aws.s3.keeping import Facts
from tunewright.aws.s3.reply import described, encryption, looks, read_span, xml
from tunewright.aws.s3.store import Found, remove
from tunewright.aws.s3.tags import tags_of, tags_of_copy
from tunewright.aws.s3.xml import stamp


class Objects:
    """Every operation takes the request, the bucket, the key, where to speak, and with what to verify chunks."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def put(self, call: Call, bucket: str, name: str, send: Send, key: ChunkKey | None) -> Answer:
        await self._desk.do(self._desk.store.bucket, bucket)
        allow = await self._desk.check_write(call, bucket, name)
        tags, target = tags_of(call), self._desk.store.incoming()
        try:
            digests = await self._desk.gather(call, target, key)
            facts = Facts(f'"{digests.md5.hexdigest()}"', *described(call), digests.told(), tags)
            await self._desk.do(self._desk.store.put, bucket, name, target, facts, allow)
        finally:
            await self._desk.do(remove, target)
        asked = {f"x-amz-checksum-{given}": value for given, value in digests.given.items()}
        return 200, {"ETag": facts.etag, **asked, **encryption(call)}, b""

    async def get(self, call: Call, bucket: str, name: str, send: Send, *_: Any) -> Answer | None:
        await self._desk.do(self._desk.store.bucket, bucket)
        if call.method == "HEAD":
            status, headers, _span = _head(call, await self._desk.do(self._desk.store.find, bucket, name))
            return status, headers, b""
        found, file = await self._desk.do(self._desk.store.open, bucket, name)
        with file:
            status, headers, (start, end) = _head(call, found)
            if start == end:
                return status, headers, b""
            lines = {"x-amz-request-id": call.request_id, **headers}
            await send_head(send, status, lines)
            await self._send_file(send, file, start, end)
        return None

    async def _send_file(self, send: Send, file: BinaryIO, at: int, end: int) -> None:
        while at < end:
            data = await self._desk.do(os.pread, file.fileno(), min(BLOCK, end - at), at)
            if not data:
                raise Gone
            at += len(data)
            await send({"type": "http.response.body", "body": data, "more_body": at < end})

    async def delete(self, call: Call, bucket: str, name: str, *_: Any) -> Answer:
        await self._desk.do(self._desk.store.delete, bucket, name)
        return 204, {}, b""

    async def copy(self, call: Call, bucket: str, name: str, *_: Any) -> Answer:
        target = self._desk.store.incoming()
        replaced = call.headers.get("x-amz-metadata-directive", "").upper() == "REPLACE"
        try:
            async with self._desk.source(call) as (found, file):
                if not replaced and await self._desk.do(self._same, found, bucket, name):
                    text = "This copy request is illegal: it would copy an object to itself without a change."
                    raise S3Fault("InvalidRequest", text)
                md5 = await self._desk.do(self._desk.store.copy, file, target, (0, found.size))
            told = described(call) if replaced else (found.facts.headers, found.facts.user)
            facts = Facts(f'"{md5}"', *told, dict(found.facts.sums), tags_of_copy(call, found))
            await self._desk.do(self._desk.store.put, bucket, name, target, facts)
        finally:
            await self._desk.do(remove, target)
        return xml("CopyObjectResult", {"LastModified": stamp(self._desk.now()), "ETag": facts.etag})

    def _same(self, found: Found, bucket: str, key: str) -> bool:
        try:
            return self._desk.store.find(bucket, key).path == found.path
        except S3Fault:
            return False


def _head(call: Call, found: Found) -> tuple[int, dict[str, str], tuple[int, int]]:
    """Status, headers and the span of bytes of an answer to get. Raises S3Fault."""
    headers = looks(found, call)
    if unchanged(call.headers, found):
        return 304, {"ETag": found.facts.etag}, (0, 0)
    span = read_span(call.headers.get("range", ""), found.size)
    start, end = span or (0, found.size)
    if span is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{found.size}"
    elif call.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        headers |= {f"x-amz-checksum-{name}": value for name, value in found.facts.sums.items()}
    headers["Content-Length"] = str(end - start)
    return 200 if span is None else 206, headers, (start, end)
