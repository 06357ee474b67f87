"""A training job that was started: its state, its log, its model."""

from __future__ import annotations

import sys
from typing import TextIO

from tunewright.sdk.errors import TrainingJobFailed
from tunewright.sdk.session import Session
from tunewright.sdk.shapes import Shape

POLL_SECONDS = 1.0
LIVE = ("InProgress", "Stopping")


class TrainingJob:
    """A training job by name.

    Args:
        session: how it is reached.
        name: the training job's name.
    """

    def __init__(self, session: Session, name: str) -> None:
        self.session = session
        self.name = name

    @property
    def job_name(self) -> str:
        """The same as `name`, as SageMaker's SDK calls it."""
        return self.name

    def __repr__(self) -> str:
        return f"TrainingJob({self.name!r})"

    def describe(self) -> Shape:
        """DescribeTrainingJob."""
        return self.session.describe_training_job(self.name)

    def stop(self) -> None:
        """StopTrainingJob."""
        self.session.client.stop_training_job(TrainingJobName=self.name)

    def model_data(self) -> str | None:
        """The URI of model.tar.gz, or None while there is none."""
        return self.describe().get("ModelArtifacts", {}).get("S3ModelArtifacts") or None

    def log(self, lines: int = 1000) -> str:
        """The last lines of its log; empty when nothing was printed."""
        tail = self.session.log_tail(self.name, lines)
        return tail.text if tail is not None else ""

    def wait(self, *, logs: bool = False, out: TextIO | None = None) -> Shape:
        """Return the description once the job is over, printing its log as it grows if asked to.

        Raises:
            TrainingJobFailed: it ended Failed.
        """
        seen = ""
        while True:
            shape = self.describe()
            if logs:
                seen = _print_new(self.log(), seen, out or sys.stdout)
            if shape["TrainingJobStatus"] not in LIVE:
                break
            self.session.wait(self.name, POLL_SECONDS, tuning=False)
        if logs:
            _print_new(self.log(), seen, out or sys.stdout)
        if shape["TrainingJobStatus"] == "Failed":
            tail = self.session.log_tail(self.name)
            raise TrainingJobFailed(self.name, shape.get("FailureReason", ""), self.name, tail)
        return shape


def _print_new(text: str, seen: str, out: TextIO) -> str:
    """Print what follows what was seen (the text is a window that moves on as the log grows); what is seen now."""
    new = text
    if seen and text.startswith(seen):
        new = text[len(seen) :]
    elif seen:
        marks = ["\n".join(seen.splitlines()[-count:]) for count in (3, 2, 1)]
        found = next((mark for mark in marks if mark in text), None)
        new = text if found is None else text[text.rfind(found) + len(found) :]
    if seen:
        new = new.removeprefix("\n")
    if new.strip():
        out.write(new if new.endswith("\n") else new + "\n")
        out.flush()
    return text
