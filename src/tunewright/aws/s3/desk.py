"""What S3's operations share: the store, threads for it, and the way of a body to the disk."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, BinaryIO, TypeVar
from urllib.parse import unquote

from tunewright.aws.http.call import Call
from tunewright.aws.s3.body import ChunkKey, Digests, upload
from tunewright.aws.s3.conditions import check_copy, check_write
from tunewright.aws.s3.faults import S3Fault
from tunewright.aws.s3.store import Found, S3Store
from tunewright.aws.s3.uploads import Uploads

T = TypeVar("T")

BLOCK = 128 * 1024
MAX_OBJECT = 5 * 1024**4
MAX_DOCUMENT = 2 << 20


class Desk:
    """Where S3's operations work.

    Args:
        now: seconds since the epoch.
    """

    def __init__(self, store: S3Store, region: str, now: Callable[[], float]) -> None:
        self.store, self.region, self.now = store, region, now
        self.uploads = Uploads(store)
        self._threads = ThreadPoolExecutor(4, "tunewright-s3")

    def close(self) -> None:
        self._threads.shutdown(wait=True)

    async def do(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run what blocks in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: function(*arguments))

    async def document(self, call: Call, key: ChunkKey | None) -> bytes:
        """A body that is a document, its framing taken off, its checksums and signatures compared. Raises S3Fault."""
        digests, found = Digests(call), bytearray()
        async for data in upload(call, digests, key):
            digests.update(data)
            found += data
            if len(found) > MAX_DOCUMENT:
                raise S3Fault("MaxMessageLengthExceeded", "Your request was too large.")
        digests.check()
        return bytes(found)

    async def gather(self, call: Call, target: str, key: ChunkKey | None) -> Digests:
        """Write an upload's content to a new file, and compare what the client sent with it. Raises S3Fault."""
        if int(call.headers.get("content-length") or 0) > MAX_OBJECT:
            raise S3Fault("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.")
        digests = Digests(call)
        handle = await self.do(os.open, target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            block = bytearray()
            async for data in upload(call, digests, key):
                block += data
                if len(block) >= BLOCK:
                    await self.do(_write, handle, block, digests)
                    block = bytearray()
            if block:
                await self.do(_write, handle, block, digests)
        finally:
            os.close(handle)
        digests.check()
        return digests

    @asynccontextmanager
    async def source(self, call: Call) -> AsyncIterator[tuple[Found, BinaryIO]]:
        """What a copy is made of, opened. Raises S3Fault."""
        source = unquote(call.headers["x-amz-copy-source"].split("?", 1)[0]).lstrip("/")
        bucket, _, key = source.partition("/")
        found, file = await self.do(self.store.open, bucket, key)
        with file:
            check_copy(call.headers, found)
            yield found, file

    async def check_write(self, call: Call, bucket: str, key: str) -> Callable[[Found | None], None]:
        """What tells whether that which is to be replaced is as the request demands it; asked once at once.

        What it answers may be another thing once the body is there: whoever writes asks again.

        Raises:
            S3Fault: it is not.
        """
        check = partial(check_write, call.headers, key)
        if "if-match" in call.headers or "if-none-match" in call.headers:
            await self.do(self.store.check, bucket, key, check)
        return check


def _write(handle: int, data: bytearray, digests: Digests) -> None:
    digests.update(data)
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
