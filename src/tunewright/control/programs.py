"""The training jobs' programs: started, watched, ended and cleared away by the executor's hand."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import replace

from tunewright.control.held import Held
from tunewright.control.options import LoopOptions
from tunewright.control.tasks import make_task, training_of
from tunewright.control.watch import Watch
from tunewright.core.errors import FULL_DISK, Invalid, NoCapacity
from tunewright.core.events import Discarded, Exited, Launched
from tunewright.core.job import Job
from tunewright.core.ports import Executor, ExitReport, Task
from tunewright.core.trial import Failure, Trial

_LOG = logging.getLogger("tunewright")

START_SECONDS = 30.0
"""How long a start that the system refuses is tried again: a directory may be closed, or a disk gone, for a moment."""


class Programs:
    """What a loop does to the programs of the jobs that it holds."""

    def __init__(self, executor: Executor, options: LoopOptions) -> None:
        self._executor, self._options = executor, options
        self._by_name: dict[tuple[str, int], tuple[str, int]] = {}
        self._crowded: set[tuple[object, ...]] = set()
        self._hurried: set[str] = set()
        self._unwatched: set[tuple[str, int]] = set()

    def look_for_room(self) -> None:
        """Try launches again: there may be slots by now."""
        self._crowded.clear()

    def hurry(self, uid: str) -> None:
        """Give a job's trials that are being stopped no more time; from any thread."""
        self._hurried.add(uid)

    def adopt(self, held: Held) -> None:
        """Watch the trials that an earlier controller launched, and those that could not be watched before."""
        for trial in held.job.live.values():
            if trial.handle is None or trial.number in held.watches:
                continue
            try:
                self._executor.watch(self._watch(held, trial).task, trial.handle)
            except OSError:  # of one; all others are watched, and this one is tried again
                watch = held.watches.pop(trial.number)
                key = watch.task.name, watch.task.attempt
                self._by_name.pop(key, None)
                if key not in self._unwatched:
                    self._unwatched.add(key)
                    _LOG.exception("%s: the program of %s cannot be watched yet", held.job.name, trial.name)

    def collect(self, jobs: Mapping[str, Held]) -> None:
        """Hand the executor's reports to the watches they belong to."""
        for report in self._executor.poll():
            uid, number = self._by_name.get((report.name, report.attempt), ("", 0))
            held = jobs.get(uid)
            watch = held.watches.get(number) if held is not None else None
            if watch is None or watch.task.attempt != report.attempt:
                continue
            if isinstance(report, ExitReport):
                watch.exit = report
            else:
                watch.phases.append(report)

    def launch(self, held: Held, trial: Trial, now: float) -> list[Launched | Exited]:
        """Start a pending trial's program: that it was, that it cannot be, or nothing while there are no slots."""
        wish = _wish(held.job, trial)
        if wish in self._crowded:
            return []
        watch = self._watch(held, trial)
        number, attempt = trial.number, trial.attempt
        try:
            handle, choice = self._started(held, trial, watch.task, now)
        except OSError as error:
            if watch.refused is None:
                watch.refused = now
                _LOG.warning("%s: %s cannot be started, which is tried again: %s", held.job.name, trial.name, error)
            if error.errno in FULL_DISK or now - watch.refused < START_SECONDS:
                return []
            reason = f"the training job could not be started: {error}"
            return [Exited(now, number, attempt, None, Failure.INTERNAL, reason)]
        except NoCapacity as error:
            return [Exited(now, number, attempt, None, Failure.CAPACITY, str(error))]
        if handle is None:
            self._crowded.add(wish)
            return []
        return [Launched(now, number, attempt, handle, choice)]

    def kill(self, held: Held, trial: Trial) -> None:
        """End a trial's program; again only with a shorter grace than before."""
        watch = self._watch(held, trial)
        grace = 0.0 if held.uid in self._hurried else watch.task.grace
        if watch.killed is None or grace < watch.killed:
            watch.killed = grace
            self._executor.kill(replace(watch.task, grace=grace))

    def discard(self, job: Job, trial: Trial, now: float) -> Discarded:
        """Remove what a training job left behind; what cannot be removed stays, and is said."""
        if self._options.discard is None:
            return Discarded(now, trial.number, done=False)
        try:
            self._options.discard(make_task(job, trial, self._options.arn, self._options.region), trial.model)
        except (OSError, Invalid) as error:
            _LOG.warning("%s: the model of %s could not be removed: %s", job.name, trial.name, error)
            return Discarded(now, trial.number, done=False)
        return Discarded(now, trial.number)

    def forget(self, held: Held, number: int) -> None:
        """Watch a trial no longer whose end is committed, and let the executor forget it too."""
        watch = held.watches.pop(number)
        self._by_name.pop((watch.task.name, watch.task.attempt), None)
        self._executor.forget(watch.task.name, watch.task.attempt)

    def lose(self, held: Held) -> None:
        """Watch a job's trials no longer, without a word to the executor."""
        if held.job.status.terminal:
            self._hurried.discard(held.uid)
        for watch in held.watches.values():
            self._by_name.pop((watch.task.name, watch.task.attempt), None)

    def _watch(self, held: Held, trial: Trial) -> Watch:
        watch = held.watches.get(trial.number)
        if watch is None or watch.task.attempt != trial.attempt:
            task = make_task(held.job, trial, self._options.arn, self._options.region)
            watch = held.watches[trial.number] = Watch.of(task, trial, judged=held.job.spec.judged)
            self._by_name[(trial.name, trial.attempt)] = (held.uid, trial.number)
        return watch

    def _started(self, held: Held, trial: Trial, task: Task, now: float) -> tuple[str | None, int]:
        """A handle and the choice of instances it stands for; no handle while there are no slots.

        Instances are tried in their order. Those that are not to be had at all are passed over; with those that are
        taken, the next ones get their turn when these were waited for.

        Raises:
            NoCapacity: none of them is to be had.
        """
        training = held.job.spec.definitions[trial.definition].training
        # A trial that was proposed in this very tick is younger than the tick.
        waited = max(0.0, now - trial.transitions[-1].at) if trial.transitions else 0.0
        turns = 1 + (waited // self._options.capacity_seconds if self._options.capacity_seconds > 0 else math.inf)
        refused: list[str] = []
        for choice in range(1 + len(training.alternatives)):
            if choice - len(refused) >= turns:
                return None, 0
            try:
                handle = self._executor.launch(replace(task, training=training_of(held.job, trial, choice)))
            except NoCapacity as error:
                refused.append(str(error))
                continue
            if handle is not None:
                return handle, choice
        if len(refused) > len(training.alternatives):
            raise NoCapacity(" ".join(dict.fromkeys(refused)))
        return None, 0


def _wish(job: Job, trial: Trial) -> tuple[object, ...]:
    """The kind of slots that a trial asks for. Whoever waits holds back those alone who ask for the same kind.

    Among these the order stands, so that one which needs many is not passed for ever by those which need few.
    """
    training = job.spec.definitions[trial.definition].training
    return training.gpus > 0, training.instance_type, training.instance_groups, training.alternatives
