"""Conditions that a request puts on an object: the ETag it must have, the time since which it must have changed.

Source: RFC 9110, section 13, and Amazon S3's API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from tunewright.aws.s3.faults import S3Fault, no_key
from tunewright.aws.s3.store import Found

COPY = "x-amz-copy-source-"


def unchanged(headers: Mapping[str, str], found: Found) -> bool:
    """Whether a reader has the object already. Raises S3Fault when it is another one than the reader wants."""
    _demand(headers, found, "")
    return _known(headers, found, "")


def check_copy(headers: Mapping[str, str], found: Found) -> None:
    """Raises S3Fault when the source of a copy is not as it was demanded."""
    _demand(headers, found, COPY)
    if _known(headers, found, COPY):
        raise _failed()


def check_write(headers: Mapping[str, str], key: str, there: Found | None) -> None:
    """Raises S3Fault when what is to be replaced is not as it was demanded."""
    if headers.get("if-none-match") == "*" and there is not None:
        raise _failed()
    if wanted := headers.get("if-match"):
        if there is None:
            raise no_key(key)
        if not _names(wanted, there):
            raise _failed()


def _demand(headers: Mapping[str, str], found: Found, prefix: str) -> None:
    if wanted := headers.get(f"{prefix}if-match"):
        if not _names(wanted, found):
            raise _failed()
    elif (since := _time(headers.get(f"{prefix}if-unmodified-since", ""))) is not None and int(found.modified) > since:
        raise _failed()


def _known(headers: Mapping[str, str], found: Found, prefix: str) -> bool:
    if known := headers.get(f"{prefix}if-none-match"):
        return _names(known, found)
    since = _time(headers.get(f"{prefix}if-modified-since", ""))
    return since is not None and int(found.modified) <= since


def _names(text: str, found: Found) -> bool:
    tags = {f'"{each.strip().removeprefix("W/").strip(chr(34))}"' for each in text.split(",")}
    return text.strip() == "*" or found.facts.etag in tags


def _time(text: str) -> float | None:
    """Seconds since the epoch; what is no date is no condition."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _failed() -> S3Fault:
    return S3Fault("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", 412)
