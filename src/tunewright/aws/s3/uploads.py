"""Multipart uploads: parts gathered in a directory of their own, joined at the end."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunewright.aws.s3.faults import S3Fault, no_upload
from tunewright.aws.s3.keeping import Facts
from tunewright.aws.s3.store import Found, S3Store, remove

MAX_PARTS = 10_000
FORGOTTEN_SECONDS = 7 * 86_400.0
_ID = re.compile(r"[0-9a-f]{32}")
_PART = re.compile(r"([0-9]{5})\.([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Part:
    """A part that was uploaded; `modified` is in seconds since the epoch."""

    number: int
    md5: str
    size: int
    modified: float
    path: str


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that was begun."""

    id: str
    bucket: str
    key: str
    begun: float
    headers: Mapping[str, str] = field(default_factory=dict)
    user: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


class Uploads:
    """All uploads that are under way below a store's own directory."""

    def __init__(self, store: S3Store) -> None:
        self._store = store
        self._root = os.path.join(store.own, "uploads")

    def begin(self, bucket: str, key: str, now: float, facts: Facts) -> str:
        """The id of a new upload of a key.

        Args:
            facts: what is to be kept of the object; its ETag does not count.
        """
        self._store.bucket(bucket)
        name = uuid.uuid4().hex
        folder = os.path.join(self._root, name)
        os.mkdir(folder)
        kept = {"headers": dict(facts.headers), "user": dict(facts.user), "tags": dict(facts.tags)}
        record = {"bucket": bucket, "key": key, "begun": now, **kept}
        with open(f"{folder}/upload.json", "x", encoding="utf-8") as file:
            json.dump(record, file)
        return name

    def find(self, name: str, bucket: str, key: str) -> Upload:
        """Raises S3Fault when there is no such upload of this key."""
        found = self._load(name)
        if found is None or (found.bucket, found.key) != (bucket, key):
            raise no_upload()
        return found

    def add(self, upload: Upload, number: int, source: str, md5: str) -> None:
        """Keep a gathered file as a part; an earlier one of this number is replaced."""
        earlier = [part for part in self.parts(upload) if part.number == number and part.md5 != md5]
        try:
            os.replace(source, os.path.join(self._root, upload.id, f"{number:05d}.{md5}"))
        except FileNotFoundError:
            raise no_upload() from None
        for part in earlier:
            remove(part.path)

    def parts(self, upload: Upload) -> list[Part]:
        """The parts that were uploaded so far, in order of number; none for an upload that is gone."""
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(os.path.join(self._root, upload.id)) as entries:
            for entry in entries:
                if named := _PART.fullmatch(entry.name):
                    info = entry.stat()
                    found.append(Part(int(named[1]), named[2], info.st_size, info.st_mtime, entry.path))
        return sorted(found, key=lambda part: part.number)

    def complete(
        self,
        upload: Upload,
        asked: Sequence[tuple[int, str]],
        allow: Callable[[Found | None], None] = lambda there: None,
    ) -> Facts:
        """Join the parts that were asked for into the object; `allow` as in `S3Store.put`. Raises S3Fault."""
        if [number for number, _ in asked] != sorted({number for number, _ in asked}):
            raise S3Fault("InvalidPartOrder", "The list of parts was not in ascending order.")
        there = {part.number: part for part in self.parts(upload)}
        chosen = []
        for number, etag in asked:
            part = there.get(number)
            if part is None or etag.strip('"') != part.md5:
                raise S3Fault("InvalidPart", f"Part {number} is missing, or its ETag is another one.")
            chosen.append(part)
        if not chosen:
            raise S3Fault("MalformedXML", "The list of parts is empty.")
        joined = hashlib.md5(b"".join(bytes.fromhex(part.md5) for part in chosen), usedforsecurity=False).hexdigest()
        facts = Facts(f'"{joined}-{len(chosen)}"', upload.headers, upload.user, tags=upload.tags)
        target = self._store.incoming()
        try:
            try:
                _join(chosen, target)
            except FileNotFoundError:
                # Completed or aborted by another request meanwhile.
                raise no_upload() from None
            self._store.put(upload.bucket, upload.key, target, facts, allow)
        finally:
            remove(target)
        self.abort(upload)
        return facts

    def abort(self, upload: Upload) -> None:
        """Remove an upload and its parts; nothing happens when it is gone."""
        shutil.rmtree(os.path.join(self._root, upload.id), ignore_errors=True)

    def all(self, bucket: str) -> list[Upload]:
        """A bucket's uploads that are under way, by key and beginning."""
        found = [self._load(name) for name in os.listdir(self._root)]
        return sorted(
            (upload for upload in found if upload is not None and upload.bucket == bucket),
            key=lambda upload: (upload.key, upload.begun),
        )

    def sweep(self, now: float) -> None:
        """Remove uploads that nobody went on with for a week, and files that a crash left behind."""
        for folder in (self._root, os.path.join(self._store.own, "incoming")):
            for entry in os.scandir(folder):
                if entry.stat().st_mtime < now - FORGOTTEN_SECONDS:
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path, ignore_errors=True)
                    else:
                        remove(entry.path)

    def _load(self, name: str) -> Upload | None:
        if not _ID.fullmatch(name):
            return None
        try:
            with open(os.path.join(self._root, name, "upload.json"), encoding="utf-8") as file:
                record: dict[str, Any] = json.load(file)
        except (OSError, ValueError):
            return None
        return Upload(name, **record)


def _join(parts: Sequence[Part], target: str) -> None:
    """The bytes of all parts in one new file, copied within the kernel where it can."""
    with open(target, "xb") as out:
        for part in parts:
            with open(part.path, "rb") as source:
                left = part.size
                while left:
                    try:
                        copied = os.copy_file_range(source.fileno(), out.fileno(), left)
                    except (OSError, AttributeError):
                        out.seek(0, os.SEEK_END)
                        source.seek(part.size - left)
                        shutil.copyfileobj(source, out, 1 << 20)
                        out.flush()
                        break
                    if not copied:
                        raise S3Fault("InternalError", "A part became shorter while it was copied.", 500)
                    left -= copied
