"""Tokens of CloudWatch Logs: where a listing of streams or a search in them goes on."""

from __future__ import annotations

import base64
import json

from tunewright.aws.faults import Fault


def token(place: str | None, *numbers: int) -> str:
    """The token of a place and of how much further on in it."""
    text = json.dumps([place, *numbers], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def read_token(given: object, numbers: int) -> tuple[str | None, list[int]]:
    """What a token was made of; the beginning when there is none. Raises Fault for a token that is none of ours."""
    if not given:
        return None, [0] * numbers
    try:
        place, *found = json.loads(base64.b64decode(str(given), altchars=b"-_", validate=True))
    except (ValueError, RecursionError, TypeError):
        raise bad_token() from None
    whole = all(type(number) is int and number >= 0 for number in found)
    if len(found) != numbers or not whole or not isinstance(place, str | None):
        raise bad_token()
    return place, found


def bad_token() -> Fault:
    return Fault("InvalidParameterException", "The specified nextToken is invalid.")
