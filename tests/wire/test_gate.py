"""Who may come in, by which signature, and what is refused how."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from aws.world import tuning
from botocore.auth import HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tunewright.aws.http.gate import is_loopback
from tunewright.aws.http.keys import Key, load_keys
from tunewright.core.errors import Invalid

from .conftest import READER, WRITER, Server

STRANGER, LIAR = Key("STRANGER", "any-secret"), Key("WRITERKEY", "another-secret")


def refused(operation: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as error:
        operation(**request)
    return str(error.value.response["Error"]["Code"])


@pytest.mark.parametrize("tls", [False, True], ids=["http", "tls"])
def test_only_the_keys_come_in(tls: bool, keyed_server: Server, secure_server: Server) -> None:
    server = secure_server if tls else keyed_server
    assert server.client("sagemaker", WRITER).list_training_jobs()["TrainingJobSummaries"] == []
    assert server.client("sts", WRITER).get_caller_identity()["Account"] == "000000000000"
    for key, codes in (
        (STRANGER, ("UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId")),
        (LIAR, ("InvalidSignatureException", "SignatureDoesNotMatch", "SignatureDoesNotMatch")),
    ):
        assert refused(server.client("sagemaker", key).list_training_jobs) == codes[0]
        assert refused(server.client("sts", key).get_caller_identity) == codes[1]
        assert refused(server.client("s3", key).put_object, Bucket="tunewright", Key="k", Body=b"x") == codes[2]


def test_readers_change_nothing(keyed_server: Server) -> None:
    sagemaker, s3 = keyed_server.client("sagemaker", READER), keyed_server.client("s3", READER)
    assert sagemaker.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"] == []
    assert s3.list_objects_v2(Bucket="tunewright")["KeyCount"] >= 0
    assert refused(sagemaker.create_hyper_parameter_tuning_job, **tuning("reader")) == "AccessDeniedException"
    assert refused(s3.put_object, Bucket="tunewright", Key="k", Body=b"x") == "AccessDenied"
    assert refused(s3.delete_object, Bucket="tunewright", Key="k") == "AccessDenied"
    assert refused(sagemaker.stop_training_job, TrainingJobName="x") == "AccessDeniedException"


def test_nobody_comes_in_unsigned(keyed_server: Server) -> None:
    for path in ("/tunewright/k", "/", "/?Action=GetCallerIdentity"):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(keyed_server.url + path)
        assert error.value.code == 403
        error.value.close()
    with urllib.request.urlopen(keyed_server.url + "/healthz") as answer:
        assert json.load(answer) == {"status": "ok"}


def signed(server: Server, method: str, path: str, body: bytes, **headers: str) -> AWSRequest:
    """A request that botocore signed for S3; what it sent can be changed afterwards."""
    request = AWSRequest(
        method, server.url + path, data=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    S3SigV4Auth(Credentials(WRITER.access, WRITER.secret), "s3", "eu-west-1").add_auth(request)
    return request


def sent(server: Server, request: AWSRequest, **changes: Any) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    headers = {**dict(request.headers), **changes.get("headers", {})}
    path = changes.get("path", request.url.removeprefix(server.url))
    connection.request(changes.get("method", request.method), path, changes.get("body", request.data), headers)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {"body": b"other"},
        {"path": "/tunewright/other"},
        {"path": "/tunewright/k?acl"},
        {"method": "POST"},
        {"headers": {"Host": "elsewhere"}},
        {"headers": {"x-amz-copy-source": "/tunewright/secret"}},
        {"headers": {"X-Amz-Date": "20200101T000000Z"}},
        {"headers": {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}},
    ],
    ids=str,
)
def test_what_was_signed_cannot_be_changed(changes: dict[str, Any], keyed_server: Server) -> None:
    request = signed(keyed_server, "PUT", "/tunewright/k", b"x" * 5)
    assert sent(keyed_server, request)[0] == 200
    status, body = sent(keyed_server, request, **changes)
    assert status in (400, 403), body
    assert (Path(keyed_server.world.objects.root) / "tunewright/k").read_bytes() == b"x" * 5


@pytest.mark.parametrize(
    ("action", "service", "status", "said"),
    [
        ("GetCallerIdentity", "sts", 200, b"<Account>"),
        ("GetCallerIdentity", "iam", 403, b"<Code>SignatureDoesNotMatch</Code>"),
        ("GetRole&RoleName=a", "iam", 200, b"<RoleName>a<"),
        ("GetRole&RoleName=a", "sts", 403, b"correct service: 'iam', not 'sts'"),
        ("ListMetrics", "monitoring", 200, b"<Metrics"),
        ("ListMetrics", "sts", 403, b"<Code>SignatureDoesNotMatch</Code>"),
        ("ListRoles", "iam", 400, b"<Code>InvalidAction</Code>"),
    ],
)
def test_a_form_is_signed_for_the_service_of_its_action(
    action: str, service: str, status: int, said: bytes, keyed_server: Server
) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    request = AWSRequest("POST", keyed_server.url + "/", data=f"Action={action}".encode(), headers=form)
    SigV4Auth(Credentials(WRITER.access, WRITER.secret), service, "eu-west-1").add_auth(request)
    found, body = sent(keyed_server, request)
    assert found == status and said in body, body


def framed(body: bytes, checksum: str) -> bytes:
    return b"%x\r\n%b\r\n0\r\nx-amz-checksum-crc32:%b\r\n\r\n" % (len(body), body, checksum.encode())


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (framed(b"hello", "NhCmhg=="), 200, b""),
        (framed(b"hello", "AAAAAA=="), 400, b"BadDigest"),
        (b"5\r\nhello\r\n0\r\n\r\n", 400, b"InvalidRequest"),
        (b"5\r\nhel", 400, b"IncompleteBody"),
        (b"4\r\nhello\r\n0\r\n\r\n", 400, b"InvalidRequest"),
        (b"zz\r\nhello", 400, b"InvalidRequest"),
        (b"-5\r\nhello", 400, b"InvalidRequest"),
        (b"x" * 9000, 400, b"InvalidRequest"),
        (b"", 400, b"IncompleteBody"),
    ],
)
def test_framed_bodies_are_checked(body: bytes, status: int, said: bytes, keyed_server: Server) -> None:
    headers = {"x_amz_content_sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x_amz_trailer": "x-amz-checksum-crc32"}
    request = AWSRequest(
        "PUT",
        keyed_server.url + "/tunewright/framed",
        data=body,
        headers={k.replace("_", "-"): v for k, v in headers.items()},
    )
    request.context["client_config"] = None
    auth = S3SigV4Auth(Credentials(WRITER.access, WRITER.secret), "s3", "eu-west-1")
    auth.payload = lambda _: "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    auth.add_auth(request)
    request.headers.replace_header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    found, text = sent(keyed_server, request)
    assert (found, said in text) == (status, True), text
    if status == 200:
        assert (Path(keyed_server.world.objects.root) / "tunewright/framed").read_bytes() == b"hello"


def test_other_names_for_this_machine_are_refused_without_keys(open_server: Server) -> None:
    """A page in a browser must not come in under a name of its own that leads here."""
    for host, status in (("localhost", 200), ("127.0.0.1", 200), ("evil.example", 403)):
        connection = http.client.HTTPConnection("127.0.0.1", open_server.port)
        connection.request("GET", "/", headers={"Host": f"{host}:{open_server.port}"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        assert answer.status == status


DELETION = b"<Delete><Object><Key>dear</Key></Object></Delete>"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://127.0.0.1:{port}", 200),
        ("https://evil.example", 403),
        ("null", 403),
        ("http://127.0.0.1", 403),
    ],
)
def test_pages_of_other_origins_change_nothing(origin: str | None, status: int, open_server: Server) -> None:
    """A browser sends the POST that deletes many objects for any page, without asking first."""
    dear = Path(open_server.world.objects.root) / "tunewright/dear"
    dear.write_bytes(b"x")
    headers = {} if origin is None else {"Origin": origin.format(port=open_server.port)}
    request = AWSRequest("POST", open_server.url + "/tunewright?delete", data=DELETION, headers=headers)
    found, body = sent(open_server, request)
    assert (found, dear.exists()) == (status, status != 200), body


def test_a_signature_is_for_one_service(keyed_server: Server) -> None:
    """Else what was signed for S3 by a key derived for it would do for training jobs too."""
    for service, status in (("sagemaker", 200), ("s3", 400), ("logs", 400)):
        request = AWSRequest("POST", keyed_server.url + "/", data=b"{}", headers={"X-Amz-Target": "SageMaker.ListTags"})
        request.data = b'{"ResourceArn": "arn:aws:sagemaker:eu-west-1:000000000000:training-job/none"}'
        SigV4Auth(Credentials(WRITER.access, WRITER.secret), service, "eu-west-1").add_auth(request)
        _, body = sent(keyed_server, request)
        assert (b"InvalidSignatureException" in body) == (status == 400), body


@pytest.mark.parametrize(
    ("expires", "status"), [("604800", 200), ("604801", 403), ("0000000019999999", 403), ("0", 403)]
)
def test_signed_urls_end_within_a_week(expires: str, status: int, keyed_server: Server) -> None:
    request = AWSRequest("GET", keyed_server.url + "/tunewright")
    S3SigV4QueryAuth(Credentials(WRITER.access, WRITER.secret), "s3", "eu-west-1", expires).add_auth(request)
    assert sent(keyed_server, request)[0] == status


def test_the_tags_of_an_object_need_a_signed_url_of_their_own(keyed_server: Server) -> None:
    """Version 2 signs only some of a query's names; whoever may put an object by URL may not put its tags."""
    credentials, tags = Credentials(WRITER.access, WRITER.secret), "<Tagging><TagSet/></Tagging>"
    for path, extra, status in (("k", "", 200), ("k", "&tagging", 403), ("k?tagging", "", 200)):
        request = AWSRequest("PUT", f"{keyed_server.url}/tunewright/{path}", data=tags)
        HmacV1QueryAuth(credentials, 60).add_auth(request)
        request.url += extra
        assert sent(keyed_server, request)[0] == status, (path, extra)


def chunked(server: Server, path: str, body: bytes, *, sent_instead: bytes) -> AWSRequest:
    """A request whose one chunk is signed, and another body in its place."""
    streaming = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    request = AWSRequest("POST", server.url + path, headers={"x-amz-content-sha256": streaming})
    auth = S3SigV4Auth(Credentials(WRITER.access, WRITER.secret), "s3", "eu-west-1")
    auth.payload = lambda _: streaming
    auth.add_auth(request)
    request.headers.replace_header("x-amz-content-sha256", streaming)
    previous = request.headers["Authorization"].rpartition("=")[2]
    date = request.headers["X-Amz-Date"]
    key = b"AWS4" + WRITER.secret.encode()
    for part in (date[:8], "eu-west-1", "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    request.data = b""
    for content in (body, b""):
        empty, digest = hashlib.sha256().hexdigest(), hashlib.sha256(content).hexdigest()
        scope = f"{date[:8]}/eu-west-1/s3/aws4_request"
        text = "\n".join(("AWS4-HMAC-SHA256-PAYLOAD", date, scope, previous, empty, digest))
        previous = hmac.new(key, text.encode(), "sha256").hexdigest()
        shown = sent_instead if content else b""
        request.data += b"%x;chunk-signature=%b\r\n%b\r\n" % (len(shown), previous.encode(), shown)
    return request


def test_the_chunks_of_a_document_are_verified(keyed_server: Server) -> None:
    dear = Path(keyed_server.world.objects.root) / "tunewright/dear"
    dear.write_bytes(b"x")
    other = DELETION.replace(b"dear", b"none")
    request = chunked(keyed_server, "/tunewright?delete", other, sent_instead=DELETION)
    assert (sent(keyed_server, request)[0], dear.exists()) == (403, True)
    request = chunked(keyed_server, "/tunewright?delete", DELETION, sent_instead=DELETION)
    assert (sent(keyed_server, request)[0], dear.exists()) == (200, False)


def test_large_bodies_are_refused(open_server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", open_server.port)
    connection.request("POST", "/", b" " * (9 << 20), {"X-Amz-Target": "SageMaker.ListTags"})
    answer = connection.getresponse()
    assert (answer.status, json.load(answer)["__type"]) == (413, "RequestEntityTooLargeException")
    connection.close()


def test_huge_heads_are_refused(open_server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", open_server.port)
    connection.request("GET", "/healthz", headers={f"X-{n}": "x" * 8000 for n in range(20)})
    assert connection.getresponse().status == 400
    connection.close()


# ---- keys ----


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_keys_are_read_from_json_and_ini(tmp_path: Path) -> None:
    found = {"AAA": Key("AAA", "secret-one"), "BBB": Key("BBB", "secret-two%", True)}
    text = '{"AAA": "secret-one", "BBB": {"secret": "secret-two%", "read_only": true}}'
    assert load_keys(write(tmp_path / "a", text)) == found
    text = "[AAA]\nsecret = secret-one\n[BBB]\nsecret=secret-two%\nread_only = yes\n"
    assert load_keys(write(tmp_path / "b", text)) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "no key"),
        ("", "no key"),
        ('{"AAA": "short"}', "fewer than 8"),
        ('{"A A": "long-enough"}', "no access key"),
        ('{"AAA": {"secret": "long-enough", "readonly": true}}', "read_only"),
        ('{"AAA": {"secret": "long-enough", "read_only": "no"}}', "true or false"),
        ("{", "cannot be read"),
        ("nonsense", "cannot be read"),
    ],
)
def test_wrong_keys_are_told(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=said):
        load_keys(write(tmp_path / "keys", text))


def test_keys_that_everybody_may_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="chmod 600"):
        load_keys(write(tmp_path / "keys", '{"AAA": "long-enough"}', 0o644))


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.com", False),
        ("", False),
        ("127.0.0.1.example.com", False),
    ],
)
def test_loopback(host: str, found: bool) -> None:
    assert is_loopback(host) is found
