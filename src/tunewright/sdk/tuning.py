"""A tuning job that was started: describe it, stop it, watch it to its end."""

from __future__ import annotations

from tunewright.sdk.display import Display, choose
from tunewright.sdk.handle import Handle
from tunewright.sdk.shapes import Shape
from tunewright.sdk.watch import Watcher, stop_tuning_job


class TuningJob(Handle):
    """A tuning job by name."""

    def describe(self) -> Shape:
        """DescribeHyperParameterTuningJob."""
        return self.session.describe(self.name)

    def stop(self) -> None:
        """Ask it to stop; one that has ended already is left alone."""
        stop_tuning_job(self.session, self.name)

    def wait(self, display: Display | None = None) -> Shape:
        """Show its progress until it ends; its last description.

        Raises:
            TuningJobFailed: it ended Failed.
            KeyboardInterrupt: the user pressed Ctrl-C; the first one asks the job to stop, a second one leaves.
        """
        return Watcher(self.session, self.name, display or choose()).run()
