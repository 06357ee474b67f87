"""`core.ports.Objects` on an S3 somewhere else, named by its endpoint; `file://` names stay those of this machine.

Spoken through botocore, with the usual AWS credentials (variables, files, roles). Buckets are addressed by path, which
every S3 understands. Sources: Amazon S3's API reference (GetObject, ListObjectsV2, multipart uploads).
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from tunewright.core.errors import Invalid
from tunewright.objects.local import LocalObjects
from tunewright.objects.uri import S3Name, parse

PART_BYTES = 64 * 1024 * 1024
"""Files beyond so much are stored in parts of so much; an object may have 10,000 of them."""
_READ = 1 << 20
_HIDDEN = {"403", "AccessDenied"}
"""Who may write objects need not be allowed to look at their bucket."""
_MISSING = {"404", "NoSuchKey", "NotFound", "NoSuchBucket"}


class RemoteObjects:
    """Files by URI in the buckets of an S3.

    Errors of the S3 and of the way there are raised as OSError, as those of a disk are.

    Args:
        endpoint: its URL, such as `https://s3.example.org`.
        region: for signatures.
    """

    def __init__(self, endpoint: str, region: str = "us-east-1") -> None:
        config = Config(
            region_name=region,
            s3={"addressing_style": "path"},
            retries={"mode": "standard", "max_attempts": 5},
            # What other makers' S3 answer to checksums in trailers differs.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        self.endpoint, self._region = endpoint, region
        self._client: Any = get_session().create_client("s3", endpoint_url=endpoint, config=config)
        self._here = LocalObjects(Path("/"))

    def __reduce__(self) -> tuple[type[RemoteObjects], tuple[str, str]]:
        """It travels to function workers as what it is made of."""
        return RemoteObjects, (self.endpoint, self._region)

    def path(self, uri: str) -> Path:
        """Where a `file://` URI lies on this disk. Raises Invalid for all others: they lie on none."""
        if isinstance(parse(uri), S3Name):
            raise Invalid.one(uri, f"lies at {self.endpoint}, not on this disk.")
        return self._here.path(uri)

    def exists(self, uri: str) -> bool:
        """Whether an object or a non-empty prefix is there. Raises Invalid for what is no name."""
        name = parse(uri)
        if not isinstance(name, S3Name):
            return self._here.exists(uri)
        with _told(uri):
            return next(self._find(name), None) is not None

    def has_bucket(self, uri: str) -> bool:
        """Whether the bucket of a URI is there, as far as may be known; a `file://` URI needs none."""
        name = parse(uri)
        if not isinstance(name, S3Name):
            return True
        with _told(uri):
            try:
                self._client.head_bucket(Bucket=name.bucket)
            except ClientError as error:
                if error.response["Error"]["Code"] in _MISSING:
                    return False
                if error.response["Error"]["Code"] not in _HIDDEN:
                    raise
        return True

    def fetch(self, uri: str, target: Path) -> int:
        """Bring every object under a prefix (or the one object) below `target`; how many there were."""
        name = parse(uri)
        if not isinstance(name, S3Name):
            return self._here.fetch(uri, target)
        count = 0
        with _told(uri):
            for key, relative in self._find(name):
                self._get(name.bucket, key, _below(uri, target, relative))
                count += 1
        return count

    def put_file(self, source: Path, uri: str, *, move: bool = False) -> None:
        """Store one file; readers see the old object or the new one, whole."""
        name = parse(uri)
        if not isinstance(name, S3Name):
            self._here.put_file(source, uri, move=move)
            return
        with _told(uri):
            self._put(source, name)
        if move:
            source.unlink(missing_ok=True)

    def put_tree(self, source: Path, uri: str, *, move: bool = False) -> int:
        """Store every file of a directory under a prefix; how many. Links are not followed out."""
        if not isinstance(parse(uri), S3Name):
            return self._here.put_tree(source, uri, move=move)
        count, home = 0, os.path.realpath(source)
        for folder, _, names in os.walk(source):
            for name in sorted(names):
                path = os.path.join(folder, name)
                real = os.path.realpath(path)
                if not os.path.isfile(path) or not f"{real}/".startswith(f"{home}/"):
                    continue
                relative = os.path.relpath(path, source)
                self.put_file(Path(path), f"{uri.rstrip('/')}/{relative}", move=move)
                count += 1
        return count

    def remove(self, uri: str) -> None:
        """Remove the object of this name, and all below it as a folder; nothing happens when there is none.

        Raises:
            Invalid: as `exists` does, and for a whole bucket.
            OSError: it cannot be removed.
        """
        name = parse(uri)
        if not isinstance(name, S3Name):
            self._here.remove(uri)
            return
        if not name.key:
            raise Invalid.one(uri, "names a whole bucket; remove what is in it by its keys.")
        with _told(uri):
            for key in [*([] if name.folder else [name.key]), *self._keys(name.bucket, f"{name.key}/")]:
                self._client.delete_object(Bucket=name.bucket, Key=key)

    # ---- objects ----

    def _find(self, name: S3Name) -> Iterator[tuple[str, str]]:
        """The keys that a name means and their paths below a target: the object, else the folder, else the prefix.

        As on a disk: only where neither an object nor a folder has exactly this name is it a mere beginning of keys.
        """
        if name.key and not name.folder and self._is_object(name):
            yield name.key, os.path.basename(name.key)
            return
        start = f"{name.key}/" if name.key else ""
        found = False
        for key in self._keys(name.bucket, start):
            found = True
            yield key, key.removeprefix(start)
        if found or name.folder:
            return
        parent = len(os.path.dirname(name.key)) + 1 if "/" in name.key else 0
        for key in self._keys(name.bucket, name.key):
            yield key, key[parent:]

    def _is_object(self, name: S3Name) -> bool:
        try:
            self._client.head_object(Bucket=name.bucket, Key=name.key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return False
            raise
        return True

    def _keys(self, bucket: str, start: str) -> Iterator[str]:
        """Keys that begin so, without those of folders that other programs make visible by empty objects."""
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=start):
                yield from (entry["Key"] for entry in page.get("Contents", ()) if not entry["Key"].endswith("/"))
        except ClientError as error:
            if error.response["Error"]["Code"] not in _MISSING:
                raise

    def _get(self, bucket: str, key: str, goal: str) -> None:
        os.makedirs(os.path.dirname(goal), exist_ok=True)
        body = self._client.get_object(Bucket=bucket, Key=key)["Body"]
        with contextlib.closing(body), tempfile.NamedTemporaryFile(dir=os.path.dirname(goal), delete=False) as file:
            try:
                for data in body.iter_chunks(_READ):
                    file.write(data)
                os.chmod(file.name, 0o644)
                os.replace(file.name, goal)
            except BaseException:  # raised again: an interrupted fetch leaves no half file
                os.unlink(file.name)
                raise

    def _put(self, source: Path, name: S3Name) -> None:
        place = {"Bucket": name.bucket, "Key": name.key}
        with source.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= PART_BYTES:
                self._client.put_object(**place, Body=file)
                return
            upload = self._client.create_multipart_upload(**place)["UploadId"]
            try:
                parts: list[dict[str, object]] = []
                while data := file.read(PART_BYTES):
                    number = len(parts) + 1
                    done = self._client.upload_part(**place, UploadId=upload, PartNumber=number, Body=data)
                    parts.append({"PartNumber": number, "ETag": done["ETag"]})
                self._client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})
            except BaseException:  # raised again, the upload given up first
                # What broke the upload is what counts; parts that stay behind cost room alone.
                with contextlib.suppress(ClientError, BotoCoreError):
                    self._client.abort_multipart_upload(**place, UploadId=upload)
                raise


def _below(uri: str, target: Path, relative: str) -> str:
    """Where a key's file goes. Raises Invalid for a key that would leave the target."""
    parts = [part for part in relative.split("/") if part]
    if not parts or any(part in (".", "..") or "\0" in part for part in parts):
        raise Invalid.one(uri, f"holds the key {relative[:80]!r}, which cannot be a file's name.")
    return os.path.join(target, *parts)


@contextlib.contextmanager
def _told(uri: str) -> Iterator[None]:
    """The S3's errors as the disk's, with the name that they are about."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise OSError(f"{uri}: {error}") from error
