"""Errors as AWS tells them: a code, a text, and the body that botocore reads them from."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import TypeAlias

from tunewright.aws.sagemaker.protocol import BadBody, UnknownOperation, Violation
from tunewright.core.errors import (
    AlreadyExists,
    Invalid,
    LimitExceeded,
    NotFound,
    Problem,
    StaleVersion,
    WrongState,
)

Answer: TypeAlias = tuple[int, dict[str, str], bytes]

CONTENT_TYPE = "application/x-amz-json-1.1"
TRAINING_NOT_FOUND = "Requested resource not found."


class Fault(Exception):
    """An answer that is an error."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        self.code, self.message, self.status = code, message, status
        super().__init__(f"{code}: {message}")


def invalid(violations: Sequence[Violation], problems: Sequence[Problem] = ()) -> Fault:
    """One ValidationException that tells of everything at once."""
    texts = [str(violation) for violation in violations] + [str(problem) for problem in problems]
    if len(texts) == 1 and not violations:
        return Fault("ValidationException", texts[0])
    noun = "error" if len(texts) == 1 else "errors"
    return Fault("ValidationException", f"{len(texts)} validation {noun} detected: {'; '.join(texts)}")


def fault_of(error: Exception) -> Fault:
    """The wire's form of an error of ours; anything unforeseen is an InternalFailure that tells nothing."""
    match error:
        case Fault():
            return error
        case Invalid():
            return invalid((), error.problems)
        case NotFound() if "tuning" in error.kind:
            return tuning_not_found(error.name)
        case NotFound():
            return Fault("ValidationException", TRAINING_NOT_FOUND)
        case AlreadyExists():
            return Fault("ResourceInUse", str(error))
        case WrongState():
            return Fault("ValidationException", str(error))
        case LimitExceeded():
            return Fault("ResourceLimitExceeded", str(error))
        case StaleVersion():
            return Fault("ThrottlingException", "Rate exceeded")
        case BadBody():
            return Fault("SerializationException", str(error))
        case UnknownOperation():
            return Fault("UnknownOperationException", str(error))
        case _:
            return Fault("InternalFailure", "The request failed because of an internal error.", 500)


def tuning_not_found(name: str) -> Fault:
    """AMT's text for an unknown tuning job."""
    return Fault("ResourceNotFound", f"Amazon SageMaker can't find a tuning job called {name}. Type another name.")


def tuning_exists(name: str) -> Fault:
    """AMT's text for a tuning job's name that is taken."""
    text = f"A hyperparameter tuning job with the name, {name}, already exists. Choose a different name."
    return Fault("ResourceInUse", text)


def training_exists(arn: str) -> Fault:
    """AMT's text for a training job's name that is taken."""
    text = (
        "Training job names must be unique within an account and Region, and a training job with this name"
        f" already exists ({arn}). Choose a different name."
    )
    return Fault("ResourceInUse", text)


def answer(body: bytes) -> Answer:
    """A JSON body as an answer that is none of an error."""
    return 200, _headers(), body


def error_answer(fault: Fault) -> Answer:
    """An error as the JSON protocol tells it."""
    # Modelled exceptions have a member Message; the others, and every client, know the text in small letters.
    body = json.dumps({"__type": fault.code, "message": fault.message, "Message": fault.message}).encode()
    return fault.status, {**_headers(), "x-amzn-ErrorType": fault.code}, body


def _headers() -> dict[str, str]:
    return {"Content-Type": CONTENT_TYPE, "x-amzn-RequestId": str(uuid.uuid4())}
