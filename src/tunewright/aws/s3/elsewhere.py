"""What S3 requests are told when objects lie in another S3: where that is. Nothing is passed on."""

from __future__ import annotations

from tunewright.aws.http.call import Call, Send, send_answer
from tunewright.aws.s3.body import ChunkKey
from tunewright.aws.s3.faults import S3Fault, error_answer


class Elsewhere:
    """Stands where S3 stands, and refuses.

    Args:
        endpoint: of the S3 that holds the objects.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def open(self, bucket: str) -> None:
        """Buckets are made over there."""

    def close(self) -> None:
        """Nothing is held."""

    async def handle(self, call: Call, send: Send, key: ChunkKey | None = None) -> None:
        """Refuse one request."""
        call.note.service, call.note.error = "s3", "NotImplemented"
        text = f"Objects lie at {self._endpoint}; set AWS_ENDPOINT_URL_S3={self._endpoint} (see tunewright env)."
        answer = error_answer(S3Fault("NotImplemented", text, 501), call.request_id)
        await send_answer(send, answer, head_only=call.method == "HEAD")
