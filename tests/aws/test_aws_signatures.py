"""Signatures against the examples of AWS's own documentation: what holds, for how long, and what breaks them."""

from __future__ import annotations

import calendar
import hashlib
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import HmacV1QueryAuth, S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tunewright.aws.http.call import Call
from tunewright.aws.http.sigv4 import EMPTY, UNSIGNED, Denied, Refusal, read_signature, verify

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
HOST = "examplebucket.s3.amazonaws.com"
MADE = float(calendar.timegm((2013, 5, 24, 0, 0, 0)))
"""When the examples of Amazon S3 were signed."""


def call(path: str, query: str = "", method: str = "GET", **headers: str) -> Call:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in {"host": HOST, **headers}.items()]
    scope = {"method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode()}

    async def receive() -> Any:
        raise AssertionError("the head alone is looked at")

    return Call({**scope, "headers": named}, receive, "id")


def admit(one: Call, now: float, payload: str, secret: str = SECRET) -> None:
    signature = read_signature(one)
    assert signature is not None
    verify(signature, one, secret, payload, now)


def refusal(one: Call, now: float, payload: str, secret: str = SECRET) -> Refusal:
    with pytest.raises(Denied) as denied:
        admit(one, now, payload, secret)
    return denied.value.refusal


def header(
    signature: str = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    signed: str = "host;range;x-amz-content-sha256;x-amz-date",
    date: str = "20130524",
) -> str:
    return (
        f"AWS4-HMAC-SHA256 Credential={KEY}/{date}/us-east-1/s3/aws4_request, "
        f"SignedHeaders={signed}, Signature={signature}"
    )


def get_object(authorization: str = "", at: str = "20130524T000000Z", **more: str) -> Call:
    """ "GET Object" of "Authenticating Requests: Using the Authorization Header"."""
    own = {"range": "bytes=0-9", "x_amz_content_sha256": EMPTY, "x_amz_date": at}
    return call("/test.txt", authorization=authorization or header(), **{**own, **more})


def signed_url(expires: str = "86400", at: str = "20130524T000000Z", more: str = "", **headers: str) -> Call:
    """The example of "Authenticating Requests: Using Query Parameters"."""
    signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    scope = f"{KEY}%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
    query = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={scope}&X-Amz-Date={at}&X-Amz-Expires={expires}"
    return call("/test.txt", f"{query}&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}{more}", **headers)


def test_a_signed_header() -> None:
    admit(get_object(), MADE, EMPTY)
    assert refusal(get_object(), MADE, EMPTY, SECRET + "x") is Refusal.MISMATCH
    assert refusal(get_object(), MADE, hashlib.sha256(b"x").hexdigest()) is Refusal.MISMATCH
    assert refusal(get_object(range="bytes=0-10"), MADE, EMPTY) is Refusal.MISMATCH
    admit(get_object(range="  bytes=0-9 "), MADE, EMPTY)


@pytest.mark.parametrize(
    ("after", "refused"),
    [
        (900.0, None),
        (-900.0, None),
        (901.0, Refusal.SKEWED),
        (-901.0, Refusal.SKEWED),
    ],
)
def test_a_signed_header_is_good_for_a_quarter_of_an_hour(after: float, refused: Refusal | None) -> None:
    if refused is None:
        admit(get_object(), MADE + after, EMPTY)
    else:
        assert refusal(get_object(), MADE + after, EMPTY) is refused


@pytest.mark.parametrize(
    ("after", "refused"),
    [
        (0.0, None),
        (86_400.0, None),
        (86_401.0, Refusal.EXPIRED),
        (-900.0, None),
        (-901.0, Refusal.SKEWED),
    ],
)
def test_a_signed_url_is_good_for_as_long_as_it_says(after: float, refused: Refusal | None) -> None:
    if refused is None:
        admit(signed_url(), MADE + after, UNSIGNED)
    else:
        assert refusal(signed_url(), MADE + after, UNSIGNED) is refused


def test_what_is_added_to_a_signed_url_breaks_it() -> None:
    assert refusal(signed_url(more="&acl"), MADE, UNSIGNED) is Refusal.MISMATCH
    assert refusal(signed_url(expires="86399"), MADE, UNSIGNED) is Refusal.MISMATCH
    assert refusal(signed_url(x_amz_acl="public-read"), MADE, UNSIGNED) is Refusal.MISMATCH


@pytest.mark.parametrize("expires", ["", "0", "-1", "x", "²", "604801", "9" * 40])
def test_how_long_a_signed_url_may_be_good_for(expires: str) -> None:
    assert refusal(signed_url(expires=expires), MADE, UNSIGNED) is Refusal.MALFORMED


def test_the_longest_signed_url_is_read() -> None:
    signature = read_signature(signed_url(expires="604800"))
    assert signature is not None and (signature.expires, signature.version) == (7 * 24 * 3600, 4)


@pytest.mark.parametrize(
    "one",
    [
        get_object(header(signed="range;x-amz-content-sha256;x-amz-date")),
        get_object(header(signed="host;range;x-amz-content-sha256")),
        get_object(x_amz_copy_source="/other/key"),
    ],
    ids=["host", "date", "copy source"],
)
def test_the_host_and_every_header_of_aws_has_to_be_signed(one: Call) -> None:
    with pytest.raises(Denied, match="Headers that were not signed") as denied:
        admit(one, MADE, EMPTY)
    assert denied.value.refusal is Refusal.MISMATCH


def test_the_hash_of_the_body_need_not_be_among_the_signed_headers() -> None:
    with pytest.raises(Denied, match="we calculated does not match"):
        admit(get_object(header(signed="host;range;x-amz-date")), MADE, EMPTY)


@pytest.mark.parametrize(
    "one",
    [
        get_object(header(date="20130523")),
        get_object(at=""),
        get_object(at="2013-05-24"),
        get_object(at="20130524"),
        get_object(header(signature="")),
        get_object(header(signed="")),
        get_object(header().replace("aws4_request", "aws5_request")),
        get_object(header().replace("us-east-1/", "")),
        get_object("AWS4-HMAC-SHA256"),
        get_object("AWS AKID:signature"),
        call("/k", "AWSAccessKeyId=a&Signature=b&Expires=soon"),
        call("/k", "AWSAccessKeyId=a&Signature=b&Expires=" + "9" * 13),
    ],
)
def test_what_cannot_be_read_is_malformed(one: Call) -> None:
    assert refusal(one, MADE, EMPTY) is Refusal.MALFORMED


def test_nobody_signed() -> None:
    assert read_signature(call("/k")) is None
    assert read_signature(call("/k", authorization="Basic YTpi")) is None
    assert read_signature(call("/k", "AWSAccessKeyId=a")) is None
    assert read_signature(call("/k", "Signature=b")) is None


@pytest.mark.parametrize(("signer", "service"), [(SigV4Auth, "sagemaker"), (S3SigV4Auth, "s3")])
@pytest.mark.parametrize("path", ["/", "/a%20b/c", "/a%2Bb/%C3%A9~"])
def test_paths_are_encoded_as_botocore_does(path: str, signer: type[SigV4Auth], service: str) -> None:
    request = AWSRequest("GET", f"http://{HOST}{path}", params={"b": "1 +/", "a/x": ""})
    signer(Credentials(KEY, SECRET), service, "us-east-1").add_auth(request)
    headers = {name.lower().replace("-", "_"): value for name, value in request.headers.items()}
    now = calendar.timegm(time.strptime(headers["x_amz_date"], "%Y%m%dT%H%M%SZ"))
    admit(call(path, "b=1%20%2B%2F&a%2Fx=", **headers), now, EMPTY)
    assert refusal(call(path + "x", "b=1%20%2B%2F&a%2Fx=", **headers), now, EMPTY) is Refusal.MISMATCH


def test_a_request_without_a_body() -> None:
    """ "ListUsers" of "Create a signed AWS API request"."""
    authorization = (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )
    kind = "application/x-www-form-urlencoded; charset=utf-8"
    headers = {"host": "iam.amazonaws.com", "content_type": kind, "x_amz_date": "20150830T123600Z"}
    one = call("/", "Version=2010-05-08&Action=ListUsers", authorization=authorization, **headers)
    made = float(calendar.timegm((2015, 8, 30, 12, 36, 0)))
    admit(one, made, EMPTY, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


def test_signed_urls_of_version_2() -> None:
    """ "Query String Request Authentication" of "Signing and authenticating REST requests"."""
    query = f"AWSAccessKeyId={KEY}&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620"
    one = call("/johnsmith/photos/puppy.jpg", query)
    admit(one, 1175139620.0, "")
    assert refusal(one, 1175139621.0, "") is Refusal.EXPIRED
    assert refusal(one, 1175139620.0, "", SECRET + "x") is Refusal.MISMATCH
    for changed in (
        call("/johnsmith/photos/puppy.jpg", query, "DELETE"),
        call("/johnsmith/photos/puppy.jpg", f"{query}&acl"),
        call("/johnsmith/photos/puppy.jpg", query, x_amz_acl="public-read"),
        call("/johnsmith/photos/kitten.jpg", query),
    ):
        assert refusal(changed, 1175139620.0, "") is Refusal.MISMATCH
    admit(call("/johnsmith/photos/puppy.jpg", f"{query}&more=of-no-meaning"), 1175139620.0, "")


def test_a_signature_of_version_2_is_good_for_one_bucket_however_it_is_named() -> None:
    request = AWSRequest("GET", f"http://{HOST}/photos/puppy.jpg", auth_path="/photos/puppy.jpg")
    HmacV1QueryAuth(Credentials(KEY, SECRET), 3600).add_auth(request)
    query = urlsplit(request.url).query
    admit(call("/photos/puppy.jpg", query), time.time(), "")
    admit(call("/puppy.jpg", query, host="photos.localhost:8765"), time.time(), "")
    assert refusal(call("/photos/puppy.jpg", query, host="other.localhost"), time.time(), "") is Refusal.MISMATCH


@pytest.mark.parametrize("query", ["acl", "uploads", "partNumber=1&uploadId=a%2Fb", "versionId=v&x=1"])
def test_what_version_2_signs_of_a_query_is_what_botocore_signs(query: str) -> None:
    request = AWSRequest("GET", f"http://{HOST}/johnsmith/k?{query}")
    HmacV1QueryAuth(Credentials(KEY, SECRET), 3600).add_auth(request)
    found = urlsplit(request.url)
    signature = read_signature(call(found.path, found.query))
    assert signature is not None and signature.expires is not None
    admit(call(found.path, found.query), signature.expires, "")
    assert refusal(call(found.path, found.query + "&delete"), signature.expires, "") is Refusal.MISMATCH
