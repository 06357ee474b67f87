"""AWS's query protocol: a form in, XML out. STS, IAM, and CloudWatch for older clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from tunewright.aws.faults import Answer, Fault
from tunewright.aws.s3.faults import text
from tunewright.aws.s3.xml import Tree, document

Form: TypeAlias = Mapping[str, str]
Action: TypeAlias = Callable[[Form], Tree]

MAX_FIELDS, MAX_DEPTH = 2000, 12


def read_form(body: bytes, query: Mapping[str, str]) -> dict[str, str]:
    """The fields of a request. Raises Fault when it is no form."""
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise Fault("MalformedQueryString", "The request body is not a form.") from None
    return {**query, **dict(pairs)}


def members(form: Form, name: str) -> list[str]:
    """The values of a list, in order: `Name.member.1`, `Name.member.2` ..."""
    found, number = [], 1
    while (value := form.get(f"{name}.member.{number}")) is not None:
        found.append(value)
        number += 1
    return found


def unfold(form: Form) -> dict[str, Any]:
    """A form's fields as nested members: `Dimensions.member.1.Name` is the name of the first of the dimensions.

    Raises:
        Fault: a field stands where others stand below it, or the numbers of a list have gaps.
    """
    top: dict[str, Any] = {}
    for name, value in form.items():
        *way, last = name.split(".")
        if len(way) > MAX_DEPTH:
            raise Fault("MalformedQueryString", f"The field {name[:200]!r} is nested too deeply.")
        place = top
        for step in way:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise Fault("MalformedQueryString", f"The field {name[:200]!r} stands below another.")
        if last in place:
            raise Fault("MalformedQueryString", f"The field {name[:200]!r} has others below it.")
        place[last] = value
    return {name: _unlisted(value) for name, value in top.items()}


def _unlisted(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    listed = value.get("member") if set(value) == {"member"} else None
    if not isinstance(listed, dict):
        return {name: _unlisted(inner) for name, inner in value.items()}
    numbers = [str(number) for number in range(1, len(listed) + 1)]
    if set(listed) != set(numbers):
        raise Fault("MalformedQueryString", "The members of a list have to be numbered from 1 without gaps.")
    return [_unlisted(listed[number]) for number in numbers]


def answer(action: str, result: Tree, namespace: str, request_id: str) -> Answer:
    """An action's result as the query protocol tells it."""
    tree: Tree = {f"{action}Result": result, "ResponseMetadata": {"RequestId": request_id}}
    return (
        200,
        {"Content-Type": "text/xml", "x-amzn-RequestId": request_id},
        document(f"{action}Response", tree, namespace),
    )


def error_answer(fault: Fault, request_id: str) -> Answer:
    """An error as the query protocol tells it."""
    kind = "Sender" if fault.status < 500 else "Receiver"
    body = (
        f"<ErrorResponse><Error><Type>{kind}</Type><Code>{text(fault.code)}</Code>"
        f"<Message>{text(fault.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return fault.status, {"Content-Type": "text/xml", "x-amzn-RequestId": request_id}, body.encode("utf-8", "replace")
