"""S3's object tags: in the header of an upload or a copy, and by operations of their own.

Source: Amazon S3's user guide, on tagging objects, and its API reference.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from tunewright.aws.faults import Answer
from tunewright.aws.http.call import Call, Send
from tunewright.aws.s3.body import ChunkKey
from tunewright.aws.s3.desk import Desk
from tunewright.aws.s3.faults import S3Fault
from tunewright.aws.s3.reply import xml
from tunewright.aws.s3.store import Found
from tunewright.aws.s3.xml import parse, texts

MAX_TAGS, MAX_KEY, MAX_VALUE = 10, 128, 256


def tags_of(call: Call) -> dict[str, str]:
    """The tags that an upload gives its object. Raises S3Fault."""
    given = call.headers.get("x-amz-tagging", "")
    try:
        return _checked(parse_qsl(given, keep_blank_values=True, strict_parsing=bool(given)))
    except ValueError:
        text = f"The header x-amz-tagging has to be a query such as a=1&b=2, got {given[:80]!r}."
        raise S3Fault("InvalidArgument", text) from None


def tags_of_copy(call: Call, found: Found) -> dict[str, str]:
    """The tags of a copy: its source's, unless others are to replace them. Raises S3Fault."""
    replaced = call.headers.get("x-amz-tagging-directive", "").upper() == "REPLACE"
    return tags_of(call) if replaced else dict(found.facts.tags)


class Tags:
    """Every operation takes the request, the bucket, the key, where to speak, and with what to verify chunks."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def get(self, call: Call, bucket: str, name: str, *_: Any) -> Answer:
        await self._desk.do(self._desk.store.bucket, bucket)
        found = await self._desk.do(self._desk.store.find, bucket, name)
        listed = [{"Key": key, "Value": value} for key, value in found.facts.tags.items()]
        return xml("Tagging", {"TagSet": {"Tag": listed}})

    async def put(self, call: Call, bucket: str, name: str, send: Send, key: ChunkKey | None) -> Answer:
        given = parse(await self._desk.document(call, key)).findall("TagSet/Tag")
        pairs = [("".join(texts(tag, "Key")), "".join(texts(tag, "Value"))) for tag in given]
        await self._desk.do(self._desk.store.tag, bucket, name, _checked(pairs))
        return 200, {}, b""

    async def delete(self, call: Call, bucket: str, name: str, *_: Any) -> Answer:
        await self._desk.do(self._desk.store.tag, bucket, name, {})
        return 204, {}, b""


def _checked(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    listed = list(pairs)
    if len(listed) > MAX_TAGS:
        raise S3Fault("BadRequest", f"Object tags cannot be greater than {MAX_TAGS}, got {len(listed)}.")
    for key, value in listed:
        if not 0 < len(key) <= MAX_KEY:
            raise S3Fault("InvalidTag", f"The TagKey {key[:40]!r} has {len(key)} characters; use 1 to {MAX_KEY}.")
        if len(value) > MAX_VALUE:
            text = f"The TagValue of {key[:40]!r} has {len(value)} characters; use at most {MAX_VALUE}."
            raise S3Fault("InvalidTag", text)
    if len(dict(listed)) < len(listed):
        raise S3Fault("InvalidTag", "Cannot provide multiple Tags with the same key.")
    return dict(listed)
