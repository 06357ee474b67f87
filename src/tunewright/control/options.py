"""What a loop is told once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tunewright.control.owner import is_dead
from tunewright.core.job import Job
from tunewright.core.ports import Owner, Task


def _leave_none(job: Job, now: float) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """How a loop works.

    Args:
        lease_seconds: how long a lease lasts; it is renewed after a third of that.
        arn: a training job's ARN by name.
        region: what training programs are told.
        capacity_seconds: how long each of several instance types is waited for before the next one is tried as well.
        dead: whether a lease's owner is surely gone.
        leave: whether a job that nobody runs is left to another controller, which sees to it; asked at every look.
        discard: removes the model (its URI) and the checkpoints of a task that is over; again is harmless.
    """

    arn: Callable[[str], str]
    region: str = "us-east-1"
    capacity_seconds: float = 30.0
    lease_seconds: float = 30.0
    dead: Callable[[Owner], bool] = is_dead
    leave: Callable[[Job, float], bool] = _leave_none
    discard: Callable[[Task, str], None] | None = None
