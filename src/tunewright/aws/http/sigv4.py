"""Signatures of requests, verified: AWS Signature Version 4 in headers and in URLs, and version 2 in URLs.

Sources: AWS's reference "Create a signed AWS API request" (canonical request, string to sign, signing key) and,
for version 2, "Signing and authenticating REST requests" of Amazon S3; botocore still signs URLs with the latter.
"""

from __future__ import annotations

import base64
import calendar
import hashlib
import hmac
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, unquote, unquote_plus

from tunewright.aws.http.call import Call
from tunewright.core.errors import TunewrightError

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW_SECONDS = 900.0
MAX_EXPIRES = 7 * 86_400
UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY = hashlib.sha256(b"").hexdigest()

_FIELD = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]+)")
_SUBRESOURCES = frozenset(
    {"acl", "delete", "location", "partNumber", "tagging", "uploadId", "uploads", "versionId", "versioning"}
    | {f"response-{name}" for name in ("cache-control", "content-disposition", "content-encoding")}
    | {f"response-{name}" for name in ("content-language", "content-type", "expires")}
)


class Refusal(StrEnum):
    """Why a request is not let in; each protocol has its own code for it."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown key"
    MISMATCH = "mismatch"
    SKEWED = "skewed"
    EXPIRED = "expired"
    READ_ONLY = "read only"
    PLACE = "place"


class Denied(TunewrightError):
    """A request that is not let in."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        self.refusal, self.message = refusal, message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a request says about who signed it, and how. Nothing of it is verified yet.

    Args:
        signed: names of the signed headers, in lower case.
        at: when it was signed, as sent (`20260101T000000Z`).
        expires: seconds that a signed URL is good for; None for a signed header.
        version: 4, or 2 for the old form of signed URLs.
    """

    access_key: str
    date: str
    region: str
    service: str
    signed: tuple[str, ...]
    signature: str
    at: str
    expires: int | None = None
    version: int = 4

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def read_signature(call: Call) -> Signature | None:
    """Who says to have signed a request, or None for nobody. Raises Denied for what cannot be read."""
    header = call.headers.get("authorization", "")
    if header.startswith(ALGORITHM):
        fields = dict(_FIELD.findall(header))
        at = call.headers.get("x-amz-date", "")
        return _made(fields.get("Credential", ""), fields.get("SignedHeaders", ""), fields.get("Signature", ""), at)
    query = call.query
    if query.get("X-Amz-Algorithm") == ALGORITHM:
        credential, signed = query.get("X-Amz-Credential", ""), query.get("X-Amz-SignedHeaders", "")
        signature, at = query.get("X-Amz-Signature", ""), query.get("X-Amz-Date", "")
        return _made(credential, signed, signature, at, expires=query.get("X-Amz-Expires", ""))
    if "AWSAccessKeyId" in query and "Signature" in query:
        expires = query.get("Expires", "")
        if not expires.isdecimal() or len(expires) > 12:
            raise Denied(Refusal.MALFORMED, "Expires is not a time.")
        key, signature = query["AWSAccessKeyId"], query["Signature"]
        return Signature(key, "", "", "s3", (), signature, "", int(expires), version=2)
    if header and not header.startswith("Basic "):
        raise Denied(Refusal.MALFORMED, f"The Authorization header does not begin with {ALGORITHM}.")
    return None


def _made(credential: str, signed: str, signature: str, at: str, expires: str | None = None) -> Signature:
    parts = credential.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request" or not signed or not signature:
        raise Denied(Refusal.MALFORMED, "The signature names no Credential, SignedHeaders or Signature of version 4.")
    if expires is not None and not (expires.isdecimal() and len(expires) < 7 and 0 < int(expires) <= MAX_EXPIRES):
        raise Denied(Refusal.MALFORMED, f"X-Amz-Expires must be between 1 and {MAX_EXPIRES}.")
    key, date, region, service = parts[:4]
    return Signature(
        key,
        date,
        region,
        service,
        tuple(signed.lower().split(";")),
        signature,
        at,
        None if expires is None else int(expires),
    )


def verify(signature: Signature, call: Call, secret: str, payload: str, now: float) -> None:
    """Check a signature.

    Args:
        payload: the hash of the body in hexadecimal, or the word that stands for it.
        now: seconds since the epoch.

    Raises:
        Denied: the signature is another one, or too old, or does not cover what it has to.
    """
    if signature.version == 2:
        _verify_2(signature, call, secret, now)
        return
    _check_time(signature, now)
    _check_covered(signature, call)
    text = "\n".join(
        (
            call.method,
            _canonical_path(call.raw_path, signature.service),
            _canonical_query(call.raw_query),
            "".join(f"{name}:{' '.join(_header(call, name).split())}\n" for name in signature.signed),
            ";".join(signature.signed),
            payload,
        )
    )
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    asked = f"{ALGORITHM}\n{signature.at}\n{signature.scope}\n{digest}"
    good = hmac.new(signing_key(signature, secret), asked.encode(), hashlib.sha256).hexdigest()
    _compare(good, signature.signature)


def signing_key(signature: Signature, secret: str) -> bytes:
    """The key of a day, a region and a service."""
    key = f"AWS4{secret}".encode()
    for part in (signature.date, signature.region, signature.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _compare(good: str, given: str) -> None:
    if not hmac.compare_digest(good.encode(), given.encode("utf-8", "replace")):
        text = (
            "The request signature we calculated does not match the signature you provided. Check your key and secret."
        )
        raise Denied(Refusal.MISMATCH, text)


def _check_time(signature: Signature, now: float) -> None:
    try:
        at = calendar.timegm(time.strptime(signature.at, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise Denied(Refusal.MALFORMED, "The signature has no time (X-Amz-Date).") from None
    if signature.at[:8] != signature.date:
        raise Denied(Refusal.MALFORMED, "The day of the credential is not the day of X-Amz-Date.")
    if signature.expires is not None and now > at + signature.expires:
        raise Denied(Refusal.EXPIRED, "Request has expired")
    if at > now + SKEW_SECONDS or (signature.expires is None and now > at + SKEW_SECONDS):
        raise Denied(Refusal.SKEWED, "The signature has expired, or the clocks of client and server differ too much.")


def _check_covered(signature: Signature, call: Call) -> None:
    """The host and every x-amz header have to be signed, or somebody in between could change what is asked."""
    open_ones = [name for name in call.headers if name.startswith("x-amz-") and name not in signature.signed]
    # SHA-256 of the body takes part in the signature by itself.
    open_ones = [name for name in open_ones if name != "x-amz-content-sha256"]
    if "host" not in signature.signed or open_ones:
        raise Denied(Refusal.MISMATCH, f"Headers that were not signed: {', '.join(open_ones) or 'host'}.")


def _header(call: Call, name: str) -> str:
    """A header as its bytes were signed: clients sign text in UTF-8, and send it so."""
    return call.headers.get(name, "").encode("latin-1").decode("utf-8", "surrogateescape")


def _canonical_path(raw: str, service: str) -> str:
    # S3 encodes a path once; every other service encodes the encoded path again.
    once = "/".join(quote(unquote(part), safe="-_.~") for part in raw.split("/")) or "/"
    return once if service == "s3" else "/".join(quote(part, safe="-_.~") for part in once.split("/"))


def _canonical_query(pairs: Iterable[tuple[str, str]]) -> str:
    encoded = (
        (quote(unquote_plus(name), safe="-_.~"), quote(unquote_plus(value), safe="-_.~"))
        for name, value in pairs
        if name != "X-Amz-Signature"
    )
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def _verify_2(signature: Signature, call: Call, secret: str, now: float) -> None:
    if signature.expires is None or now > signature.expires:
        raise Denied(Refusal.EXPIRED, "Request has expired")
    headers = call.headers
    amz = "".join(f"{name}:{_header(call, name).strip()}\n" for name in sorted(headers) if name.startswith("x-amz-"))
    # Names are decoded first, as they are for whoever answers.
    pairs = sorted((unquote_plus(name), value) for name, value in call.raw_query)
    shown = [f"{name}={unquote(value)}" if value else name for name, value in pairs if name in _SUBRESOURCES]
    # Version 2 signs no host, but the bucket that it names.
    bucket = f"/{call.host_bucket}" if call.host_bucket else ""
    resource = bucket + call.raw_path + (f"?{'&'.join(shown)}" if shown else "")
    md5, kind = _header(call, "content-md5"), _header(call, "content-type")
    text = f"{call.method}\n{md5}\n{kind}\n{signature.expires}\n{amz}{resource}"
    good = hmac.digest(secret.encode(), text.encode("utf-8", "surrogateescape"), "sha1")
    _compare(base64.b64encode(good).decode(), signature.signature)
