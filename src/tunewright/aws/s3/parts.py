"""S3's operations on multipart uploads."""

from __future__ import annotations

import re
from typing import Any

from tunewright.aws.faults import Answer
from tunewright.aws.http.call import Call, Send
from tunewright.aws.s3.body import ChunkKey
from tunewright.aws.s3.desk import Desk
from tunewright.aws.s3.faults import S3Fault
from tunewright.aws.s3.keeping import Facts
from tunewright.aws.s3.reply import described, encryption, read_limit, read_part_number, read_span, xml
from tunewright.aws.s3.store import remove
from tunewright.aws.s3.tags import tags_of
from tunewright.aws.s3.uploads import Upload
from tunewright.aws.s3.xml import parse, stamp, texts, yes


class Parts:
    """Every operation takes the request, the bucket, the key, where to speak, and with what to verify chunks."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def begin(self, call: Call, bucket: str, name: str, *_: Any) -> Answer:
        facts = Facts("", *described(call), tags=tags_of(call))
        begun = await self._desk.do(self._desk.uploads.begin, bucket, name, self._desk.now(), facts)
        status, lines, body = xml("InitiateMultipartUploadResult", {"Bucket": bucket, "Key": name, "UploadId": begun})
        return status, {**lines, **encryption(call)}, body

    async def _upload(self, call: Call, bucket: str, name: str) -> Upload:
        return await self._desk.do(self._desk.uploads.find, call.query.get("uploadId", ""), bucket, name)

    async def part(self, call: Call, bucket: str, name: str, send: Send, key: ChunkKey | None) -> Answer:
        found = await self._upload(call, bucket, name)
        number, target = read_part_number(call), self._desk.store.incoming()
        try:
            digests = await self._desk.gather(call, target, key)
            await self._desk.do(self._desk.uploads.add, found, number, target, digests.md5.hexdigest())
        finally:
            await self._desk.do(remove, target)
        asked = {f"x-amz-checksum-{given}": value for given, value in digests.given.items()}
        return 200, {"ETag": f'"{digests.md5.hexdigest()}"', **asked}, b""

    async def part_copy(self, call: Call, bucket: str, name: str, *_: Any) -> Answer:
        upload = await self._upload(call, bucket, name)
        number, target = read_part_number(call), self._desk.store.incoming()
        try:
            async with self._desk.source(call) as (found, file):
                span = read_span(call.headers.get("x-amz-copy-source-range", ""), found.size) or (0, found.size)
                md5 = await self._desk.do(self._desk.store.copy, file, target, span)
            await self._desk.do(self._desk.uploads.add, upload, number, target, md5)
        finally:
            await self._desk.do(remove, target)
        return xml("CopyPartResult", {"LastModified": stamp(self._desk.now()), "ETag": f'"{md5}"'})

    async def complete(self, call: Call, bucket: str, name: str, send: Send, key: ChunkKey | None) -> Answer:
        found = await self._upload(call, bucket, name)
        asked = []
        for item in parse(await self._desk.document(call, key)).findall("Part"):
            number, etag = "".join(texts(item, "PartNumber")).strip(), "".join(texts(item, "ETag")).strip()
            if not re.fullmatch(r"[0-9]{1,5}", number):
                raise S3Fault("MalformedXML", f"PartNumber is no number: {number[:20]!r}")
            asked.append((int(number), etag))
        allow = await self._desk.check_write(call, bucket, name)
        facts = await self._desk.do(self._desk.uploads.complete, found, asked, allow)
        tree = {"Location": f"/{bucket}/{name}", "Bucket": bucket, "Key": name, "ETag": facts.etag}
        return xml("CompleteMultipartUploadResult", tree)

    async def abort(self, call: Call, bucket: str, name: str, *_: Any) -> Answer:
        await self._desk.do(self._desk.uploads.abort, await self._upload(call, bucket, name))
        return 204, {}, b""

    async def list_parts(self, call: Call, bucket: str, name: str, *_: Any) -> Answer:
        found = await self._upload(call, bucket, name)
        start, limit = read_limit(call.query, "part-number-marker", 0), read_limit(call.query, "max-parts")
        parts = [part for part in await self._desk.do(self._desk.uploads.parts, found) if part.number > start]
        shown = parts[:limit]
        tree: dict[str, Any] = {"Bucket": bucket, "Key": name, "UploadId": found.id, "MaxParts": str(limit)}
        tree |= {"PartNumberMarker": str(start), "IsTruncated": yes(len(parts) > len(shown))}
        tree |= {"NextPartNumberMarker": str(shown[-1].number)} if shown else {}
        tree["Part"] = [
            {
                "PartNumber": str(part.number),
                "LastModified": stamp(part.modified),
                "ETag": f'"{part.md5}"',
                "Size": str(part.size),
            }
            for part in shown
        ]
        return xml("ListPartsResult", tree)

    async def list_uploads(self, call: Call, bucket: str, *_: Any) -> Answer:
        await self._desk.do(self._desk.store.bucket, bucket)
        prefix = call.query.get("prefix", "")
        found = [
            {"Key": u.key, "UploadId": u.id, "Initiated": stamp(u.begun), "StorageClass": "STANDARD"}
            for u in await self._desk.do(self._desk.uploads.all, bucket)
            if u.key.startswith(prefix)
        ]
        tree = {"Bucket": bucket, "Prefix": prefix, "MaxUploads": "1000", "IsTruncated": "false", "Upload": found}
        return xml("ListMultipartUploadsResult", tree)
