"""A job that was started, by its name."""

from __future__ import annotations

from tunewright.sdk.session import Session

LIVE = ("InProgress", "Stopping")
"""The statuses of a job that has not ended, tuning or training."""


class Handle:
    """A job by name.

    Args:
        session: how it is reached.
        name: the job's name.
    """

    def __init__(self, session: Session, name: str) -> None:
        self.session = session
        self.name = name

    @property
    def job_name(self) -> str:
        """The same as `name`, as SageMaker's SDK calls it."""
        return self.name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"
