"""The loop: observe, record, act, for every job whose lease this process holds.

A tick looks at what the executor, the strategies and the clock have to say, commits it as events, and then
carries out what the jobs are owed. Nothing here decides anything about a job; that is the heart's work.
"""

from __future__ import annotations

import logging

from tunewright.control.held import Held
from tunewright.control.opinions import Opinions
from tunewright.control.options import LoopOptions
from tunewright.control.pool import DaemonPool
from tunewright.control.programs import Programs
from tunewright.control.recorder import Recorder
from tunewright.control.watch import INLINE, Watch
from tunewright.core.completion import deadline
from tunewright.core.effects import Discard, Judge, Kill, Launch, Promote, Propose
from tunewright.core.errors import NotFound
from tunewright.core.events import Discarded, Event, Exited, Judged, Launched, Promoted, Ticked
from tunewright.core.machine import todo
from tunewright.core.ports import Advisor, Executor, Owner, Store
from tunewright.core.trial import Trial, TrialStatus

_LOG = logging.getLogger("tunewright")

LOOK_SECONDS = 0.2
"""How often running trials' streams are looked at."""
IDLE_SECONDS = 0.5
"""How often the store is looked at for new jobs and others' changes while nothing runs."""
TOLD_SECONDS = 60.0
"""The same trouble with a job is told again after so long."""
MAX_PASSES = 8


class Loop:
    """Runs jobs. One thread calls `tick` and `wait`; other threads may write through a Recorder and `wake`."""

    def __init__(
        self,
        recorder: Recorder,
        executor: Executor,
        advisor: Advisor,
        owner: Owner,
        options: LoopOptions,
        pool: DaemonPool | None = None,
    ) -> None:
        """`pool` does what takes long; threads of its own where none is given."""
        self.recorder = recorder
        self.executor = executor
        self.advisor = advisor
        self.owner = owner
        self.options = options
        self.held: dict[str, Held] = {}
        self._pool = pool or DaemonPool(2, executor.wake)
        self._opinions = Opinions(recorder, advisor, self._pool)
        self._programs = Programs(executor, options)
        self._refreshed = float("-inf")
        self._troubles: dict[str, tuple[str, float]] = {}

    @property
    def _store(self) -> Store:
        return self.recorder.store

    def tick(self) -> None:
        """One round over all jobs. Raises what the store raises when it cannot be reached."""
        now = self.recorder.clock.now()
        self._refresh(now)
        self._programs.collect(self.held)
        self._programs.look_for_room()
        for held in sorted(self.held.values(), key=_running):
            try:
                self._advance(held, now)
            except NotFound:
                self._drop(held)
            # Broad: one job's trouble must not stop the others. It is logged, and the job read from the store afresh.
            except Exception as error:
                text, until = self._troubles.get(held.uid, ("", now))
                if text != str(error) or until <= now:
                    self._troubles[held.uid] = str(error), now + TOLD_SECONDS
                    _LOG.exception("%s: the loop stumbled; the job is read again, until it goes on", held.job.name)
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
        self._programs.hurry(uid)
        self.wake()

    def busy(self) -> bool:
        """Whether any job is held."""
        return bool(self.held)

    def close(self) -> None:
        """Give the leases back. Training programs go on."""
        self._pool.close()
        for held in list(self.held.values()):
            try:
                if held.pending:
                    held.commit(self.recorder, None)
                self._store.release(held.uid, self.owner)
            # Broad: the other jobs are still to be given back; this one's lease runs out, and it is taken over.
            except Exception:
                _LOG.exception("%s: what was pending could not be written", held.job.name)
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
        """Take a job over, if nobody runs it and it is not left to another controller."""
        holder = self._store.lease(uid)
        if holder is not None and holder[1] > now and holder[0] != self.owner and not self.options.dead(holder[0]):
            return
        try:
            if self.options.leave(self._store.load(uid).job, now) or not self._lease(uid, now):
                return
            stored = self._store.load(uid)
        except NotFound:
            return
        self.recorder.clock.at_least(stored.job.updated)
        held = Held(stored, now + self.options.lease_seconds)
        self.held[uid] = held
        self._programs.adopt(held)

    def _lease(self, uid: str, now: float) -> bool:
        holder = self._store.lease(uid)
        dead = [holder[0]] if holder is not None and self.options.dead(holder[0]) else []
        return self._store.acquire(uid, self.owner, now + self.options.lease_seconds, now, dead)

    def _reload(self, held: Held) -> None:
        held.stored = self._store.load(held.uid)
        held.history = None
        self._programs.adopt(held)

    def _drop(self, held: Held) -> None:
        self.held.pop(held.uid, None)
        self._programs.lose(held)

    # ---- observe ----

    def _observe(self, held: Held, now: float) -> None:
        """Read what trials printed, and turn it and their ends into events."""
        looking = now >= held.look_at
        if looking:
            held.look_at = now + LOOK_SECONDS
            self._programs.adopt(held)
        for number, watch in list(held.watches.items()):
            trial = held.job.live.get(number)
            if trial is None or trial.attempt != watch.task.attempt:
                self._programs.forget(held, number)
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
                watch.reading = self._pool.submit(watch.read, self.executor, now)
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
            self._opinions.take(held, now)
            if held.due(now):
                held.commit(self.recorder, self._opinions.at_once_for(held))
            held.add(self._act(held, now), now)
            if not held.due(now):
                break
        if held.job.status.terminal:
            self._finish(held)

    def _finish(self, held: Held) -> None:
        for number in list(held.watches):
            self._programs.forget(held, number)
        self._store.release(held.uid, self.owner)
        self._troubles.pop(held.uid, None)
        self._drop(held)

    def _act(self, held: Held, now: float) -> list[Launched | Exited | Judged | Discarded | Promoted]:
        """Carry out what the job is owed; what comes of it at once."""
        events: list[Launched | Exited | Judged | Discarded | Promoted] = []
        removed = {e.number for e in held.pending if isinstance(e, Discarded)}
        told = {(e.number, e.attempt) for e in held.pending if isinstance(e, Launched | Judged | Exited)}
        for effect in todo(held.job):
            match effect:
                case Propose():
                    self._opinions.ask(held, effect, now)
                case Promote() if not any(isinstance(event, Promoted) for event in held.pending):
                    fit = self.advisor.promote(self._opinions.history(held), effect.places)
                    events.append(Promoted(now, effect.news, fit))
                case Launch() if (effect.number, effect.attempt) not in told:
                    events += self._programs.launch(held, held.job.live[effect.number], now)
                case Kill():
                    self._programs.kill(held, held.job.live[effect.number])
                case Judge() if (effect.number, effect.attempt) not in told:
                    verdict = self.advisor.judge(self._opinions.history(held), effect.number, effect.upto)
                    events.append(Judged(now, effect.number, effect.attempt, effect.upto, verdict))
                case Discard() if effect.number not in removed:
                    events.append(self._programs.discard(held.job, held.job.dropped[effect.number], now))
                case _:
                    pass
        return events

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
