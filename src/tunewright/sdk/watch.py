"""Watching a tuning job until it ends: polls, tells, and hears Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

from tunewright.control.clock import SteadyClock, pause
from tunewright.sdk.causes import in_short
from tunewright.sdk.display import Display
from tunewright.sdk.errors import TuningJobFailed
from tunewright.sdk.facts import Facts, Row
from tunewright.sdk.handle import LIVE
from tunewright.sdk.phrases import onward
from tunewright.sdk.progress import ProgressModel
from tunewright.sdk.session import Session
from tunewright.sdk.shapes import Shape
from tunewright.sdk.training import TrainingJob

POLL_SECONDS = 1.0
REST_SECONDS = 0.05
"""Between two looks at least: a job of very short training jobs changes all the time."""
ENDED = ("Completed", "Stopped", "RetryableError", "NonRetryableError")


class Watcher:
    """One watching of one tuning job.

    Args:
        session: how the job is reached.
        name: the tuning job.
        display: where the lines go.
        resumed: it goes on after an end, and what ended before is only counted.
        owns: Ctrl-C stops the job, and a second one kills its programs; else Ctrl-C only ends the watching.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        session: Session,
        name: str,
        display: Display,
        *,
        owns: bool,
        resumed: bool = False,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.session, self.name, self.display, self.owns = session, name, display, owns
        self._clock = clock or SteadyClock().now
        job = session.describe(name)
        facts = Facts.of(job)
        total, strict = session.total(name, facts.total), session.is_strict(name)
        facts = replace(facts, total=total, strict=strict, python=session.local is not None)
        self.model = ProgressModel(facts, session.log_tail)
        self._interrupts = 0
        self._asked_to_stop = False
        if "WarmStartConfig" in job and (given := session.warm_start(name)):
            display.say([f"Warm start: {given}"])
        if resumed:
            self.model.update(self._new_rows(job))
            display.say([f"{len(self.model.rows)} training jobs have ended before.", self._best_so_far()])

    def run(self) -> Shape:
        """Watch until the job ends; its last description.

        Where it owns the job, the first Ctrl-C asks the job to stop and goes on watching, and a second one returns
        at once; both raise KeyboardInterrupt in the end. Where it does not, the first one returns and the job goes on.

        Raises:
            TuningJobFailed: the job ended Failed.
            KeyboardInterrupt: the user pressed Ctrl-C.
        """
        try:
            while True:
                try:
                    if self._interrupts and not self._asked_to_stop:
                        self._ask_to_stop()
                    job = self._round()
                    if job["HyperParameterTuningJobStatus"] not in LIVE:
                        break
                    self.session.wait(self.name, POLL_SECONDS)
                    pause(REST_SECONDS)
                except KeyboardInterrupt:
                    if not self.owns:
                        self._part()
                        raise
                    self._interrupts += 1
                    if self._interrupts > 1:
                        self._leave()
                        raise KeyboardInterrupt from None
        finally:
            self.display.close()
        self._end(job)
        if self._asked_to_stop:
            raise KeyboardInterrupt
        if job["HyperParameterTuningJobStatus"] == "Failed":
            raise self._failed(job)
        return job

    def _round(self) -> Shape:
        job = self.session.describe(self.name)
        self.display.say(self.model.update(self._new_rows(job)))
        counters = job["TrainingJobStatusCounters"]
        paused = self.session.paused(self.name)
        words = {
            "running": max(0, counters["InProgress"] - paused),
            "paused": paused,
            "stopped": counters["Stopped"],
            "failed": counters["RetryableError"] + counters["NonRetryableError"],
        }
        running = self.session.running(self.name)
        self.display.live(self.model.live(running, words, self._elapsed(job), self._clock()))
        return job

    def _new_rows(self, job: Shape) -> list[Row]:
        """The training jobs that ended since the last look; newest first, no more pages than needed."""
        counters = job["TrainingJobStatusCounters"]
        missing = sum(counters[word] for word in ENDED) - len(self.model.rows)
        found: list[Row] = []
        if missing <= 0:
            return found
        for row in self._newest():
            if row.finished and row.name not in self.model.rows:
                found.append(self.session.with_cause(row))
                if len(found) == missing:
                    break
        return found

    def _newest(self) -> Iterator[Row]:
        for summary in self.session.summaries(self.name, SortBy="CreationTime", SortOrder="Descending"):
            yield self.session.row(summary)

    def _elapsed(self, job: Shape) -> float:
        """Seconds of wall clock from creation to the end, or to now."""
        created: datetime = job["CreationTime"]
        ended: datetime | None = job.get("HyperParameterTuningEndTime")
        return max(0.0, (self._clock() if ended is None else ended.timestamp()) - created.timestamp())

    def _ask_to_stop(self) -> None:
        """After the first Ctrl-C."""
        self.display.say([f"Stopping {self.name} and its running training jobs; interrupt again to end at once."])
        self.stop()
        self._asked_to_stop = True

    def _part(self) -> None:
        """After Ctrl-C while a job is watched that runs on its own."""
        self.display.close()
        ways = f"Watch it: tuner.wait()   Stop it: tuner.stop_tuning_job() | tunewright stop {self.name}"
        self.display.say([f"{self.name} goes on. {ways}"])

    def _leave(self) -> None:
        """After the second Ctrl-C, which may have come before the stop was asked for."""
        self.display.close()
        self.display.say([f"Leaving at once; the training programs of {self.name} are killed."])
        if not self._asked_to_stop:
            self.stop()
        self.session.hurry(self.name)
        way = onward(self.name, strict=self.model.facts.strict, python=self.model.facts.python)
        self.display.say([self._best_so_far(), way])

    def _best_so_far(self) -> str:
        best = self.model.best
        return f"Best so far: {'nothing yet' if best is None else f'{best.worth()} by {best.name}  {best.text()}'}"

    def stop(self) -> None:
        """Ask the job to stop; one that has ended already is left alone."""
        stop_tuning_job(self.session, self.name)

    def _end(self, job: Shape) -> None:
        status = job["HyperParameterTuningJobStatus"]
        reason = in_short(job.get("FailureReason", "")) or self.session.ending(self.name)
        model = None
        if self.model.best is not None:
            model = TrainingJob(self.session, self.model.best.name).model_data()
        self.display.say(self.model.summary(status, reason, self._elapsed(job), model))

    def _failed(self, job: Shape) -> TuningJobFailed:
        bad = [row.name for row in self.model.rows.values() if row.status == "Failed"]
        bad = bad or [row.name for row in self.model.rows.values() if not row.counts]
        name = bad[-1] if bad else None
        tail = self.session.log_tail(name) if name is not None else None
        return TuningJobFailed(self.name, job.get("FailureReason", ""), name, tail)


def stop_tuning_job(session: Session, name: str) -> None:
    """StopHyperParameterTuningJob; a job that has stopped or ended already is no error."""
    try:
        session.client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    except session.client.exceptions.ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ValidationException":
            raise
