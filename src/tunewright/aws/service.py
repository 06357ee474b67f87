"""What the operations stand on: ports, settings and mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tunewright.aws.limits import LIMITS, QUOTAS
from tunewright.aws.names import Arns
from tunewright.aws.protocol import Wire
from tunewright.aws.translate_request import Manner
from tunewright.control.recorder import Recorder
from tunewright.core.errors import Invalid, Problem
from tunewright.core.ports import Objects, Reads, Store

STRICT_GRACE, EXTENDED_GRACE = 120.0, 30.0
PAGE = 10


@dataclass(frozen=True, slots=True)
class Service:
    """The ports of one service and how it behaves.

    Args:
        wake: told the uid of a job for which something may be owed now.
        changed_quotas: account quotas that differ from AMT's defaults, by name.
    """

    recorder: Recorder
    store: Store
    reads: Reads
    objects: Objects
    arns: Arns
    manner: Manner
    wake: Callable[[str], None]
    changed_quotas: Mapping[str, int] = field(default_factory=dict)

    @property
    def strict(self) -> bool:
        return self.manner.strict

    @property
    def quotas(self) -> dict[str, int | None]:
        """The account quotas in force; None is no limit."""
        return {name: self.changed_quotas.get(name, LIMITS[name].of(self.strict)) for name in QUOTAS}

    def now(self) -> float:
        return self.recorder.clock.now()


def tags_of(request: Wire) -> dict[str, str]:
    """Raises Invalid when a key is given more than once."""
    keys = [tag["Key"] for tag in request.get("Tags", [])]
    repeated = sorted({key for key in keys if keys.count(key) > 1})
    if repeated:
        raise Invalid([Problem("tags", f"the key {key!r} is given more than once.") for key in repeated])
    return {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
