"""AWS's query protocol: a form in, XML out. STS, IAM, and CloudWatch for older clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias
from urllib.parse import parse_qsl

from tunewright.aws.faults import Answer, Fault
from tunewright.aws.s3_faults import text
from tunewright.aws.s3_xml import Tree, document

Form: TypeAlias = Mapping[str, str]
Action: TypeAlias = Callable[[Form], Tree]

MAX_FIELDS = 2000


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


def answer(action: str, result: Tree, namespace: str, request_id: str) -> Answer:
    tree: Tree = {f"{action}Result": result, "ResponseMetadata": {"RequestId": request_id}}
    return (
        200,
        {"Content-Type": "text/xml", "x-amzn-RequestId": request_id},
        document(f"{action}Response", tree, namespace),
    )


def error_answer(fault: Fault, request_id: str) -> Answer:
    kind = "Sender" if fault.status < 500 else "Receiver"
    body = (
        f"<ErrorResponse><Error><Type>{kind}</Type><Code>{text(fault.code)}</Code>"
        f"<Message>{text(fault.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return fault.status, {"Content-Type": "text/xml", "x-amzn-RequestId": request_id}, body.encode("utf-8", "replace")
