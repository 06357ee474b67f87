"""Whatever is sent, the answer is never a server's error, and the server goes on."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import Server

QUICK = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
TARGETS = [
    *(
        f"SageMaker.{name}"
        for name in ("CreateTrainingJob", "CreateHyperParameterTuningJob", "ListTags", "Nothing", "")
    ),
    *(
        f"Logs_20140328.{name}"
        for name in ("DescribeLogStreams", "GetLogEvents", "FilterLogEvents", "DescribeLogGroups")
    ),
    "GraniteServiceVersion20100801.GetMetricStatistics",
    "Elsewhere.Do",
    "",
]
GROUP = "/aws/sagemaker/TrainingJobs"
NAMES = ["logGroupName", "logStreamName", "limit", "nextToken", "startTime", "endTime", "startFromHead"]
NAMES += ["logStreamNames", "Namespace", "MetricName", "Dimensions", "StartTime", "EndTime", "Period", "Statistics"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12) | st.just(GROUP),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
BODIES = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8).map(
    lambda body: json.dumps({"logGroupName": GROUP, **body}).encode()
)
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)


@pytest.fixture
def connection(open_server: Server) -> Iterator[http.client.HTTPConnection]:
    opened = http.client.HTTPConnection("127.0.0.1", open_server.port, timeout=60)
    yield opened
    opened.close()


def status(connection: http.client.HTTPConnection, *request: Any) -> int:
    connection.request(*request)
    answer = connection.getresponse()
    answer.read()
    return answer.status


@QUICK
@given(target=st.sampled_from(TARGETS), body=BODIES | st.binary(max_size=200), authorization=HEADER)
def test_targets(target: str, body: bytes, authorization: str, connection: http.client.HTTPConnection) -> None:
    headers = {"X-Amz-Target": target, "Authorization": authorization}
    assert status(connection, "POST", "/", body, headers) < 500


@QUICK
@given(body=st.binary(max_size=100) | st.sampled_from([b"Action=GetRole", b"Action=GetMetricStatistics&Period=x"]))
def test_forms(body: bytes, connection: http.client.HTTPConnection) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert status(connection, "POST", "/", body, headers) < 500


PATHS = st.text("ab/.%20~é\\", max_size=12).map(lambda text: "/tunewright/" + text.encode("ascii", "replace").decode())
QUERIES = st.sampled_from(
    [
        "",
        "?uploads",
        "?uploadId=.",
        "?uploadId=..%2f..&partNumber=1",
        "?list-type=2&max-keys=-1",
        "?delete",
        "?acl",
        "?continuation-token=%ff",
        "?X-Amz-Algorithm=AWS4-HMAC-SHA256",
        "?AWSAccessKeyId=a&Signature=b&Expires=x",
        "?prefix=%00&delimiter=%ff",
        "?partNumber=99999&uploadId=00000000000000000000000000000000",
    ]
)


@QUICK
@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE"]),
    path=PATHS,
    query=QUERIES,
    body=st.binary(max_size=60) | st.just(b"<Delete><Object><Key>../x</Key></Object></Delete>"),
    span=HEADER,
)
def test_objects(
    method: str, path: str, query: str, body: bytes, span: str, connection: http.client.HTTPConnection
) -> None:
    # 501 is S3's word for what is not there.
    headers = {"Range": f"bytes={span}", "x-amz-copy-source": span} if span.startswith("1") else {"Range": span}
    assert status(connection, method, path + query, body, headers) in {*range(200, 500), 501}


@QUICK
@given(data=st.binary(max_size=300))
def test_bytes(data: bytes, open_server: Server) -> None:
    with socket.create_connection(("127.0.0.1", open_server.port), timeout=60) as raw:
        raw.sendall(data + b"\r\n\r\n")
        raw.shutdown(socket.SHUT_WR)
        answer = raw.recv(4096)
        assert answer == b"" or not answer.startswith((b"HTTP/1.1 500", b"HTTP/1.1 502"))
    with socket.create_connection(("127.0.0.1", open_server.port), timeout=60) as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert raw.recv(4096).startswith(b"HTTP/1.1 200")
