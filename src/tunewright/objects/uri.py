"""The names of objects: parsing `s3://bucket/key` and `file:///absolute/path`, and refusing what escapes."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote

from tunewright.core.errors import Invalid

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


@dataclass(frozen=True, slots=True)
class S3Name:
    """A key in a bucket; the key may be empty (the whole bucket) and holds no empty or dotted parts.

    Args:
        folder: whether the name ended with a slash, so that it can only mean what lies below it.
    """

    bucket: str
    key: str
    folder: bool


@dataclass(frozen=True, slots=True)
class FileName:
    """An absolute path on this machine."""

    path: str


Name: TypeAlias = S3Name | FileName


def parse(uri: str) -> Name:
    """What a URI names.

    Raises:
        Invalid: another scheme, a relative path, a bucket that is no bucket name, or a part such as `..`.
    """
    if uri.startswith("s3://"):
        return _s3(uri)
    if uri.startswith("file://"):
        return _file(uri)
    raise Invalid.one(uri, "is neither an s3:// nor a file:// URI. Use s3://bucket/key or file:///absolute/path.")


def _s3(uri: str) -> S3Name:
    bucket, _, key = uri[len("s3://") :].partition("/")
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise Invalid.one(uri, f"{bucket!r} is not a bucket name: 2 to 255 letters, digits, '.', '_' and '-'.")
    # Two slashes in a row come from careless joining; a directory cannot tell them from one.
    parts = [part for part in key.split("/") if part]
    for part in parts:
        if part in (".", "..") or "\0" in part or len(os.fsencode(part)) > 255:
            raise Invalid.one(uri, f"the part {part[:40]!r} of the key cannot be stored. Use plain names.")
    return S3Name(bucket, "/".join(parts), not parts or key.endswith("/"))


def _file(uri: str) -> FileName:
    host, slash, rest = uri[len("file://") :].partition("/")
    if host not in ("", "localhost") or not slash:
        raise Invalid.one(uri, "a file URI needs an absolute path on this machine, such as file:///home/me/data.")
    raw = "/" + rest
    decoded = unquote(raw)
    path = raw if decoded != raw and os.path.exists(raw) and not os.path.exists(decoded) else decoded
    if "\0" in path:
        raise Invalid.one(uri, "a path cannot hold a NUL character.")
    return FileName(os.path.normpath(path))
