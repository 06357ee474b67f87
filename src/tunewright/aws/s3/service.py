"""S3, as far as SageMaker's clients go: buckets, objects, ranges, listings, copies, multipart uploads, tags.

Source: Amazon S3's API reference. Bytes are streamed; everything that touches the disk runs in threads, so that
a large listing or a slow disk holds up nobody else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from urllib.parse import unquote

from tunewright.aws.faults import Answer
from tunewright.aws.http.call import Call, Send, send_answer
from tunewright.aws.s3.body import ChunkKey
from tunewright.aws.s3.desk import Desk
from tunewright.aws.s3.faults import S3Fault, error_answer
from tunewright.aws.s3.listing import Page, after_of, list_keys, token_of
from tunewright.aws.s3.objects import Objects
from tunewright.aws.s3.parts import Parts
from tunewright.aws.s3.reply import OWNER, XML, read_limit, xml
from tunewright.aws.s3.settings import SETTINGS, read_setting
from tunewright.aws.s3.store import S3Store
from tunewright.aws.s3.tags import Tags
from tunewright.aws.s3.xml import document, parse, stamp, texts, url, yes

Method: TypeAlias = Callable[..., Awaitable[Answer | None]]
"""Answers one operation; None for one that has sent its answer itself."""

_OTHER = """accelerate acl analytics cors encryption intelligent-tiering inventory legal-hold lifecycle logging metrics
notification object-lock ownershipControls policy policyStatus publicAccessBlock replication requestPayment restore
retention select torrent versioning website attributes"""
_UNSUPPORTED = frozenset(_OTHER.split())
MAX_BUCKETS = 1000


class S3:
    """Answers S3 requests from a store.

    Args:
        now: seconds since the epoch.
    """

    def __init__(self, store: S3Store, region: str, now: Callable[[], float]) -> None:
        self._desk = desk = Desk(store, region, now)
        self._objects, self._parts, self._tags = Objects(desk), Parts(desk), Tags(desk)

    def open(self, bucket: str) -> None:
        """Make the default bucket and clear away what was given up long ago."""
        self._desk.store.make_bucket(bucket)
        self._desk.uploads.sweep(self._desk.now())

    def close(self) -> None:
        self._desk.close()

    async def handle(self, call: Call, send: Send, key: ChunkKey | None = None) -> None:
        """Answer one request.

        Args:
            key: to verify signed chunks with, where keys are configured.
        """
        bucket, name = self._named(call)
        operation, method = self._operation(call, bucket, name)
        call.note.service, call.note.operation = "s3", operation
        try:
            if method is None:
                raise S3Fault("NotImplemented", f"{call.method} {operation} is not supported here.", 501)
            answer = await method(call, bucket, name, send, key)
        except S3Fault as fault:
            call.note.error = fault.code
            answer = error_answer(fault, call.request_id)
        if answer is not None:
            status, headers, body = answer
            headers = {"x-amz-request-id": call.request_id, **headers}
            await send_answer(send, (status, headers, body), head_only=call.method == "HEAD")

    # ---- what is asked ----

    def _named(self, call: Call) -> tuple[str, str]:
        path = call.raw_path.lstrip("/")
        if call.host_bucket:
            return call.host_bucket, unquote(path)
        bucket, _, key = path.partition("/")
        return unquote(bucket), unquote(key)

    def _operation(self, call: Call, bucket: str, key: str) -> tuple[str, Method | None]:
        query, method = call.query, call.method
        if bucket and not key and method == "GET" and (asked := SETTINGS & query.keys()):
            return f"Get {min(asked)}", self._setting
        if found := _UNSUPPORTED & query.keys():
            return min(found), None
        if not bucket:
            return ("ListBuckets", self._list_buckets) if method in ("GET", "HEAD") else ("unknown", None)
        if "tagging" in query:
            return self._tagging_operation(method, key)
        if not key:
            return self._bucket_operation(method, query)
        if "uploadId" in query or "uploads" in query:
            return self._upload_operation(method, query, "x-amz-copy-source" in call.headers)
        match method:
            case "PUT" if "x-amz-copy-source" in call.headers:
                return "CopyObject", self._objects.copy
            case "PUT":
                return "PutObject", self._objects.put
            case "GET" | "HEAD":
                return f"{method.title()}Object", self._objects.get
            case "DELETE":
                return "DeleteObject", self._objects.delete
        return "unknown", None

    def _bucket_operation(self, method: str, query: dict[str, str]) -> tuple[str, Method | None]:
        match method:
            case "GET" if "location" in query:
                return "GetBucketLocation", self._location
            case "GET" if "uploads" in query:
                return "ListMultipartUploads", self._parts.list_uploads
            case "GET" if "versions" in query:
                return "ListObjectVersions", self._list_versions
            case "GET":
                return "ListObjectsV2" if query.get("list-type") == "2" else "ListObjects", self._list
            case "HEAD":
                return "HeadBucket", self._head_bucket
            case "PUT":
                return "CreateBucket", self._create_bucket
            case "DELETE":
                return "DeleteBucket", self._delete_bucket
            case "POST" if "delete" in query:
                return "DeleteObjects", self._delete_many
        return "unknown", None

    def _tagging_operation(self, method: str, key: str) -> tuple[str, Method | None]:
        methods = {"GET": self._tags.get, "PUT": self._tags.put, "DELETE": self._tags.delete}
        if not key or method not in methods:
            return "tagging", None
        return f"{method.title()}ObjectTagging", methods[method]

    def _upload_operation(self, method: str, query: dict[str, str], copied: bool) -> tuple[str, Method | None]:
        match method:
            case "POST" if "uploads" in query:
                return "CreateMultipartUpload", self._parts.begin
            case "PUT" if copied:
                return "UploadPartCopy", self._parts.part_copy
            case "PUT":
                return "UploadPart", self._parts.part
            case "POST":
                return "CompleteMultipartUpload", self._parts.complete
            case "DELETE":
                return "AbortMultipartUpload", self._parts.abort
            case "GET":
                return "ListParts", self._parts.list_parts
        return "unknown", None

    # ---- buckets ----

    async def _list_buckets(self, call: Call, *_: Any) -> Answer:
        query = call.query
        prefix, limit = query.get("prefix", ""), read_limit(query, "max-buckets", MAX_BUCKETS)
        after = after_of(query.get("continuation-token", ""))
        there = sorted(await self._desk.do(self._desk.store.buckets), key=lambda bucket: bucket.name)
        found = [bucket for bucket in there if bucket.name.startswith(prefix) and bucket.name > after]
        shown = [{"Name": bucket.name, "CreationDate": stamp(bucket.created)} for bucket in found[:limit]]
        tree: dict[str, Any] = {"Owner": OWNER, "Buckets": {"Bucket": shown}}
        tree |= {"Prefix": prefix} if prefix else {}
        tree |= {"ContinuationToken": token_of(found[limit - 1].name)} if 0 < limit < len(found) else {}
        return xml("ListAllMyBucketsResult", tree)

    async def _head_bucket(self, call: Call, bucket: str, *_: Any) -> Answer:
        await self._desk.do(self._desk.store.bucket, bucket)
        return 200, {"x-amz-bucket-region": self._desk.region}, b""

    async def _create_bucket(self, call: Call, bucket: str, name: str, send: Send, key: ChunkKey | None) -> Answer:
        await self._desk.document(call, key)
        if not await self._desk.do(self._desk.store.make_bucket, bucket) and self._desk.region != "us-east-1":
            text = "Your previous request to create the named bucket succeeded and you already own it."
            raise S3Fault("BucketAlreadyOwnedByYou", text, 409)
        return 200, {"Location": f"/{bucket}"}, b""

    async def _delete_bucket(self, call: Call, bucket: str, *_: Any) -> Answer:
        await self._desk.do(self._desk.store.drop_bucket, bucket)
        return 204, {}, b""

    async def _location(self, call: Call, bucket: str, *_: Any) -> Answer:
        await self._desk.do(self._desk.store.bucket, bucket)
        return 200, XML, document("LocationConstraint", "" if self._desk.region == "us-east-1" else self._desk.region)

    async def _setting(self, call: Call, bucket: str, *_: Any) -> Answer:
        await self._desk.do(self._desk.store.bucket, bucket)
        return read_setting(min(SETTINGS & call.query.keys()))

    async def _list(self, call: Call, bucket: str, *_: Any) -> Answer:
        query = call.query
        second, encoded = query.get("list-type") == "2", query.get("encoding-type") == "url"
        prefix, delimiter, limit = query.get("prefix", ""), query.get("delimiter", ""), read_limit(query, "max-keys")
        token = query.get("continuation-token", "")
        after = after_of(token) if token else query.get("start-after" if second else "marker", "")
        page = await self._desk.do(list_keys, self._desk.store, bucket, prefix, delimiter, after, limit)
        owner = {} if second and query.get("fetch-owner") != "true" else {"Owner": OWNER}
        contents, groups = _entries(page, encoded, owner)
        tree: dict[str, Any] = {"Name": bucket, "Prefix": url(prefix, encoded), "MaxKeys": str(limit)}
        tree |= {"Delimiter": url(delimiter, encoded)} if delimiter else {}
        tree |= {"EncodingType": "url"} if encoded else {}
        tree |= {"IsTruncated": yes(page.after is not None)}
        if second:
            tree |= {"KeyCount": str(len(page.entries))}
            tree |= {"ContinuationToken": token} if token else {}
            tree |= {"StartAfter": url(after, encoded)} if after and not token else {}
            tree |= {"NextContinuationToken": token_of(page.after)} if page.after is not None else {}
        else:
            tree |= {"Marker": url(after, encoded)}
            tree |= {"NextMarker": url(page.after, encoded)} if page.after is not None else {}
        return xml("ListBucketResult", {**tree, "Contents": contents, "CommonPrefixes": groups})

    async def _list_versions(self, call: Call, bucket: str, *_: Any) -> Answer:
        """Every object as its only version, as in a bucket that never kept any."""
        query = call.query
        encoded, limit = query.get("encoding-type") == "url", read_limit(query, "max-keys")
        prefix, delimiter, after = (query.get(name, "") for name in ("prefix", "delimiter", "key-marker"))
        page = await self._desk.do(list_keys, self._desk.store, bucket, prefix, delimiter, after, limit)
        versions, groups = _entries(page, encoded, {"VersionId": "null", "IsLatest": "true", "Owner": OWNER})
        tree: dict[str, Any] = {"Name": bucket, "Prefix": url(prefix, encoded), "KeyMarker": url(after, encoded)}
        tree |= {"VersionIdMarker": query.get("version-id-marker", ""), "MaxKeys": str(limit)}
        tree |= {"Delimiter": url(delimiter, encoded)} if delimiter else {}
        tree |= {"EncodingType": "url"} if encoded else {}
        tree |= {"IsTruncated": yes(page.after is not None)}
        if page.after is not None:
            tree |= {"NextKeyMarker": url(page.after, encoded), "NextVersionIdMarker": "null"}
        return xml("ListVersionsResult", {**tree, "Version": versions, "CommonPrefixes": groups})

    async def _delete_many(self, call: Call, bucket: str, name: str, send: Send, key: ChunkKey | None) -> Answer:
        root = parse(await self._desk.document(call, key))
        asked = [text for item in root.findall("Object") for text in texts(item, "Key")]
        if not 0 < len(asked) <= 1000:
            raise S3Fault("MalformedXML", f"Between 1 and 1000 keys can be deleted at once, got {len(asked)}.")
        quiet = "".join(texts(root, "Quiet")).strip().lower() == "true"
        done: list[Any] = []
        failed: list[Any] = []
        for each in asked:
            try:
                await self._desk.do(self._desk.store.delete, bucket, each)
                done.append({"Key": each})
            except S3Fault as fault:
                if fault.code == "NoSuchBucket":
                    raise
                failed.append({"Key": each, "Code": fault.code, "Message": fault.message})
        return xml("DeleteResult", {"Deleted": [] if quiet else done, "Error": failed})


def _entries(page: Page, encoded: bool, more: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What a listing says of the objects of a page, each with `more`, and of the groups of keys."""
    objects = [
        {
            "Key": url(e.key, encoded),
            "LastModified": stamp(e.modified),
            "ETag": e.etag,
            "Size": str(e.size),
            "StorageClass": "STANDARD",
            **more,
        }
        for e in page.entries
        if not e.group
    ]
    return objects, [{"Prefix": url(e.key, encoded)} for e in page.entries if e.group]
