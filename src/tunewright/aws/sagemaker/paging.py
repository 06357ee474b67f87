"""Opaque NextTokens: the position after a page, and a mark of the question it belongs to."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

from tunewright.aws.sagemaker.protocol import Wire, shorten
from tunewright.core.errors import Invalid

_FREE = frozenset({"NextToken", "MaxResults"})


def next_token(operation: str, request: Wire, after: str | None) -> str | None:
    """The token that continues after a page; None at the end."""
    if after is None:
        return None
    text = json.dumps([_mark(operation, request), after], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def position(operation: str, request: Wire) -> str | None:
    """Where a request's NextToken says to go on. Raises Invalid for a token of another question, or none of ours."""
    token = request.get("NextToken")
    if token is None:
        return None
    try:
        mark, after = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
    except (ValueError, RecursionError, TypeError):
        mark, after = None, None
    if mark != _mark(operation, request) or not isinstance(after, str):
        text = f"{shorten(token, 40)!r} is not of this list; send the last page's NextToken with the same filters."
        raise Invalid.one("nextToken", text)
    return after


def _mark(operation: str, request: Mapping[str, Any]) -> int:
    asked = {name: value for name, value in sorted(request.items()) if name not in _FREE}
    return zlib.crc32(json.dumps([operation, asked]).encode())
