"""S3's answers and the headers of its requests: what several operations read and write alike."""

from __future__ import annotations

import re
from email.utils import formatdate
from typing import Any

from tunewright.aws.faults import Answer
from tunewright.aws.http.call import Call
from tunewright.aws.s3.faults import S3Fault
from tunewright.aws.s3.store import DEFAULT_TYPE, Found
from tunewright.aws.s3.uploads import MAX_PARTS
from tunewright.aws.s3.xml import document

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_KEPT = ("content-type", "content-encoding", "content-disposition", "content-language", "cache-control", "expires")

XML = {"Content-Type": "application/xml"}
STRANGERS = {"Content-Security-Policy": "sandbox allow-scripts"}
"""A page among the objects has no part in this server's origin: in a browser it must not give orders here."""
OWNER = {"ID": "tunewright", "DisplayName": "tunewright"}


def xml(name: str, tree: Any) -> Answer:
    return 200, dict(XML), document(name, tree)


def read_limit(query: dict[str, str], name: str, default: int = 1000) -> int:
    """A number in a query, cut to what S3 allows. Raises S3Fault when it is none."""
    text = query.get(name) or str(default)
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise S3Fault("InvalidArgument", f"{name} has to be a number, got {text[:20]!r}.")
    return min(int(text), MAX_PARTS if name == "part-number-marker" else 1000)


def read_part_number(call: Call) -> int:
    """The number of the part that is uploaded. Raises S3Fault when it is none."""
    text = call.query.get("partNumber", "")
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= MAX_PARTS:
        raise S3Fault("InvalidArgument", f"Part number must be an integer between 1 and {MAX_PARTS}, inclusive")
    return int(text)


def described(call: Call) -> tuple[dict[str, str], dict[str, str]]:
    """What a client says of an object beside its bytes. Raises S3Fault when that is too much."""
    kept = {name: call.headers[name] for name in _KEPT if name in call.headers}
    encodings = [each.strip() for each in kept.get("content-encoding", "").split(",")]
    kept["content-encoding"] = ",".join(each for each in encodings if each and each != "aws-chunked")
    user = {n.removeprefix("x-amz-meta-"): v for n, v in call.headers.items() if n.startswith("x-amz-meta-")}
    if sum(len(name) + len(value) for name, value in user.items()) > 2048:
        raise S3Fault("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size of 2 KB.")
    return {name: value for name, value in kept.items() if value}, user


def encryption(call: Call) -> dict[str, str]:
    """Encryption is not done here; SDKs that asked for it want to hear that it was."""
    name = "x-amz-server-side-encryption"
    return {name: call.headers[name]} if name in call.headers else {}


def looks(found: Found, call: Call) -> dict[str, str]:
    """The headers that tell of an object; some may be replaced by the query's `response-...`."""
    headers = {"content-type": DEFAULT_TYPE, **found.facts.headers}
    headers |= {f"x-amz-meta-{name}": value for name, value in found.facts.user.items()}
    headers |= {"x-amz-tagging-count": str(len(found.facts.tags))} if found.facts.tags else {}
    for name in ("content-type", "content-disposition", "content-encoding", "content-language", "cache-control"):
        if (value := call.query.get(f"response-{name}")) and value.isascii() and value.isprintable():
            headers[name] = value
    modified = formatdate(int(found.modified), usegmt=True)
    told = {"ETag": found.facts.etag, "Last-Modified": modified, "Accept-Ranges": "bytes"}
    return {**headers, **told, **STRANGERS}


def read_span(text: str, size: int) -> tuple[int, int] | None:
    """The bytes that a Range header asks for, as start and end; None for all of them. Raises S3Fault."""
    found = _RANGE.fullmatch(text.strip())
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":
        start, end = max(0, size - int(found[2])), size
    else:
        start, end = int(found[1]), min(size, int(found[2]) + 1 if found[2] else size)
    if start >= end:
        raise S3Fault("InvalidRange", f"The requested range is not satisfiable: {text[:60]} of {size} bytes.", 416)
    return start, end
