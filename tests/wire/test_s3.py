"""S3 by boto3, over HTTP and TLS, with keys and without: what is stored is what was sent."""

from __future__ import annotations

import hashlib
import io
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from .conftest import WRITER, Server

SMALL_PARTS = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=4)


@pytest.fixture
def s3(any_server: Server) -> Any:
    return any_server.client("s3", WRITER)


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def on_disk(server: Server, bucket: str, key: str) -> bytes:
    return (Path(server.world.objects.root) / bucket / key).read_bytes()


@pytest.mark.parametrize(
    "content", [b"", b"hello\r\n0;x=y\r\n\r\n", os.urandom(3 << 20)], ids=["empty", "framing", "3 MB"]
)
def test_what_is_stored_is_what_was_sent(content: bytes, s3: Any, any_server: Server, bucket: str) -> None:
    """Over TLS the SDK frames the body; a server that keeps the framing corrupts every object without a word."""
    put = s3.put_object(Bucket=bucket, Key="a/b c+%.bin", Body=content, Metadata={"who": "me"}, ContentType="text/x")
    assert on_disk(any_server, bucket, "a/b c+%.bin") == content
    got = s3.get_object(Bucket=bucket, Key="a/b c+%.bin", ChecksumMode="ENABLED")
    assert got["Body"].read() == content
    assert got["ETag"] == put["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
    assert (got["ContentType"], got["Metadata"], got["ContentLength"]) == ("text/x", {"who": "me"}, len(content))
    assert got["ChecksumCRC32"] == put["ChecksumCRC32"]
    assert "ContentEncoding" not in got


def test_a_header_is_told_as_it_was_sent(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentDisposition='attachment; filename="\u00e9.txt"')
    told = [ask(Bucket=bucket, Key="k")["ContentDisposition"] for ask in (s3.head_object, s3.get_object)]
    assert told[0] == told[1]
    assert told[0].encode("latin-1").decode() == 'attachment; filename="\u00e9.txt"'


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_an_url_signed_for_one_bucket_opens_no_other(version: str, keyed_server: Server) -> None:
    plain = keyed_server.client("s3", WRITER)
    plain.create_bucket(Bucket="other")
    plain.put_object(Bucket="tunewright", Key="x", Body=b"mine")
    plain.put_object(Bucket="other", Key="tunewright/x", Body=b"another's")
    s3 = keyed_server.client("s3", WRITER, signature_version=version, s3={"addressing_style": "path"})
    url = s3.generate_presigned_url("get_object", {"Bucket": "tunewright", "Key": "x"}, ExpiresIn=60)
    request = urllib.request.Request(url, headers={"Host": f"other.localhost:{urlsplit(url).port}"})
    with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(request):
        pass
    assert refused.value.code == 403
    refused.value.close()


def test_a_folder_that_was_put_is_an_object(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="dir/", ContentType="application/x-directory")
    s3.put_object(Bucket=bucket, Key="dir/x", Body=b"1")
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["dir/", "dir/x"]
    s3.delete_object(Bucket=bucket, Key="dir/x")
    assert s3.head_object(Bucket=bucket, Key="dir/")["ContentType"] == "application/x-directory"
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        s3.delete_bucket(Bucket=bucket)
    s3.delete_object(Bucket=bucket, Key="dir/")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    s3.delete_bucket(Bucket=bucket)


def test_a_folder_that_nobody_put_is_none(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="dir/x", Body=b"1")
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket=bucket, Key="dir/")
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=bucket, Key="dir/")


def test_files_in_parts_come_back_the_same(s3: Any, any_server: Server, bucket: str, tmp_path: Path) -> None:
    content = os.urandom(17 << 20)
    s3.upload_fileobj(io.BytesIO(content), bucket, "big/file.bin", Config=SMALL_PARTS)
    assert on_disk(any_server, bucket, "big/file.bin") == content
    assert s3.head_object(Bucket=bucket, Key="big/file.bin")["ETag"].endswith('-4"')
    s3.download_file(bucket, "big/file.bin", str(tmp_path / "back"), Config=SMALL_PARTS)
    assert (tmp_path / "back").read_bytes() == content
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


def test_an_upload_in_parts_step_by_step(s3: Any, bucket: str) -> None:
    begun = s3.create_multipart_upload(Bucket=bucket, Key="k", Metadata={"a": "b"})["UploadId"]
    where = {"Bucket": bucket, "Key": "k", "UploadId": begun}
    tags = [s3.upload_part(**where, PartNumber=n, Body=text)["ETag"] for n, text in ((1, b"old"), (2, b"two"))]
    tags[0] = s3.upload_part(**where, PartNumber=1, Body=b"one")["ETag"]
    parts = s3.list_parts(**where)["Parts"]
    assert [(part["PartNumber"], part["Size"], part["ETag"]) for part in parts] == [(1, 3, tags[0]), (2, 3, tags[1])]
    assert [each["Key"] for each in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == ["k"]
    wrong = {"Parts": [{"PartNumber": 1, "ETag": tags[1]}]}
    with pytest.raises(ClientError) as error:
        s3.complete_multipart_upload(**where, MultipartUpload=wrong)
    assert code(error) == "InvalidPart"
    chosen = {"Parts": [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, start=1)]}
    s3.complete_multipart_upload(**where, MultipartUpload=chosen)
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"onetwo" and got["Metadata"] == {"a": "b"}
    with pytest.raises(ClientError) as error:
        s3.list_parts(**where)
    assert code(error) == "NoSuchUpload"


def test_an_aborted_upload_leaves_nothing(s3: Any, any_server: Server, bucket: str) -> None:
    begun = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="k", UploadId=begun, PartNumber=1, Body=b"x")
    with pytest.raises(ClientError) as error:
        s3.upload_part(Bucket=bucket, Key="another", UploadId=begun, PartNumber=1, Body=b"x")
    assert code(error) == "NoSuchUpload"
    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=begun)
    assert list((Path(any_server.world.objects.root) / ".s3" / "uploads").iterdir()) == []
    assert list((Path(any_server.world.objects.root) / ".s3" / "incoming").iterdir()) == []


@pytest.mark.parametrize(
    ("span", "found"),
    [("bytes=2-4", b"234"), ("bytes=7-", b"789"), ("bytes=-3", b"789"), ("bytes=5-1000", b"56789")],
)
def test_ranges(span: str, found: bytes, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    got = s3.get_object(Bucket=bucket, Key="k", Range=span)
    assert got["Body"].read() == found and got["ResponseMetadata"]["HTTPStatusCode"] == 206
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="k", Range="bytes=10-")
    assert code(error) == "InvalidRange"


def test_conditions(s3: Any, bucket: str) -> None:
    tag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    assert s3.get_object(Bucket=bucket, Key="k", IfMatch=tag)["Body"].read() == b"x"
    for given, expected in (({"IfNoneMatch": tag}, "304"), ({"IfMatch": '"0"'}, "PreconditionFailed")):
        with pytest.raises(ClientError) as error:
            s3.get_object(Bucket=bucket, Key="k", **given)
        assert code(error) == expected
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"y", IfNoneMatch="*")
    assert code(error) == "PreconditionFailed"


def test_listings_are_in_order_and_in_pages(s3: Any, bucket: str) -> None:
    keys = sorted(["a-b", "a/1", "a/2", "a/b/3", "a0", "b", "ä/ü", "c d+e"], key=str.encode)
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    for operation in ("list_objects", "list_objects_v2"):
        pages = s3.get_paginator(operation).paginate(Bucket=bucket, PaginationConfig={"PageSize": 3})
        assert [item["Key"] for page in pages for item in page.get("Contents", [])] == keys
        pages = s3.get_paginator(operation).paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 1})
        found = list(pages)
        assert [i["Key"] for p in found for i in p.get("Contents", [])] == ["a-b", "a0", "b", "c d+e"]
        assert [i["Prefix"] for p in found for i in p.get("CommonPrefixes", [])] == ["a/", "ä/"]
    below = s3.list_objects_v2(Bucket=bucket, Prefix="a/", Delimiter="/")
    assert [item["Key"] for item in below["Contents"]] == ["a/1", "a/2"]
    assert [item["Prefix"] for item in below["CommonPrefixes"]] == ["a/b/"]
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix="a/b")["Contents"]] == ["a/b/3"]
    assert s3.list_objects_v2(Bucket=bucket, StartAfter="b")["Contents"][0]["Key"] == "c d+e"
    assert [i["Prefix"] for i in s3.list_objects_v2(Bucket=bucket, Delimiter="-")["CommonPrefixes"]] == ["a-"]


def test_copies_and_deletions(s3: Any, any_server: Server, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="deep/down/k", Body=b"x", Metadata={"a": "b"})
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "deep/down/k"})
    assert s3.head_object(Bucket=bucket, Key="copy")["Metadata"] == {"a": "b"}
    with pytest.raises(ClientError) as error:
        s3.delete_bucket(Bucket=bucket)
    assert code(error) == "BucketNotEmpty"
    named = [{"Key": key} for key in ("deep/down/k", "copy", "never/there")]
    assert len(s3.delete_objects(Bucket=bucket, Delete={"Objects": named})["Deleted"]) == 3
    assert list((Path(any_server.world.objects.root) / bucket).iterdir()) == []
    s3.delete_bucket(Bucket=bucket)
    with pytest.raises(ClientError) as error:
        s3.head_bucket(Bucket=bucket)
    assert code(error) == "404"


def test_files_that_came_otherwise_are_objects_too(s3: Any, any_server: Server, bucket: str) -> None:
    """Training programs write models straight to the disk, also over what was uploaded before."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"a long first content")
    before = s3.head_object(Bucket=bucket, Key="k")
    source = any_server.world.settings.home / "new"
    source.write_bytes(b"short")
    any_server.world.objects.put_file(source, f"s3://{bucket}/k")
    after = s3.get_object(Bucket=bucket, Key="k")
    assert after["Body"].read() == b"short" and after["ETag"] != before["ETag"]
    assert any_server.world.objects.path(f"s3://{bucket}/k").read_bytes() == b"short"
    assert [item["Size"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [5]


@pytest.mark.parametrize("key", ["../x", "a/../../x", "a/./x", "x" * 300, "\0"])
def test_keys_that_lead_out_are_refused(key: str, s3: Any, any_server: Server, bucket: str) -> None:
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert code(error) == "InvalidArgument"
    assert not (Path(any_server.world.objects.root) / "x").exists()


def test_links_that_lead_out_are_not_followed(s3: Any, any_server: Server, bucket: str) -> None:
    (Path(any_server.world.objects.root) / bucket / "out").symlink_to("/etc")
    for operation in (s3.get_object, s3.head_object, s3.delete_object):
        with pytest.raises(ClientError):
            operation(Bucket=bucket, Key="out/hostname")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_page_among_the_objects_is_a_stranger_to_the_server(s3: Any, bucket: str) -> None:
    """Opened in a browser its scripts would speak to a server without keys as one of its own."""
    s3.put_object(Bucket=bucket, Key="report.html", Body=b"<script></script>", ContentType="text/html")
    headers = s3.get_object(Bucket=bucket, Key="report.html")["ResponseMetadata"]["HTTPHeaders"]
    assert headers["content-security-policy"] == "sandbox allow-scripts"


def test_a_link_to_itself_is_no_object(s3: Any, any_server: Server, bucket: str) -> None:
    place = Path(any_server.world.objects.root) / bucket / "round"
    place.symlink_to(place)
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="round")
    assert code(error) == "NoSuchKey"


def test_documents_that_cannot_be_read_are_told(open_server: Server) -> None:
    for method, path, body in (
        ("POST", "/tunewright?delete", b'<?xml version="1.0" encoding="no-such"?><Delete/>'),
        ("PUT", "/another-bucket", b" " * (3 << 20)),
    ):
        request = urllib.request.Request(open_server.url + path, body, method=method)
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(request)
        assert error.value.code == 400
        error.value.close()


def test_a_key_cannot_be_a_file_and_a_folder(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="a/b", Body=b"x")
    assert code(error) == "InvalidRequest"
    s3.put_object(Bucket=bucket, Key="folder/", Body=b"")
    assert s3.head_object(Bucket=bucket, Key="folder/")["ContentLength"] == 0


def test_what_is_missing(s3: Any, bucket: str) -> None:
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=bucket, Key="nothing")
    with pytest.raises(s3.exceptions.NoSuchBucket):
        s3.list_objects_v2(Bucket="no-such-bucket")
    with pytest.raises(ClientError) as error:
        s3.get_bucket_acl(Bucket=bucket)
    assert code(error) == "NotImplemented"
    with pytest.raises(ClientError) as error:
        s3.create_bucket(Bucket="Upper", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert code(error) == "InvalidBucketName"


def test_the_default_bucket_is_there(s3: Any) -> None:
    found = {item["Name"]: item["CreationDate"] for item in s3.list_buckets()["Buckets"]}
    assert found["tunewright"].tzinfo is not None and ".s3" not in found


def test_what_asks_for_encryption_is_taken(s3: Any, bucket: str) -> None:
    """SDK v2 uploads its source so."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_signed_urls(version: str, open_server: Server, keyed_server: Server) -> None:
    for server in (open_server, keyed_server):
        server.client("s3", WRITER).put_object(Bucket="tunewright", Key="a b", Body=b"x")
        s3 = server.client("s3", WRITER, signature_version=version, s3={"addressing_style": "path"})
        url = s3.generate_presigned_url("get_object", {"Bucket": "tunewright", "Key": "a b"}, ExpiresIn=60)
        with urllib.request.urlopen(url) as answer:
            assert answer.read() == b"x"
