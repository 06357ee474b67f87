"""S3's errors."""

from __future__ import annotations

from xml.sax.saxutils import escape

from tunewright.aws.faults import Answer


class S3Fault(Exception):
    """An S3 answer that is an error."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        self.code, self.message, self.status = code, message, status
        super().__init__(f"{code}: {message}")


def no_bucket(name: str) -> S3Fault:
    return S3Fault("NoSuchBucket", f"The specified bucket does not exist: {name}", 404)


def no_key(key: str) -> S3Fault:
    return S3Fault("NoSuchKey", f"The specified key does not exist: {key}", 404)


def no_upload() -> S3Fault:
    return S3Fault("NoSuchUpload", "The specified upload does not exist; it may have been completed or aborted.", 404)


def text(content: str) -> str:
    """Text as XML holds it; characters that XML cannot hold are left out."""
    return escape("".join(c for c in content if c >= " " or c in "\t\n\r"))


def error_answer(fault: S3Fault, request_id: str) -> Answer:
    """An error as S3 tells it."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{text(fault.code)}</Code><Message>{text(fault.message)}</Message>"
        f"<RequestId>{request_id}</RequestId></Error>"
    )
    return (
        fault.status,
        {"Content-Type": "application/xml", "x-amz-request-id": request_id},
        body.encode("utf-8", "replace"),
    )
