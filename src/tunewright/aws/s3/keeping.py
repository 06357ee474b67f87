"""What S3 knows of an object beyond its bytes: ETag, content type, user metadata, tags.

It lies in `<root>/.s3/meta`, together with the file's size and time: once somebody replaced or changed the file by
other means it no longer counts. A folder that was put as an object of its own ("data/") has such a record too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Facts:
    """What is kept of an object beside its bytes.

    Args:
        headers: content type, encoding and the like, by lower-case name.
        user: `x-amz-meta-*` without the prefix.
        sums: checksums of the whole content in base64, by algorithm.
        tags: the object's tags.
    """

    etag: str
    headers: Mapping[str, str] = field(default_factory=dict)
    user: Mapping[str, str] = field(default_factory=dict)
    sums: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


class Keeping:
    """The records of all objects.

    Args:
        own: the directory that S3 keeps for itself.
    """

    def __init__(self, own: str) -> None:
        self._root = os.path.join(own, "meta")

    def of_file(self, bucket: str, key: str, info: os.stat_result) -> Facts:
        """What is known of a file: what was kept while it is the same file, else what its looks tell."""
        kept = self._read(bucket, key)
        if kept is not None and kept[1] == (info.st_size, info.st_mtime_ns):
            return kept[0]
        looks = f"{info.st_ino}/{info.st_size}/{info.st_mtime_ns}"
        return Facts(_etag(looks.encode(), "-0"))

    def of_folder(self, bucket: str, key: str) -> Facts | None:
        """What is kept of a folder that is an object of its own; None for one that only has objects in it."""
        kept = self._read(bucket, key)
        return None if kept is None else kept[0]

    def written(self, bucket: str, key: str, facts: Facts, info: os.stat_result) -> str:
        """A new record of an object whose file looks like that, beside the place that it is for (`settle`)."""
        place = self._place(bucket, key)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        temporary = f"{place}.{uuid.uuid4().hex}"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump({**asdict(facts), "size": info.st_size, "mtime_ns": info.st_mtime_ns}, file)
        return temporary

    def settle(self, temporary: str, bucket: str, key: str) -> None:
        """From now on a new record is what is kept."""
        os.replace(temporary, self._place(bucket, key))

    def drop(self, bucket: str, key: str) -> None:
        """Forget an object; nothing happens when nothing is kept of it."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._place(bucket, key))

    def _read(self, bucket: str, key: str) -> tuple[Facts, tuple[int, int]] | None:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            with open(self._place(bucket, key), encoding="utf-8") as file:
                kept: dict[str, Any] = json.load(file)
            looks = kept.pop("size"), kept.pop("mtime_ns")
            return Facts(**kept), looks
        return None

    def _place(self, bucket: str, key: str) -> str:
        parts = [part for part in key.split("/") if part]
        name = hashlib.sha256(("/".join(parts) + "/" * key.endswith("/")).encode()).hexdigest()
        return os.path.join(self._root, bucket, name[:2], name)


def empty_folder() -> Facts:
    """What is to be said of a folder of which nothing is kept."""
    return Facts(_etag(b""))


def _etag(content: bytes, more: str = "") -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}{more}"'
