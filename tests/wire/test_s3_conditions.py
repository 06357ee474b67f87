"""S3's conditions, checksums, owners and pages of buckets by boto3."""

from __future__ import annotations

import base64
import hashlib
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import WRITER, Server


@pytest.fixture
def s3(any_server: Server) -> Any:
    return any_server.client("s3", WRITER)


def refused(call: Callable[[], object]) -> str:
    """The code with which a call is refused."""
    with pytest.raises(ClientError) as error:
        call()
    return str(error.value.response["Error"]["Code"])


def test_a_reader_names_the_object_that_it_wants(s3: Any, bucket: str) -> None:
    where = {"Bucket": bucket, "Key": "k"}
    tag = s3.put_object(**where, Body=b"x")["ETag"]
    at, hour = s3.head_object(**where)["LastModified"], timedelta(hours=1)
    cases: list[tuple[dict[str, Any], str | None]] = [
        ({"IfMatch": tag}, None),
        ({"IfMatch": f'"0", {tag}'}, None),
        ({"IfMatch": '"0"'}, "PreconditionFailed"),
        ({"IfNoneMatch": tag}, "304"),
        ({"IfNoneMatch": '"0"'}, None),
        ({"IfModifiedSince": at - hour}, None),
        ({"IfModifiedSince": at}, "304"),
        ({"IfUnmodifiedSince": at}, None),
        ({"IfUnmodifiedSince": at - hour}, "PreconditionFailed"),
        ({"IfMatch": tag, "IfUnmodifiedSince": at - hour}, None),
        ({"IfNoneMatch": '"0"', "IfModifiedSince": at + hour}, None),
    ]
    for asked, expected in cases:
        if expected is None:
            assert s3.get_object(**where, **asked)["Body"].read() == b"x", asked
        else:
            assert refused(lambda asked=asked: s3.get_object(**where, **asked)) == expected, asked


def test_a_writer_names_the_object_that_it_replaces(s3: Any, bucket: str) -> None:
    where = {"Bucket": bucket, "Key": "k"}
    assert refused(lambda: s3.put_object(**where, Body=b"a", IfMatch='"0"')) == "NoSuchKey"
    tag = s3.put_object(**where, Body=b"a", IfNoneMatch="*")["ETag"]
    assert refused(lambda: s3.put_object(**where, Body=b"b", IfNoneMatch="*")) == "PreconditionFailed"
    assert refused(lambda: s3.put_object(**where, Body=b"b", IfMatch='"0"')) == "PreconditionFailed"
    s3.put_object(**where, Body=b"b", IfMatch=tag)
    begun = s3.create_multipart_upload(**where)["UploadId"]
    part = s3.upload_part(**where, UploadId=begun, PartNumber=1, Body=b"c")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": part}]}

    def complete(**asked: str) -> object:
        return s3.complete_multipart_upload(**where, UploadId=begun, MultipartUpload=parts, **asked)

    assert refused(lambda: complete(IfNoneMatch="*")) == "PreconditionFailed"
    assert s3.get_object(**where)["Body"].read() == b"b"
    complete()
    assert s3.get_object(**where)["Body"].read() == b"c"


def test_a_copy_names_its_source(s3: Any, bucket: str) -> None:
    tag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    copy: dict[str, Any] = {"Bucket": bucket, "Key": "copy", "CopySource": {"Bucket": bucket, "Key": "k"}}
    for asked in ({"CopySourceIfMatch": '"0"'}, {"CopySourceIfNoneMatch": tag}):
        assert refused(lambda asked=asked: s3.copy_object(**copy, **asked)) == "PreconditionFailed"
    s3.copy_object(**copy, CopySourceIfMatch=tag)
    assert refused(lambda: s3.copy_object(**{**copy, "Key": "k"})) == "InvalidRequest", "onto itself, and no change"
    s3.copy_object(**{**copy, "Key": "k"}, MetadataDirective="REPLACE", Metadata={"new": "1"})
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"new": "1"}


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_an_object_has_the_checksum_that_was_chosen(algorithm: str, s3: Any, bucket: str) -> None:
    content, name = b"hello", f"Checksum{algorithm}"
    expected = {
        "CRC32": zlib.crc32(content).to_bytes(4, "big"),
        "SHA1": hashlib.sha1(content).digest(),
        "SHA256": hashlib.sha256(content).digest(),
    }[algorithm]
    text = base64.b64encode(expected).decode()
    assert s3.put_object(Bucket=bucket, Key="k", Body=content, ChecksumAlgorithm=algorithm)[name] == text
    for told in (s3.head_object, s3.get_object):
        assert told(Bucket=bucket, Key="k", ChecksumMode="ENABLED")[name] == text
    wrong = base64.b64encode(bytes(len(expected))).decode()
    assert refused(lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"other", **{name: wrong})) == "BadDigest"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == content


def test_buckets_come_in_pages_and_objects_with_their_owner(s3: Any, bucket: str) -> None:
    pages = list(s3.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 1}))
    names = [each["Name"] for page in pages for each in page["Buckets"]]
    assert names == sorted(names) and {bucket, "tunewright"} <= set(names)
    assert all(len(page["Buckets"]) == 1 for page in pages)
    assert [each["Name"] for each in s3.list_buckets(Prefix="tune")["Buckets"]] == ["tunewright"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3.list_objects(Bucket=bucket)["Contents"][0]["Owner"]["ID"]
    assert s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"][0]["Owner"]["ID"]
    assert "Owner" not in s3.list_objects_v2(Bucket=bucket)["Contents"][0]


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_a_signed_url_ends(version: str, keyed_server: Server) -> None:
    s3 = keyed_server.client("s3", WRITER, signature_version=version, s3={"addressing_style": "path"})
    keyed_server.client("s3", WRITER).put_object(Bucket="tunewright", Key="k", Body=b"x")
    url = s3.generate_presigned_url("get_object", {"Bucket": "tunewright", "Key": "k"}, ExpiresIn=60)
    clock = keyed_server.world.clock
    before, clock.time = clock.time, time.time() + 120
    try:
        with pytest.raises(urllib.error.HTTPError) as late:
            urllib.request.urlopen(url)
        with late.value as answer:
            assert answer.code == 403 and b"<Code>AccessDenied</Code><Message>Request has expired" in answer.read()
    finally:
        clock.time = before
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"x"
