"""Objects on disk as S3 sees them: `s3://bucket/key` is `<root>/bucket/key`, a plain file that others may write too.

All functions block and are called from threads; several servers may share one root.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import stat
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import BinaryIO

from tunewright.aws.s3.faults import S3Fault, no_bucket, no_key
from tunewright.aws.s3.keeping import Facts, Keeping, empty_folder
from tunewright.aws.s3.turns import Turns
from tunewright.core.errors import Invalid
from tunewright.objects.local import LocalObjects

OWN = ".s3"
DEFAULT_TYPE = "binary/octet-stream"


@dataclass(frozen=True, slots=True)
class Found:
    """An object as it lies there now."""

    path: str
    size: int
    modified: float
    facts: Facts


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket; `created` is in seconds since the epoch."""

    name: str
    created: float


class S3Store:
    """Buckets and objects below one directory.

    Args:
        objects: who knows where names lie and refuses those that lead out.
    """

    def __init__(self, objects: LocalObjects) -> None:
        self._objects = objects
        self.root = str(objects.root)
        self.own = os.path.join(self.root, OWN)
        self._kept, self._turns = Keeping(self.own), Turns(os.path.join(self.own, "turn"))
        for name in ("meta", "incoming", "uploads"):
            os.makedirs(os.path.join(self.own, name), exist_ok=True)

    # ---- buckets ----

    def buckets(self) -> list[Bucket]:
        """All buckets in order of name."""
        with os.scandir(self.root) as entries:
            folders = [e for e in entries if not e.name.startswith(".") and e.is_dir(follow_symlinks=False)]
        found = []
        for entry in sorted(folders, key=lambda e: e.name):
            with contextlib.suppress(FileNotFoundError):
                found.append(Bucket(entry.name, entry.stat().st_ctime))
        return found

    def bucket(self, name: str) -> str:
        """A bucket's directory. Raises S3Fault when there is none."""
        path = self._place(name, "")
        if not os.path.isdir(path):
            raise no_bucket(name)
        return path

    def make_bucket(self, name: str) -> bool:
        """Make a bucket; whether it is new. Raises S3Fault for a name that is none."""
        path = self._place(name, "")
        if not 3 <= len(name) <= 63 or name != name.lower():
            text = f"The specified bucket is not valid: {name}; use 3 to 63 lower-case letters, digits, '-' and '.'."
            raise S3Fault("InvalidBucketName", text)
        try:
            os.mkdir(path)
        except FileExistsError:
            return False
        return True

    def drop_bucket(self, name: str) -> None:
        """Remove an empty bucket. Raises S3Fault when there is none, or when it is not empty."""
        path = self.bucket(name)
        try:
            with self._turns.take():
                self._prune_below(name, path)
                os.rmdir(path)
        except OSError:
            raise S3Fault("BucketNotEmpty", "The bucket you tried to delete is not empty.", 409) from None

    # ---- objects ----

    def incoming(self) -> str:
        """The path of a new file in which content is gathered."""
        return os.path.join(self.own, "incoming", uuid.uuid4().hex)

    def find(self, bucket: str, key: str) -> Found:
        """Raises S3Fault when there is no such object."""
        with self._turns.take():
            return self._find(bucket, key)

    def open(self, bucket: str, key: str) -> tuple[Found, BinaryIO]:
        """An object and its bytes, of one version whatever is put or deleted meanwhile. Raises S3Fault."""
        with self._turns.take():
            found = self._find(bucket, key)
            try:
                file = io.FileIO(found.path)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                raise no_key(key) from None
            if found.path != os.devnull:
                # Another program may have written it since: what is told is what was opened.
                found = self._found(bucket, key, found.path, os.fstat(file.fileno()))
        return found, file

    def _find(self, bucket: str, key: str) -> Found:
        path = self._object(bucket, key)
        try:
            info = os.stat(path)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise no_key(key) from None
            raise
        if stat.S_ISDIR(info.st_mode):
            facts = self._kept.of_folder(bucket, key) if key.endswith("/") else None
            if facts is None:
                raise no_key(key)
            return Found(os.devnull, 0, info.st_mtime, facts)
        if key.endswith("/") or not stat.S_ISREG(info.st_mode):
            # Whoever opens a pipe waits for its other end.
            raise no_key(key)
        return self._found(bucket, key, path, info)

    def _found(self, bucket: str, key: str, path: str, info: os.stat_result) -> Found:
        return Found(path, info.st_size, info.st_mtime, self._kept.of_file(bucket, key, info))

    def facts(self, bucket: str, key: str, info: os.stat_result) -> Facts:
        """What is known of an object that looks like that on disk."""
        if key.endswith("/"):
            return self._kept.of_folder(bucket, key) or empty_folder()
        return self._kept.of_file(bucket, key, info)

    def is_marked(self, bucket: str, key: str) -> bool:
        """Whether a folder, whose key ends with a slash, was put as an object of its own."""
        return self._kept.of_folder(bucket, key) is not None

    def put(
        self,
        bucket: str,
        key: str,
        source: str,
        facts: Facts,
        allow: Callable[[Found | None], None] = lambda there: None,
    ) -> None:
        """Move a gathered file into its place, whole; what was there before is replaced.

        Args:
            allow: raises S3Fault when what is there may not be replaced; nobody changes it in between.

        Raises:
            S3Fault: there is no such bucket, the name cannot be stored, or `allow` raised it.
        """
        self.bucket(bucket)
        path = self._object(bucket, key)
        info = os.stat(source)
        if key.endswith("/") and info.st_size:
            raise S3Fault("InvalidRequest", "A key that ends with a slash can only be an empty folder here.")
        temporary = self._kept.written(bucket, key, facts, info)
        try:
            with self._turns.take():
                allow(self._there(bucket, key))
                if key.endswith("/"):
                    self._folder(path, key)
                else:
                    self._free(path, key)
                self._kept.settle(temporary, bucket, key)
                if not key.endswith("/"):
                    os.replace(source, path)
        finally:
            remove(temporary)

    def check(self, bucket: str, key: str, allow: Callable[[Found | None], None]) -> None:
        """Raises what `allow` raises of what is there, as `put` would."""
        with self._turns.take():
            allow(self._there(bucket, key))

    def _free(self, path: str, key: str) -> None:
        """Make a file's folder. Raises S3Fault when a folder stands where the file is to be."""
        self._folder(os.path.dirname(path), key)
        if os.path.isdir(path):
            text = f"There are keys below {key}/: objects are files here, it cannot be both."
            raise S3Fault("InvalidRequest", text)

    def _there(self, bucket: str, key: str) -> Found | None:
        try:
            found = self._find(bucket, key)
        except S3Fault:
            return None
        return None if key.endswith("/") and not self.is_marked(bucket, key) else found

    def tag(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        """Give an object these tags in place of those that it has. Raises S3Fault when there is no such object."""
        self.bucket(bucket)
        with self._turns.take():
            facts = self._find(bucket, key).facts
            if key.endswith("/"):
                if tags:
                    raise S3Fault("InvalidRequest", "A key that ends with a slash is a folder here, and has no tags.")
                return
            info = os.stat(self._object(bucket, key))
            self._kept.settle(self._kept.written(bucket, key, replace(facts, tags=tags), info), bucket, key)

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object; nothing happens when there is none."""
        home = self.bucket(bucket)
        path = self._object(bucket, key)
        with self._turns.take():
            if not key.endswith("/"):
                with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
                    os.unlink(path)
            self._kept.drop(bucket, key)
            folder = path.rstrip("/") if key.endswith("/") else os.path.dirname(path)
            with contextlib.suppress(OSError):
                while folder != home and not self.is_marked(bucket, f"{os.path.relpath(folder, home)}/"):
                    os.rmdir(folder)
                    folder = os.path.dirname(folder)

    def copy(self, source: BinaryIO, target: str, span: tuple[int, int]) -> str:
        """Copy a span of an opened object's bytes to a new file; the MD5 in hexadecimal."""
        digest = hashlib.md5(usedforsecurity=False)
        start, end = span
        with open(target, "xb") as out:
            source.seek(start)
            left = end - start
            while left and (data := source.read(min(left, 1 << 20))):
                digest.update(data)
                out.write(data)
                left -= len(data)
        return digest.hexdigest()

    # ---- where things lie ----

    def _object(self, bucket: str, key: str) -> str:
        if len(key.encode()) > 1024:
            raise S3Fault("KeyTooLongError", "Your key is too long: at most 1024 bytes.")
        if not key.strip("/"):
            raise S3Fault("InvalidArgument", "A key of slashes alone cannot be stored.")
        return self._place(bucket, key)

    def _place(self, bucket: str, key: str) -> str:
        try:
            return str(self._objects.path(f"s3://{bucket}/{key}"))
        except (Invalid, ValueError) as error:
            code = "InvalidArgument" if key else "InvalidBucketName"
            raise S3Fault(code, f"The name cannot be stored: {error}") from None

    def _folder(self, path: str, key: str) -> None:
        try:
            os.makedirs(path, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            text = f"A part of {key} is an object itself: objects are files here, it cannot be a folder too."
            raise S3Fault("InvalidRequest", text) from None

    def _prune_below(self, bucket: str, home: str) -> None:
        """Remove folders that hold no file and are no objects themselves."""
        for folder, _, _ in os.walk(home, topdown=False):
            if folder != home and not self.is_marked(bucket, f"{os.path.relpath(folder, home)}/"):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)


def remove(path: str) -> None:
    """Remove a file that may be gone already."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
