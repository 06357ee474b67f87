"""What the operations stand on: ports, settings and mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tunewright.aws.faults import invalid
from tunewright.aws.sagemaker.limits import LIMITS, QUOTAS
from tunewright.aws.sagemaker.names import Arns
from tunewright.aws.sagemaker.protocol import Violation, Wire
from tunewright.aws.sagemaker.translate_request import Manner
from tunewright.control.recorder import Recorder
from tunewright.core.errors import Problem
from tunewright.core.ports import Objects, Store
from tunewright.core.reads import Reads

STRICT_GRACE, EXTENDED_GRACE = 120.0, 30.0
PAGE = 10


@dataclass(frozen=True, slots=True)
class Service:
    """The ports of one service and how it behaves.

    Args:
        wake: told the uid of a job for which something may be owed now.
        changed_quotas: account quotas that differ from AMT's defaults, by name.
        has_bucket: whether the bucket of a URI is there; None where buckets are made when they are first written to.
        endpoint: the URL of the server, whose S3 may be named by it; "" in process.
    """

    recorder: Recorder
    store: Store
    reads: Reads
    objects: Objects
    arns: Arns
    manner: Manner
    wake: Callable[[str], None]
    changed_quotas: Mapping[str, int] = field(default_factory=dict)
    endpoint: str = ""
    has_bucket: Callable[[str], bool] | None = None

    @property
    def strict(self) -> bool:
        return self.manner.strict

    @property
    def quotas(self) -> dict[str, int | None]:
        """The account quotas in force; None is no limit."""
        return {name: self.changed_quotas.get(name, LIMITS[name].of(self.strict)) for name in QUOTAS}

    def now(self) -> float:
        return self.recorder.clock.now()


def checked_tags(request: Wire, violations: Sequence[Violation], problems: Sequence[Problem]) -> dict[str, str]:
    """The tags of a request in which nothing is wrong.

    Raises:
        Fault: with all that is wrong: breaches of the model, what was found already, and tags given twice.
    """
    keys = [tag["Key"] for tag in request.get("Tags", []) if "Key" in tag]
    repeated = sorted({key for key in keys if keys.count(key) > 1})
    found = [*problems, *(Problem("tags", f"the key {key!r} is given more than once.") for key in repeated)]
    if violations or found:
        raise invalid(violations, found)
    return {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
