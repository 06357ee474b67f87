"""Following a tuning job to its end: reads, tells, hears Ctrl-C, and knows the exit code."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from botocore.exceptions import ClientError

from tunewright.aws.sagemaker.names import Arns
from tunewright.cli.commands.shared import INTERRUPTED
from tunewright.cli.engine import Engine, best_of
from tunewright.cli.interrupts import Interrupts
from tunewright.cli.names import counted
from tunewright.cli.out import hush, warn
from tunewright.cli.story import Story, Watched, moved_line, opening
from tunewright.cli.views import described, dumped, iso, training_job
from tunewright.control.clock import SteadyClock
from tunewright.core.errors import NotFound
from tunewright.core.job import Job, JobStatus
from tunewright.core.reads import TrialView
from tunewright.core.trial import Trial, trial_name
from tunewright.sdk.display import Display, Lines
from tunewright.sdk.inherited import line as warm_line
from tunewright.sdk.phrases import onward

POLL_SECONDS = 0.25
UNATTENDED_LOOKS = 8
"""So many looks in a row must find nobody who runs a job: one who ends may be about to hand it on."""
FORCED_SECONDS = 1.5
RESULTS = 10
"""Results below which nothing is said about which parameters matter."""
EXIT_CODES = {JobStatus.COMPLETED: 0, JobStatus.FAILED: 1, JobStatus.STOPPED: INTERRUPTED}


class Teller(Protocol):
    """Tells a person or a program what happens."""

    def begin(self, job: Job, earlier: Sequence[TrialView], owns: bool) -> None:
        """The job as it is found: `earlier` ended before; `owns` is whether Ctrl-C stops it."""
        ...

    def look(self, job: Job, moved: Sequence[tuple[Trial, bool]], ended: Sequence[TrialView], note: str) -> None:
        """What is new: training jobs that began (True) or reported (False), that ended, and what goes on (or "")."""
        ...

    def remark(self, text: str) -> None:
        """Something by the way."""
        ...

    def end(self, job: Job) -> None:
        """The job has ended."""
        ...

    def leave(self, job: Job, forced: bool) -> None:
        """Nobody watches any more though the job goes on, or (`forced`) is being killed."""
        ...


class Human:
    """Lines for a person: permanent ones, and a live region where the display has one."""

    def __init__(self, engine: Engine, display: Display, *, quiet: bool, verbose: bool) -> None:
        self._engine, self._display, self._quiet, self._verbose = engine, display, quiet, verbose
        self._now = SteadyClock().now
        self._story: Story | None = None
        self._weighed = 0

    def _weigh(self, job: Job, least: int) -> None:
        """Ask anew which parameters matter whenever the number of results has doubled."""
        count = job.counters.succeeded
        if count < max(RESULTS, 2 * self._weighed) or len(job.spec.definitions[0].space) < least:
            return
        self._weighed = count
        self._told(job).weigh(self._engine.importance(job.name))

    def _told(self, job: Job) -> Story:
        if self._story is None:
            engine = self._engine
            self._story = Story(job, engine.log_tail, lambda name: engine.log_tail(name, 1).path, quiet=self._quiet)
        return self._story

    def begin(self, job: Job, earlier: Sequence[TrialView], owns: bool) -> None:
        if not self._quiet:
            warm = warm_line(job, self._engine.inherited(job))
            self._display.say(
                [*opening(job, str(self._engine.settings.home), owns), *([f"Warm start: {warm}"] if warm else [])]
            )
        self._told(job).ended(job, [view.trial for view in earlier])
        if earlier and not self._quiet:
            count = f"{len(earlier)} training {'job has' if len(earlier) == 1 else 'jobs have'} ended before."
            self._display.say([count, *self._told(job).best_so_far()])

    def look(self, job: Job, moved: Sequence[tuple[Trial, bool]], ended: Sequence[TrialView], note: str) -> None:
        story = self._told(job)
        if self._verbose:
            self._display.say([moved_line(job, trial, began) for trial, began in moved])
        self._display.say(story.ended(job, [view.trial for view in ended]))
        if not self._quiet:
            self._weigh(job, least=4)
            self._display.live(story.region(job, self._now(), note))

    def remark(self, text: str) -> None:
        self._display.say([text])

    def end(self, job: Job) -> None:
        self._display.close()
        self._weighed = 0
        self._weigh(job, least=2)
        best = best_of(self._engine, job)
        model = best.trial.model or None if best is not None else None
        self._display.say(self._told(job).end(job, self._now(), model))

    def leave(self, job: Job, forced: bool) -> None:
        self._display.close()
        lines = [] if forced else [f"{job.name} goes on; look at it again with: tunewright watch {job.name}"]
        if forced:
            lines = [*self._told(job).best_so_far(), onward(job.name, strict=job.spec.strict)]
        self._display.say(lines)


class Json:
    """One JSON object a line: events for a program, with AMT's member names."""

    def __init__(self, engine: Engine, display: Lines) -> None:
        self._engine, self._display, self._arns = engine, display, Arns.of(engine.settings)
        self._now = SteadyClock().now
        self._best: str | None = None

    def _say(self, event: str, **members: object) -> None:
        self._display.say([dumped({"Event": event, "Time": self._now(), **members}, indent=None)])

    def begin(self, job: Job, earlier: Sequence[TrialView], owns: bool) -> None:
        self._best = job.best.name if job.best else None
        self._say("TuningJobFollowed", **self._job(job))

    def look(self, job: Job, moved: Sequence[tuple[Trial, bool]], ended: Sequence[TrialView], note: str) -> None:
        for trial, began in moved:
            members: dict[str, object] = {"TrainingJobName": trial.name, "TuningJobName": job.name}
            if began:
                definition = job.spec.definitions[trial.definition]
                self._say("TrainingJobStarted", **members, TunedHyperParameters=definition.space.texts(trial.point))
            else:
                self._say("ObjectiveReported", **members, Epoch=trial.epoch, Value=trial.last)
        for view in ended:
            own = {"ExitCode": view.trial.exit_code, "ObjectiveReason": view.trial.objective_reason or None}
            self._say("TrainingJobEnded", **training_job(view, self._arns), **own)
        if job.best is not None and job.best.name != self._best:
            self._best = job.best.name
            self._say("NewBestTrainingJob", TrainingJobName=job.best.name, TuningJobName=job.name, Value=job.best.value)

    def remark(self, text: str) -> None:
        self._say("Remark", Message=text)

    def end(self, job: Job) -> None:
        self._say("TuningJobEnded", **described(self._engine, job.name))

    def leave(self, job: Job, forced: bool) -> None:
        self._say("Left", **self._job(job))

    def _job(self, job: Job) -> dict[str, object]:
        return {
            "HyperParameterTuningJobName": job.name,
            "HyperParameterTuningJobStatus": str(job.status),
            "CreationTime": iso(job.created),
        }


def follow(engine: Engine, name: str, teller: Teller, interrupts: Interrupts, *, owns: bool, heir: bool = False) -> int:
    """Tell a job until it ends or the user leaves; the exit code.

    Whoever reads the output may leave too: then the job goes on, and standard error says so.

    Args:
        owns: Ctrl-C stops the job, and a second one kills its programs; else Ctrl-C only ends the watching.
        heir: it is taken over when whoever runs it is gone; else that is only told.
    """
    try:
        return _followed(engine, name, teller, interrupts, owns=owns, heir=heir)
    except BrokenPipeError:
        hush()
        status = engine.reads.job(name).job.status
        if status.terminal:
            return EXIT_CODES[status]
        with contextlib.suppress(OSError):  # standard error may have gone the same way
            warn(f"The output is closed; {name} goes on. {ways_back(name)}")
        return INTERRUPTED


def ways_back(name: str) -> str:
    """How to look at a job that goes on without this command, and how to stop it."""
    return f"Watch it: tunewright watch {name}   Stop it: tunewright stop {name}"


def _followed(engine: Engine, name: str, teller: Teller, interrupts: Interrupts, *, owns: bool, heir: bool) -> int:
    view = engine.reads.job(name)
    if owns:
        interrupts.parting = parting(view.job)
    looking = _Looking(engine, view.job, teller, owns)
    attended = not owns
    if not engine.in_charge(view) and not owns:
        attended = False
        teller.remark(f"Nobody runs {name} now; take it over with: tunewright resume {name}")
    stopping = _Stopping(engine, name, teller)
    while True:
        job = looking.look(stopping.note)
        if attended and looking.unattended >= UNATTENDED_LOOKS:
            attended = False
            _left_alone(engine, name, teller, heir=heir)
        if job.status.terminal:
            teller.end(job)
            return INTERRUPTED if stopping.asked else EXIT_CODES[job.status]
        forced = owns and stopping.heard(interrupts.count, job)
        if forced or (interrupts.count and not owns):
            teller.leave(looking.look(""), forced)
            return INTERRUPTED
        engine.wait(name, POLL_SECONDS)


def parting(job: Job) -> str:
    """What becomes of a job whose command is told to end: programs outlive it, functions end with their workers."""
    called = any(definition.training.function is not None for definition in job.spec.definitions)
    fate = "are ended, and called again when it goes on" if called else "go on, and no new ones begin"
    name = job.name
    return f"training jobs of {name} that run {fate}. Go on: tunewright resume {name}   Stop it: tunewright stop {name}"


def _left_alone(engine: Engine, name: str, teller: Teller, *, heir: bool) -> None:
    """Whoever ran a job that is watched is gone."""
    if heir:
        teller.remark(f"Whoever ran {name} is gone; it goes on here.")
        engine.resume(name, 0)
    else:
        teller.remark(f"Nobody runs {name} any more; take it over with: tunewright resume {name}")


class _Looking:
    """Reads a job again and again, and hands what is new to the teller.

    Attributes:
        unattended: how many looks in a row found nobody who runs the job.
    """

    def __init__(self, engine: Engine, job: Job, teller: Teller, owns: bool) -> None:
        self._engine, self._teller = engine, teller
        self._name = job.name
        self.unattended = 0
        earlier = [each for each in engine.reads.all_trials(job.uid) if not each.trial.status.live]
        known = range(1, job.next_number)
        self._watched = Watched(len(known), set(known) - {each.trial.number for each in earlier})
        teller.begin(job, earlier, owns)

    def look(self, note: str) -> Job:
        view = self._engine.reads.job(self._name)
        job = view.job
        self.unattended = 0 if self._engine.in_charge(view) else self.unattended + 1
        moved = self._watched.moved(job)
        numbers = self._watched.ended(job)
        ended = [self._trial(trial_name(job.name, job.uid, number)) for number in numbers]
        self._teller.look(job, moved, [each for each in ended if each is not None], note)
        return job

    def _trial(self, name: str) -> TrialView | None:
        """A training job that has ended; None when it was deleted."""
        try:
            return self._engine.reads.trial(name)
        except NotFound:
            return None


class _Stopping:
    """What Ctrl-C does to a job that this process runs."""

    def __init__(self, engine: Engine, name: str, teller: Teller) -> None:
        self._engine, self._name, self._teller = engine, name, teller
        self.asked = False
        self.note = ""

    def heard(self, count: int, job: Job) -> bool:
        """Act on the interrupts so far; whether to leave now."""
        if count and not self.asked:
            self.asked = True
            text = f"stopping {counted(len(job.live), 'job')}, again to force"
            self.note = f"{text} (they have {job.spec.stop_grace:g} s to end by themselves)"
            self._teller.remark(text)
            stop(self._engine, self._name)
        if count < 2:
            return False
        self._engine.hurry(self._name)
        _until(lambda: self._engine.reads.job(self._name).job.status.terminal, self._engine, self._name)
        return True


def _until(done: Callable[[], bool], engine: Engine, name: str) -> None:
    deadline = time.monotonic() + FORCED_SECONDS
    while not done() and time.monotonic() < deadline:
        engine.wait(name, 0.05)


def stop(engine: Engine, name: str) -> None:
    """Ask a job to stop; one that stops or has ended already is left alone."""
    try:
        engine.client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ValidationException":
            raise
