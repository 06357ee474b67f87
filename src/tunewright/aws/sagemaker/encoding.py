"""Answers in AWS JSON 1.1: values along their shapes in botocore's SageMaker model.

How a shape is written is found out once, so that an answer costs what is in it and not what the model knows.
"""

from __future__ import annotations

import functools
import json
import struct
from collections.abc import Callable
from typing import Any, TypeAlias

from tunewright.aws.sagemaker.protocol import Wire, operation_model

Write: TypeAlias = Callable[[Any], Any]

FLOAT_MAX = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]
# Targets come back as they were sent; measured values are single precision on the wire.
DOUBLE_FLOATS = frozenset({"TargetObjectiveMetricValue"})
_SINGLE = struct.Struct("<f")

_to_text = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def encode_answer(operation: str, answer: Wire) -> bytes:
    """An operation's answer as JSON; empty where the operation has no output shape."""
    write = _writer(operation)
    return b"" if write is None else _to_text(write(answer)).encode()


@functools.cache
def _writer(operation: str) -> Write | None:
    shape = operation_model(operation).output_shape
    return None if shape is None else writer_of(shape) or _same


def writer_of(shape: Any) -> Write | None:
    """How values of a shape are written; None where they stay as they are.

    Times become seconds with milliseconds, floats single precision; members that are None or unknown are left out.
    """
    match shape.type_name:
        case "structure":
            return _structure({name: writer_of(member) for name, member in shape.members.items()})
        case "list":
            item = writer_of(shape.member)
            return None if item is None else lambda value: [item(each) for each in value]
        case "map":
            inner = writer_of(shape.value)
            return None if inner is None else lambda value: {key: inner(each) for key, each in value.items()}
        case "timestamp":
            return _time
        case "float" if shape.name not in DOUBLE_FLOATS:
            return single
        case _:
            return None


def _structure(plan: dict[str, Write | None]) -> Write:
    def write(value: Wire) -> Wire:
        known: Wire = {}
        for name, item in value.items():
            if item is not None and name in plan:
                inner = plan[name]
                known[name] = item if inner is None else inner(item)
        return known

    return write


def _same(value: Any) -> Any:
    return value


def _time(value: float) -> float:
    return round(value, 3)


def single(value: float) -> float:
    """A finite float as single precision holds it, clamped to its finite range."""
    clamped = max(-FLOAT_MAX, min(FLOAT_MAX, value))
    return float(_SINGLE.unpack(_SINGLE.pack(clamped))[0])
