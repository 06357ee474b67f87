"""One port for every service: what a request names decides who answers it.

In this order: the X-Amz-Target header (SageMaker, CloudWatch Logs, CloudWatch), the service in the signature's
scope (IAM, STS, CloudWatch, S3), a form's action; what is left without a signature is a page or S3.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from tunewright.aws import query
from tunewright.aws.cloudwatch import XML_NAMESPACE, Monitoring
from tunewright.aws.faults import Answer, Fault, error_answer, fault_of
from tunewright.aws.figures import Figures
from tunewright.aws.http.call import ASGIApp, Call, Gone, Message, Receive, Scope, Send, Slow, region_of, send_answer
from tunewright.aws.http.gate import Gate, Visitor
from tunewright.aws.http.sigv4 import Denied, Refusal, Signature, signing_key
from tunewright.aws.identity import IAM, STS, Identity
from tunewright.aws.logs.service import Logs
from tunewright.aws.s3 import faults as s3_faults
from tunewright.aws.s3.body import ChunkKey
from tunewright.aws.s3.elsewhere import Elsewhere
from tunewright.aws.s3.faults import S3Fault
from tunewright.aws.s3.service import S3
from tunewright.aws.sagemaker.operations import Operations

T = TypeVar("T")

TARGETS = {"SageMaker": "sagemaker", "Logs_20140328": "logs", "GraniteServiceVersion20100801": "monitoring"}
JSON_CODES = {
    Refusal.MISSING: "MissingAuthenticationTokenException",
    Refusal.MALFORMED: "IncompleteSignatureException",
    Refusal.UNKNOWN_KEY: "UnrecognizedClientException",
    Refusal.MISMATCH: "InvalidSignatureException",
    Refusal.SKEWED: "InvalidSignatureException",
    Refusal.EXPIRED: "InvalidSignatureException",
    Refusal.READ_ONLY: "AccessDeniedException",
    Refusal.PLACE: "AccessDeniedException",
}
QUERY_CODES = {
    Refusal.MISSING: "MissingAuthenticationToken",
    Refusal.MALFORMED: "IncompleteSignature",
    Refusal.UNKNOWN_KEY: "InvalidClientTokenId",
    Refusal.MISMATCH: "SignatureDoesNotMatch",
    Refusal.SKEWED: "SignatureDoesNotMatch",
    Refusal.EXPIRED: "SignatureDoesNotMatch",
    Refusal.READ_ONLY: "AccessDenied",
    Refusal.PLACE: "AccessDenied",
}
S3_CODES = {
    **QUERY_CODES,
    Refusal.MISSING: "AccessDenied",
    Refusal.MALFORMED: "AuthorizationHeaderMalformed",
    Refusal.UNKNOWN_KEY: "InvalidAccessKeyId",
    Refusal.SKEWED: "RequestTimeTooSkewed",
    Refusal.EXPIRED: "AccessDenied",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """Everybody who answers.

    Args:
        sagemaker: the operations of a region.
        pages: the application for what is no AWS request, with the first parts of its paths.
        region: the region of requests that name none.
    """

    sagemaker: Callable[[str], Operations]
    s3: S3 | Elsewhere
    logs: Logs
    monitoring: Monitoring
    identity: Identity
    pages: ASGIApp
    page_roots: frozenset[str]
    region: str


class Router:
    """The application behind the port."""

    def __init__(self, services: Services, gate: Gate, figures: Figures) -> None:
        self._services, self._gate, self._figures = services, gate, figures
        self._threads = ThreadPoolExecutor(8, "tunewright-api")
        tables = {
            "sts": (services.identity.sts, STS),
            "iam": (services.identity.iam, IAM),
            "monitoring": (services.monitoring.query, XML_NAMESPACE),
        }
        self._actions: dict[str, tuple[str, query.Action | None, str]] = {
            action: (service, act, namespace)
            for service, (actions, namespace) in tables.items()
            for action, act in actions.items()
        }

    def close(self) -> None:
        self._threads.shutdown(wait=True)
        self._services.s3.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._services.pages(scope, receive, send)
            return
        call, started, said = Call(scope, receive, str(uuid.uuid4())), time.perf_counter(), [0]

        async def speak(message: Message) -> None:
            if message["type"] == "http.response.start":
                said[0] = message["status"]
                if call.must_close:
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        try:
            await self._route(call, speak)
        except (Gone, Slow) as error:
            call.note.error = type(error).__name__
            if not said[0]:
                text = b"The request did not arrive in time.\n"
                await send_answer(speak, (408, {"Content-Type": "text/plain", "Connection": "close"}, text))
        except (
            Exception
        ) as error:  # the last stop: no request's fault ends the server, and its client is owed an answer
            call.note.error = type(error).__name__
            log.exception("the request %s failed", call.request_id)
            if said[0]:
                raise
            await send_answer(speak, self._internal(call))
        finally:
            self._figures.record(call, said[0], time.perf_counter() - started)

    def _internal(self, call: Call) -> Answer:
        if call.note.service == "s3":
            fault = S3Fault("InternalError", "We encountered an internal error. Please try again.", 500)
            return s3_faults.error_answer(fault, call.request_id)
        return error_answer(fault_of(Exception()))

    # ---- who answers ----

    async def _route(self, call: Call, send: Send) -> None:
        target = call.headers.get("x-amz-target")
        if target is not None:
            await self._json(call, send, target)
            return
        root = call.raw_path.split("/", 2)[1] if call.raw_path.startswith("/") else ""
        try:
            signature = self._gate.announced(call)
        except Denied as denied:
            await send_answer(send, self._refused(call, denied, S3_CODES))
            return
        form = call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        match signature.service if signature else "":
            case "iam" | "sts" | "monitoring":
                await self._query(call, send, signature)
            case "s3":
                await self._s3(call, send, signature)
            case "" if root in self._services.page_roots:
                await self._page(call, send)
            case "" if form and call.raw_path == "/" and call.method == "POST":
                await self._query(call, send, None)
            case "":
                await self._s3(call, send, None)
            case other:
                text = f"The service {other[:40]!r} is not part of this server, or this request of it is not."
                await send_answer(send, error_answer(self._failed(call, Fault("UnknownOperationException", text, 404))))

    # ---- JSON: SageMaker, CloudWatch Logs, CloudWatch ----

    async def _json(self, call: Call, send: Send, target: str) -> None:
        prefix, _, operation = target.rpartition(".")
        try:
            signature = self._gate.announced(call)
            body = await call.body()
            visitor = self._gate.admit(call, signature, body)
            self._gate.check_service(visitor, TARGETS.get(prefix, ""))
            call.note.service = TARGETS.get(prefix, "unknown")
            self._gate.check_operation(visitor, operation)
            answer = await self._do(self._answer, call, operation, body, visitor)
        except Denied as denied:
            answer = self._refused(call, denied, JSON_CODES)
        except (Gone, Slow):
            raise
        # Broad: a bug must not cost the client its answer in the form it reads; `_failed` logs it with its trace.
        except Exception as error:
            answer = error_answer(self._failed(call, error))
        status, headers, text = answer
        await send_answer(send, (status, {**headers, "x-amzn-RequestId": call.request_id}, text))

    def _answer(self, call: Call, operation: str, body: bytes, visitor: Visitor) -> Answer:
        region = region_of(visitor.region, self._services.region)
        match call.note.service:
            case "sagemaker":
                operations = self._services.sagemaker(region)
                if operation in operations.methods or operation in operations.creations:
                    call.note.operation = operation
                answer = operations.handle(operation, body)
                call.note.error = answer[1].get("x-amzn-ErrorType", "")
                return answer
            case "logs":
                logs = self._services.logs
                call.note.operation = operation if operation in logs.methods else ""
                return logs.handle(operation, body, region)
            case "monitoring":
                answer = self._services.monitoring.handle(operation, body)
                call.note.operation = operation
                return answer
        raise Fault("UnknownOperationException", f"Nobody here answers to the target of {operation[:80]!r}.")

    def _failed(self, call: Call, error: Exception) -> Fault:
        """What a client is told of an error; one that is not its own fault is logged."""
        fault = fault_of(error)
        if fault.status >= 500:
            log.exception("the request %s failed", call.request_id, exc_info=error)
        call.note.error = fault.code
        return fault

    # ---- forms: STS, IAM, CloudWatch ----

    async def _query(self, call: Call, send: Send, signature: Signature | None) -> None:
        try:
            body = await call.body()
            visitor = self._gate.admit(call, signature, body)
            form = query.read_form(body, call.query)
            action = form.get("Action", "")
            service, act, namespace = self._actions.get(action, ("", None, ""))
            self._gate.check_service(visitor, service)
            call.note.service = service or visitor.service or "sts"
            if act is None:
                raise Fault("InvalidAction", f"The action {action[:80]!r} is not supported here.")
            call.note.operation = action
            self._gate.check_operation(visitor, action)
            answer = query.answer(action, await self._do(act, form), namespace, call.request_id)
        except Denied as denied:
            answer = self._refused(call, denied, QUERY_CODES)
        except (Gone, Slow):
            raise
        # Broad, as in `_json`: here the form is XML.
        except Exception as error:
            answer = query.error_answer(self._failed(call, error), call.request_id)
        await send_answer(send, answer)

    # ---- S3 and pages ----

    async def _s3(self, call: Call, send: Send, signature: Signature | None) -> None:
        call.note.service = "s3"
        try:
            visitor = self._gate.admit(call, signature, None)
            self._gate.check_operation(visitor, "Get" if call.method in ("GET", "HEAD") else f"{call.method} in S3")
        except Denied as denied:
            await send_answer(send, self._refused(call, denied, S3_CODES), head_only=call.method == "HEAD")
            return
        key = None
        if visitor.key is not None and signature is not None and signature.version == 4:
            key = ChunkKey(signing_key(signature, visitor.key.secret), signature)
        await self._services.s3.handle(call, send, key)

    async def _page(self, call: Call, send: Send) -> None:
        call.note.service = "pages"
        if call.raw_path not in ("/healthz", "/metrics"):
            try:
                self._gate.admit_page(call)
            except Denied as denied:
                call.note.error = str(denied.refusal)
                asked = {"WWW-Authenticate": 'Basic realm="Tunewright"'} if denied.refusal is Refusal.MISSING else {}
                status = 401 if asked else 403
                text = f"{denied.message}\n".encode()
                await send_answer(send, (status, {"Content-Type": "text/plain; charset=utf-8", **asked}, text))
                return
        await self._services.pages(call.scope, call.receive, send)

    # ---- helpers ----

    def _refused(self, call: Call, denied: Denied, codes: dict[Refusal, str]) -> Answer:
        code = call.note.error = codes[denied.refusal]
        if codes is JSON_CODES:
            return error_answer(Fault(code, denied.message, 400))
        if codes is QUERY_CODES:
            return query.error_answer(Fault(code, denied.message, 403), call.request_id)
        call.note.service = "s3"
        return s3_faults.error_answer(S3Fault(code, denied.message, 403), call.request_id)

    async def _do(self, function: Callable[..., T], *arguments: object) -> T:
        work = functools.partial(function, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
