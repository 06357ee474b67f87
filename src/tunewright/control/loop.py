"""The loop: observe, record, act, for every job whose lease this process holds.

A tick looks at what the executor, the strategies and the clock have to say, commits it as events, and then
carries out what the jobs are owed. Nothing here decides anything about a job; that is the heart's work.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from tunewright.control.aside import Aside
from tunewright.control.held import Held
from tunewright.control.owner import is_dead
from tunewright.control.recorder import Recorder
from tunewright.control.tasks import make_task, training_of
from tunewright.control.watch import INLINE, Watch
from tunewright.core.completion import deadline
from tunewright.core.effects import Discard, Judge, Kill, Launch, Promote, Propose
from tunewright.core.errors import Invalid, NoCapacity, NotFound
from tunewright.core.events import Discarded, Event, Exited, Judged, Launched, Promoted, Proposed, Ticked
from tunewright.core.history import History
from tunewright.core.job import Job
from tunewright.core.machine import todo
from tunewright.core.ports import Advisor, Executor, ExitReport, Owner, Proposals, Store, Task
from tunewright.core.spec import Strategy
from tunewright.core.trial import Failure, Trial, TrialStatus

_LOG = logging.getLogger("tunewright")

LOOK_SECONDS = 0.2
"""How often running trials' streams are looked at."""
IDLE_SECONDS = 0.5
"""How often the store is looked at for new jobs and others' changes while nothing runs."""
MAX_PASSES = 8


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """Args:
    lease_seconds: how long a lease lasts; it is renewed after a third of that.
    arn: a training job's ARN by name.
    region: what training programs are told.
    capacity_seconds: how long each of several instance types is waited for before the next one is tried as well.
    dead: whether a lease's owner is surely gone.
    discard: removes the model (its URI) and the checkpoints of a task that is over; again is harmless.
    """

    arn: Callable[[str], str]
    region: str = "us-east-1"
    capacity_seconds: float = 30.0
    lease_seconds: float = 30.0
    dead: Callable[[Owner], bool] = is_dead
    discard: Callable[[Task, str], None] | None = None


class Loop:
    """Runs jobs. One thread calls `tick` and `wait`; other threads may write through a Recorder and `wake`."""

    def __init__(
        self, recorder: Recorder, executor: Executor, advisor: Advisor, owner: Owner, options: LoopOptions
    ) -> None:
        self.recorder = recorder
        self.executor = executor
        self.advisor = advisor
        self.owner = owner
        self.options = options
        self.held: dict[str, Held] = {}
        self._by_name: dict[tuple[str, int], tuple[str, int]] = {}
        self._aside = Aside(2, executor.wake)
        self._refreshed = float("-inf")
        self._crowded = False
        self._hurried: set[str] = set()

    @property
    def _store(self) -> Store:
        return self.recorder.store

    def tick(self) -> None:
        """One round over all jobs. Raises what the store raises when it cannot be reached."""
        now = self.recorder.clock.now()
        self._refresh(now)
        self._collect()
        self._crowded = False
        for held in sorted(self.held.values(), key=_running):
            try:
                self._advance(held, now)
            except NotFound:
                self._drop(held)
            except Exception:
                # What is in memory may be lost: the job is read and watched afresh, other jobs go on.
                _LOG.exception("%s: the loop stumbled; the job is read again", held.job.name)
                self._drop(held)

    def wait(self, most: float = IDLE_SECONDS) -> None:
        """Until something may have happened, at most `most` seconds."""
        now = self.recorder.clock.now()
        timeout = min([most, *(self._patience(held, now) for held in self.held.values())])
        if timeout > 0:
            self.executor.wait(timeout)

    def wake(self) -> None:
        """Make `wait` return, from any thread; the store is looked at in the next tick."""
        self._refreshed = float("-inf")
        self.executor.wake()

    def hurry(self, uid: str) -> None:
        """Give a job's trials that are being stopped no more time; from any thread."""
        self._hurried.add(uid)
        self.wake()

    def busy(self) -> bool:
        """Whether any job is held."""
        return bool(self.held)

    def close(self) -> None:
        """Give the leases back. Training programs go on."""
        self._aside.close()
        for held in list(self.held.values()):
            if held.pending:
                held.commit(self.recorder, None)
            self._store.release(held.uid, self.owner)
        self.held.clear()

    # ---- who runs what ----

    def _refresh(self, now: float) -> None:
        """Take over jobs that nobody runs, notice what others wrote, renew leases."""
        if now - self._refreshed < LOOK_SECONDS:
            return
        self._refreshed = now
        versions = self._store.versions()
        for uid, version in versions.items():
            held = self.held.get(uid)
            if held is None:
                self._take(uid, now)
            elif held.stored.version != version and not held.pending:
                self._reload(held)
        for held in list(self.held.values()):
            if held.lease_until - now >= self.options.lease_seconds * 2 / 3:
                continue
            if self._lease(held.uid, now):
                held.lease_until = now + self.options.lease_seconds
            else:
                self._drop(held)

    def _take(self, uid: str, now: float) -> None:
        if not self._lease(uid, now):
            return
        try:
            stored = self._store.load(uid)
        except NotFound:
            return
        self.recorder.clock.at_least(stored.job.updated)
        held = Held(stored, now + self.options.lease_seconds)
        self.held[uid] = held
        self._adopt(held)

    def _lease(self, uid: str, now: float) -> bool:
        holder = self._store.lease(uid)
        dead = [holder[0]] if holder is not None and self.options.dead(holder[0]) else []
        return self._store.acquire(uid, self.owner, now + self.options.lease_seconds, now, dead)

    def _adopt(self, held: Held) -> None:
        """Watch the trials that an earlier controller launched."""
        for trial in held.job.live.values():
            if trial.handle is not None and trial.number not in held.watches:
                watch = self._watch(held, trial)
                self.executor.watch(watch.task, trial.handle)

    def _reload(self, held: Held) -> None:
        held.stored = self._store.load(held.uid)
        held.history = None
        self._adopt(held)

    def _drop(self, held: Held) -> None:
        self.held.pop(held.uid, None)
        for watch in held.watches.values():
            self._by_name.pop((watch.task.name, watch.task.attempt), None)

    # ---- observe ----

    def _collect(self) -> None:
        """Hand the executor's reports to the watches they belong to."""
        for report in self.executor.poll():
            uid, number = self._by_name.get((report.name, report.attempt), ("", 0))
            held = self.held.get(uid)
            watch = held.watches.get(number) if held is not None else None
            if watch is None or watch.task.attempt != report.attempt:
                continue
            if isinstance(report, ExitReport):
                watch.exit = report
            else:
                watch.phases.append(report)

    def _observe(self, held: Held, now: float) -> None:
        """Read what trials printed, and turn it and their ends into events."""
        looking = now >= held.look_at
        held.look_at = now + LOOK_SECONDS if looking else held.look_at
        for number, watch in list(held.watches.items()):
            trial = held.job.live.get(number)
            if trial is None or trial.attempt != watch.task.attempt:
                self._forget(held, number)
            elif looking or watch.exit or watch.phases or watch.reading:
                held.add(self._look(watch, trial, now), now)

    def _look(self, watch: Watch, trial: Trial, now: float) -> list[Event]:
        scraped = None
        if watch.reading is not None:
            if not watch.reading.done():
                return []
            scraped, watch.reading = watch.reading.result(), None
        elif not watch.drained:
            backlog = watch.backlog(self.executor)
            if backlog > INLINE or (watch.exit is not None and watch.task.training.hosts > 1):
                watch.reading = self._aside.submit(watch.read, self.executor, now)
            elif backlog or watch.exit is not None:
                scraped = watch.read(self.executor, now)
        return watch.told(trial, scraped, now)

    # ---- record and act ----

    def _advance(self, held: Held, now: float) -> None:
        """Commit and carry out until nothing more follows at once."""
        self._observe(held, now)
        due = deadline(held.job)
        if due is not None and due <= now:
            held.add([Ticked(now)], now)
        for _ in range(MAX_PASSES):
            self._proposed(held, now)
            if held.due(now):
                held.commit(self.recorder, self._at_once if self._quick(held) else None)
            self._act(held, now)
            if not held.due(now):
                break
        if held.job.status.terminal:
            self._finish(held)

    def _finish(self, held: Held) -> None:
        for number in list(held.watches):
            self._forget(held, number)
        self._store.release(held.uid, self.owner)
        self._drop(held)

    def _act(self, held: Held, now: float) -> None:
        held.add(self._acts(held, now), now)

    def _acts(self, held: Held, now: float) -> list[Launched | Exited | Judged | Discarded | Promoted]:
        events: list[Launched | Exited | Judged | Discarded | Promoted] = []
        removed = {e.number for e in held.pending if isinstance(e, Discarded)}
        told = {(e.number, e.attempt) for e in held.pending if isinstance(e, Launched | Judged | Exited)}
        for effect in todo(held.job):
            match effect:
                case Propose():
                    self._ask(held, effect, now)
                case Promote() if not any(isinstance(event, Promoted) for event in held.pending):
                    fit = self.advisor.promote(self._history(held), effect.places)
                    events.append(Promoted(now, effect.news, fit))
                case Launch() if (effect.number, effect.attempt) not in told:
                    events += self._launch(held, held.job.live[effect.number], now)
                case Kill():
                    self._kill(held, held.job.live[effect.number])
                case Judge() if (effect.number, effect.attempt) not in told:
                    verdict = self.advisor.judge(self._history(held), effect.number, effect.upto)
                    events.append(Judged(now, effect.number, effect.attempt, effect.upto, verdict))
                case Discard() if effect.number not in removed:
                    events.append(self._discard(held.job, held.job.dropped[effect.number], now))
                case _:
                    pass
        return events

    def _discard(self, job: Job, trial: Trial, now: float) -> Discarded:
        """Remove what a training job left behind; what cannot be removed stays, and is said."""
        if self.options.discard is None:
            return Discarded(now, trial.number, done=False)
        try:
            self.options.discard(make_task(job, trial, self.options.arn, self.options.region), trial.model)
        except (OSError, Invalid) as error:
            _LOG.warning("%s: the model of %s could not be removed: %s", job.name, trial.name, error)
            return Discarded(now, trial.number, done=False)
        return Discarded(now, trial.number)

    def _watch(self, held: Held, trial: Trial) -> Watch:
        watch = held.watches.get(trial.number)
        if watch is None or watch.task.attempt != trial.attempt:
            task = make_task(held.job, trial, self.options.arn, self.options.region)
            watch = held.watches[trial.number] = Watch.of(task, trial)
            self._by_name[(trial.name, trial.attempt)] = (held.uid, trial.number)
        return watch

    def _launch(self, held: Held, trial: Trial, now: float) -> list[Launched | Exited]:
        if self._crowded:
            return []
        watch = self._watch(held, trial)
        number, attempt = trial.number, trial.attempt
        try:
            handle, choice = self._started(held, trial, watch.task, now)
        except OSError as error:
            reason = f"the training job could not be started: {error}"
            return [Exited(now, number, attempt, None, Failure.INTERNAL, reason)]
        except NoCapacity as error:
            return [Exited(now, number, attempt, None, Failure.CAPACITY, str(error))]
        self._crowded = handle is None
        return [] if handle is None else [Launched(now, number, attempt, handle, choice)]

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
        turns = 1 + (waited // self.options.capacity_seconds if self.options.capacity_seconds > 0 else math.inf)
        refused: list[str] = []
        for choice in range(1 + len(training.alternatives)):
            if choice - len(refused) >= turns:
                return None, 0
            try:
                handle = self.executor.launch(replace(task, training=training_of(held.job, trial, choice)))
            except NoCapacity as error:
                refused.append(str(error))
                continue
            if handle is not None:
                return handle, choice
        if len(refused) > len(training.alternatives):
            raise NoCapacity(" ".join(dict.fromkeys(refused)))
        return None, 0

    def _kill(self, held: Held, trial: Trial) -> None:
        watch = self._watch(held, trial)
        grace = 0.0 if held.uid in self._hurried else watch.task.grace
        if watch.killed is None or grace < watch.killed:
            watch.killed = grace
            self.executor.kill(replace(watch.task, grace=grace))

    def _forget(self, held: Held, number: int) -> None:
        watch = held.watches.pop(number)
        self._by_name.pop((watch.task.name, watch.task.attempt), None)
        self.executor.forget(watch.task.name, watch.task.attempt)

    # ---- opinions ----

    def _quick(self, held: Held) -> bool:
        """Whether this job's proposals take no time worth a thread."""
        quick = held.job.spec.strategy in (Strategy.RANDOM, Strategy.GRID)
        if quick:
            self._history(held)
        return quick

    def _at_once(self, job: Job, history: History) -> Proposed | None:
        """The proposals of a job whose strategy is quick; None when there is no room."""
        room = job.room()
        if not room:
            return None
        answer = self.advisor.propose(history, job.next_number, room)
        return _proposal(answer, self.recorder.clock.now())

    def _ask(self, held: Held, effect: Propose, now: float) -> None:
        if held.proposing is not None or now < held.retry_at:
            return
        history = self._history(held)
        if self._quick(held):
            answer = self._at_once(held.job, history)
            held.add([answer] if answer is not None else [], now)
        else:
            propose = self.advisor.propose
            held.proposing = self._aside.submit(propose, history.snapshot(), effect.first, effect.count)

    def _proposed(self, held: Held, now: float) -> None:
        """Take an answer that was computed aside; a failure is logged and asked again, later each time."""
        if held.proposing is None or not held.proposing.done():
            return
        future, held.proposing = held.proposing, None
        try:
            held.add([_proposal(future.result(), now)], now)
            held.failures = 0
        except Exception:
            # Whatever a strategy raises must not end the loop: other jobs depend on it.
            held.failures += 1
            held.retry_at = now + min(30.0, 0.5 * 2**held.failures)
            _LOG.exception("%s: the strategy failed; it is asked again in %.0f s", held.job.name, held.retry_at - now)

    def _history(self, held: Held) -> History:
        if held.history is None:
            new = held.job.next_number == 1
            held.history = History(held.job.spec) if new else self._store.history(held.uid)
            warm = held.job.spec.warm_start
            held.history.parents = tuple(self._parents(warm.parents)) if warm is not None else ()
        return held.history

    def _parents(self, names: Iterable[str]) -> Iterable[History]:
        for name in names:
            try:
                yield self._store.history(self._store.find(name, tuning=True))
            except NotFound:
                _LOG.warning("the parent tuning job %s is gone; its results are not used", name)

    def _patience(self, held: Held, now: float) -> float:
        """Seconds until this job needs a look although nothing happens."""
        times = [IDLE_SECONDS]
        if held.pending:
            times.append(0.0 if held.due(now) else held.flush_at - now)
        if any(trial.status is not TrialStatus.PENDING for trial in held.job.live.values()):
            times.append(held.look_at - now)
        due = deadline(held.job)
        if due is not None:
            times.append(due - now)
        return max(0.0, min(times))


def _running(held: Held) -> int:
    """Trials that hold slots: jobs with fewer of them launch first."""
    return sum(trial.status is not TrialStatus.PENDING for trial in held.job.live.values())


def _proposal(answer: Proposals, now: float) -> Proposed:
    return Proposed(now, answer.proposals, answer.exhausted, answer.converged)
