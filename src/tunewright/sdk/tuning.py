"""A tuning job that was started: describe it, stop it, watch it to its end."""

from __future__ import annotations

from datetime import datetime

from tunewright.sdk.display import Display, choose
from tunewright.sdk.handle import Handle
from tunewright.sdk.shapes import Shape
from tunewright.sdk.watch import Watcher, stop_tuning_job

CLOCKS_DIFFER = 1.0
"""Seconds by which times of creation may be rounded."""


class TuningJob(Handle):
    """A tuning job by name."""

    def describe(self) -> Shape:
        """DescribeHyperParameterTuningJob."""
        return self.session.describe(self.name)

    def stop(self) -> None:
        """Ask it to stop; one that has ended already is left alone."""
        stop_tuning_job(self.session, self.name)

    def stop_new(self, since: float) -> bool:
        """Stop it if its creation, begun at `since` (seconds since the epoch), was done; whether it was."""
        try:
            created: datetime = self.describe()["CreationTime"]
        except self.session.client.exceptions.ClientError:
            return False
        if created.timestamp() < since - CLOCKS_DIFFER:  # another job's name, which would have been refused
            return False
        self.stop()
        return True

    def watcher(self, display: Display | None = None, *, owns: bool = False, resumed: bool = False) -> Watcher:
        """What watches it to its end; `owns` is whether Ctrl-C stops it, `resumed` whether it goes on after an end."""
        return Watcher(self.session, self.name, display or choose(), owns=owns, resumed=resumed)

    def wait(self, display: Display | None = None) -> Shape:
        """Show its progress until it ends; its last description.

        Raises:
            TuningJobFailed: it ended Failed.
            KeyboardInterrupt: the user pressed Ctrl-C; the job goes on.
        """
        return self.watcher(display).run()
