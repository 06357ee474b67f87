"""Settings of buckets, of which there are none, and listings of versions, of which each object has one."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tunewright.aws.s3.settings import MISSING

from .conftest import WRITER, Server

READ = {
    "cors": "get_bucket_cors",
    "encryption": "get_bucket_encryption",
    "lifecycle": "get_bucket_lifecycle_configuration",
    "object-lock": "get_object_lock_configuration",
    "ownershipControls": "get_bucket_ownership_controls",
    "policy": "get_bucket_policy",
    "publicAccessBlock": "get_public_access_block",
    "replication": "get_bucket_replication",
    "tagging": "get_bucket_tagging",
    "website": "get_bucket_website",
}


@pytest.fixture
def s3(any_server: Server) -> Any:
    return any_server.client("s3", WRITER)


def told(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_a_bucket_has_no_settings(s3: Any, bucket: str) -> None:
    assert READ.keys() == MISSING.keys()
    for name, method in READ.items():
        with pytest.raises(ClientError) as error:
            getattr(s3, method)(Bucket=bucket)
        assert error.value.response["Error"]["Code"] == MISSING[name]
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert told(s3.get_bucket_versioning(Bucket=bucket)) == {}
    assert told(s3.get_bucket_logging(Bucket=bucket)) == {}
    assert told(s3.get_bucket_notification_configuration(Bucket=bucket)) == {}
    assert told(s3.get_bucket_accelerate_configuration(Bucket=bucket)) == {}
    assert told(s3.get_bucket_request_payment(Bucket=bucket)) == {"Payer": "BucketOwner"}


def test_settings_of_no_bucket_and_of_objects(s3: Any, bucket: str) -> None:
    with pytest.raises(s3.exceptions.NoSuchBucket):
        s3.get_bucket_versioning(Bucket="no-such-bucket")
    with pytest.raises(ClientError, match="NotImplemented"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with pytest.raises(ClientError, match="NotImplemented"):
        s3.get_object_acl(Bucket=bucket, Key="k")


def test_every_object_is_its_only_version(s3: Any, bucket: str) -> None:
    keys = ["a b+c", "d/1", "d/2", "e"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"content")
    pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1}))
    versions = [version for page in pages for version in page.get("Versions", [])]
    assert len(pages) == 4 and [version["Key"] for version in versions] == keys
    assert all(version["VersionId"] == "null" and version["IsLatest"] and version["Size"] == 7 for version in versions)
    grouped = s3.list_object_versions(Bucket=bucket, Delimiter="/")
    assert [each["Prefix"] for each in grouped["CommonPrefixes"]] == ["d/"]
    inner = s3.list_object_versions(Bucket=bucket, Prefix="d/", KeyMarker="d/1")
    assert [version["Key"] for version in inner["Versions"]] == ["d/2"]
    asked = [{"Key": version["Key"], "VersionId": version["VersionId"]} for version in versions]
    s3.delete_objects(Bucket=bucket, Delete={"Objects": asked})
    assert "Versions" not in s3.list_object_versions(Bucket=bucket)
