"""What a client might try: names that are written in another way, and requests that cost more than they should."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws.world import tuning
from botocore.exceptions import ClientError

from .conftest import WRITER, Server, served

SCOPE = "a/20261201/us-east-1/s3/aws4_request"
MANY = "x-one:1\r\n" + "".join(f"x-{n}:1\r\n" for n in range(99))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from served(tmp_path_factory.mktemp("holes"), (WRITER,))


def status(url: str, method: str = "GET") -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def presigned(server: Server, version: str, operation: str, **params: str) -> str:
    url = server.client("s3", WRITER, signature_version=version).generate_presigned_url(operation, Params=params)
    return str(url)


def test_a_subresource_that_is_written_with_percent_signs_is_signed_too(server: Server) -> None:
    server.client("s3", WRITER).put_object(Bucket="tunewright", Key="a", Body=b"1", Tagging="secret=value")
    url = presigned(server, "s3", "get_object", Bucket="tunewright", Key="a")
    assert status(url) == 200
    assert [status(f"{url}&{name}") for name in ("tagging", "%74agging", "%72esponse-content-type=text/html")] == [
        403
    ] * 3
    url = presigned(server, "s3", "delete_object", Bucket="tunewright", Key="a")
    assert status(f"{url}&%74agging", "DELETE") == 403


def test_a_plus_is_a_blank_for_the_signature_as_for_the_answer(server: Server) -> None:
    url = presigned(server, "s3v4", "list_objects_v2", Bucket="tunewright", Prefix="x+y")
    assert status(url) == 200 and status(url.replace("x%2By", "x+y")) == 403
    blank = presigned(server, "s3v4", "list_objects_v2", Bucket="tunewright", Prefix="x y")
    assert status(blank) == status(blank.replace("x%20y", "x+y")) == 200


def test_a_bucket_with_a_key_of_many_parts_is_listed(server: Server) -> None:
    s3 = server.client("s3", WRITER)
    s3.put_object(Bucket="tunewright", Key="d/" * 500 + "b", Body=b"1")
    listed = s3.list_objects_v2(Bucket="tunewright", Delimiter="/")
    assert {"Prefix": "d/"} in listed["CommonPrefixes"]
    s3.delete_object(Bucket="tunewright", Key="d/" * 500 + "b")


def test_a_filter_pattern_is_no_longer_than_cloudwatchs(server: Server) -> None:
    logs, group = server.client("logs", WRITER), "/aws/sagemaker/TrainingJobs"
    assert logs.filter_log_events(logGroupName=group, filterPattern="a " * 512)["events"] == []
    with pytest.raises(ClientError, match="has 2001 characters, at most 1024 are taken"):
        logs.filter_log_events(logGroupName=group, filterPattern="a" + " a" * 1000)


def test_text_that_is_none_is_refused(server: Server) -> None:
    logs, group = server.client("logs", WRITER), "/aws/sagemaker/TrainingJobs"
    for told in ({"logStreamName": "\ud800"}, {"logStreamName": "\ud800x/algo-1-1"}):
        with pytest.raises(ClientError, match="has to be valid Unicode text"):
            logs.get_log_events(logGroupName=group, **told)


def test_who_makes_a_million_mistakes_is_told_of_some(server: Server) -> None:
    request: dict[str, Any] = {**tuning(), "Tags": [{}] * 200_000}
    client = server.client("sagemaker", WRITER, parameter_validation=False)
    with pytest.raises(ClientError) as refused:
        client.create_hyper_parameter_tuning_job(**request)
    text = str(refused.value)
    assert "Member must have length less than or equal to 50" in text and len(text) < 100_000


@pytest.mark.parametrize("trailers", ["x-amz-checksum-crc32c:AAA\nSet-Cookie: pwn=1\r\n", MANY], ids=["odd", "many"])
def test_trailers_are_few_and_checksums_are_such(tmp_path: Path, trailers: str) -> None:
    for server in served(tmp_path / "home"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        headers = {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host, Signature=00",
            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-trailer": "x-amz-checksum-crc32c",
            "x-amz-decoded-content-length": "1",
            "Content-Encoding": "aws-chunked",
        }
        body = f"1\r\nx\r\n0\r\n{trailers}\r\n"
        connection.request("PUT", "/tunewright/poisoned", body.encode(), headers)
        assert connection.getresponse().status == 400
        connection.close()
        assert server.client("s3").list_objects_v2(Bucket="tunewright", Prefix="poisoned")["KeyCount"] == 0
