"""Tags of objects by boto3: kept with uploads and copies, and changed by themselves."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from .conftest import WRITER, Server


@pytest.fixture
def s3(any_server: Server) -> Any:
    return any_server.client("s3", WRITER)


def tags(s3: Any, bucket: str, key: str = "k") -> dict[str, str]:
    told = s3.get_object_tagging(Bucket=bucket, Key=key)
    return {tag["Key"]: tag["Value"] for tag in told["TagSet"]}


def tagging(**given: str) -> dict[str, Any]:
    return {"TagSet": [{"Key": key, "Value": value} for key, value in given.items()]}


def test_tags_come_with_an_upload_and_are_changed_alone(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"m": "1"}, Tagging="a=1&b%20c=%C3%A9")["ETag"]
    assert tags(s3, bucket) == {"a": "1", "b c": "é"}
    assert s3.get_object(Bucket=bucket, Key="k")["TagCount"] == 2
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging=tagging(z="<&>"))
    assert tags(s3, bucket) == {"z": "<&>"}
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert tags(s3, bucket) == {}
    told = s3.head_object(Bucket=bucket, Key="k")
    assert (told["ETag"], told["Metadata"]) == (etag, {"m": "1"}), "nothing else changed"
    s3.put_object(Bucket=bucket, Key="k", Body=b"y")
    assert tags(s3, bucket) == {}


def test_a_file_that_came_by_other_means_can_be_tagged(s3: Any, any_server: Server, bucket: str) -> None:
    (Path(any_server.world.objects.root) / bucket / "k").write_bytes(b"x")
    assert tags(s3, bucket) == {}
    etag = s3.head_object(Bucket=bucket, Key="k")["ETag"]
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging=tagging(a="1"))
    assert tags(s3, bucket) == {"a": "1"}
    assert s3.head_object(Bucket=bucket, Key="k")["ETag"] == etag


def test_a_copy_has_its_sources_tags_unless_they_are_replaced(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1")
    copy = {"Bucket": bucket, "CopySource": {"Bucket": bucket, "Key": "k"}}
    s3.copy_object(**copy, Key="same")
    s3.copy_object(**copy, Key="meta", MetadataDirective="REPLACE")
    s3.copy_object(**copy, Key="other", TaggingDirective="REPLACE", Tagging="b=2")
    s3.copy_object(**copy, Key="none", TaggingDirective="REPLACE")
    assert [tags(s3, bucket, key) for key in ("same", "meta", "other", "none")] == [
        {"a": "1"},
        {"a": "1"},
        {"b": "2"},
        {},
    ]


def test_uploads_in_parts_have_tags(s3: Any, bucket: str) -> None:
    parts = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    s3.upload_fileobj(io.BytesIO(bytes(6 << 20)), bucket, "k", ExtraArgs={"Tagging": "a=1"}, Config=parts)
    assert tags(s3, bucket) == {"a": "1"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (tagging(**{f"k{number}": "" for number in range(11)}), "BadRequest"),
        (tagging(**{"k" * 129: ""}), "InvalidTag"),
        (tagging(k="v" * 257), "InvalidTag"),
        ({"TagSet": [{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}]}, "InvalidTag"),
    ],
)
def test_tags_that_s3_does_not_take(s3: Any, bucket: str, given: dict[str, Any], expected: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1")
    with pytest.raises(ClientError) as error:
        s3.put_object_tagging(Bucket=bucket, Key="k", Tagging=given)
    assert error.value.response["Error"]["Code"] == expected
    assert tags(s3, bucket) == {"a": "1"}


def test_what_has_no_tags(s3: Any, bucket: str) -> None:
    with pytest.raises(ClientError, match="InvalidArgument"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="no query")
    for change in (s3.get_object_tagging, s3.delete_object_tagging):
        with pytest.raises(ClientError, match="NoSuchKey"):
            change(Bucket=bucket, Key="k")
    s3.put_object(Bucket=bucket, Key="folder/", Body=b"")
    assert tags(s3, bucket, "folder/") == {}
    with pytest.raises(ClientError, match="has no tags"):
        s3.put_object_tagging(Bucket=bucket, Key="folder/", Tagging=tagging(a="1"))
    with pytest.raises(ClientError, match="NotImplemented"):
        s3.put_bucket_tagging(Bucket=bucket, Tagging=tagging(a="1"))
    with pytest.raises(ClientError, match="NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket=bucket)
