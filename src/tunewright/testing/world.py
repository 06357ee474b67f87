"""A hostile simulated world: a disk that survives crashes, programs that run by a fake clock, and an executor
that tells the loop stale, repeated and reordered news and dies at any border.

Nothing here waits: `wait` moves the clock. A world is decided by its seed alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tunewright.core.events import Promotion, Proposal
from tunewright.core.history import History
from tunewright.core.ports import Advisor, ExitReport, PhaseReport, Proposals, Report, Task
from tunewright.core.trial import Cursor, Failure, Phase, Verdict


class Crash(BaseException):
    """The controller's process is killed here."""


class FakeClock:
    """Time that moves only when told to."""

    def __init__(self, at: float = 1_000_000.0) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    def at_least(self, at: float) -> None:
        self.at = max(self.at, at)


@dataclass(frozen=True, slots=True)
class Program:
    """What a training program does: lines printed at seconds after its start, then an exit code.

    Args:
        lines: (seconds after the start, text without the line end).
        seconds: how long it runs when nobody stops it.
        code: its exit code; -9 for a program that is lost with its shim, -15 for one whose machine goes down.
        deaf: seconds that it goes on after it was told to stop.
    """

    lines: tuple[tuple[float, str], ...]
    seconds: float
    code: int = 0
    deaf: float = 0.0


@dataclass(slots=True)
class Run:
    """One attempt on the disk: started once, perhaps told to stop, over at some time."""

    task: Task
    program: Program
    started: float | None
    kill_at: float | None = None

    def ends(self) -> float:
        """When it is over."""
        if self.started is None:
            return self.kill_at or 0.0
        natural = self.started + self.program.seconds
        return natural if self.kill_at is None else min(natural, self.kill_at + self.program.deaf)

    def killed(self) -> bool:
        if self.started is None:
            return True
        return self.kill_at is not None and self.kill_at + self.program.deaf < self.started + self.program.seconds

    def output(self, now: float) -> bytes:
        if self.started is None:
            return b""
        upto = min(now, self.ends())
        return b"".join(text.encode() + b"\n" for at, text in self.program.lines if self.started + at <= upto)


@dataclass(slots=True)
class Disk:
    """All that survives a crash of the controller.

    Args:
        program: what a task's program does.
        room: whether there are slots for a task now; may raise NoCapacity.
        starts: how often each (name, attempt) was really started; more than once is a fault.
        removed: training jobs whose models were removed.
    """

    program: Callable[[Task], Program]
    room: Callable[[Task], bool] = lambda _: True
    runs: dict[tuple[str, int], Run] = field(default_factory=dict)
    starts: dict[tuple[str, int], int] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)

    def live(self, now: float) -> int:
        """Programs running at a moment."""
        return sum(run.started is not None and run.ends() > now for run in self.runs.values())


@dataclass(frozen=True, slots=True)
class Hostility:
    """Probabilities of each kind of trouble at each opportunity.

    Args:
        crash: the controller dies at a border (before or after a call took effect).
        refuse: the store cannot write, or cannot say that it did.
        repeat: an old report is told again, for any task.
        crowded: a launch finds no slot.
        surplus: a strategy answers with more, fewer or oddly numbered proposals.
    """

    crash: float = 0.0
    refuse: float = 0.0
    repeat: float = 0.0
    crowded: float = 0.0
    surplus: float = 0.0


class SimulatedExecutor:
    """An Executor over a Disk; what it holds in memory is lost in a crash, as with a real one."""

    def __init__(self, disk: Disk, clock: FakeClock, dice: random.Random, hostility: Hostility) -> None:
        self._disk, self._clock, self._dice, self._hostility = disk, clock, dice, hostility
        self._watched: dict[tuple[str, int], bool] = {}
        self._told: list[Report] = []

    def border(self) -> None:
        """A place where the process may die."""
        if self._dice.random() < self._hostility.crash:
            raise Crash

    def refusal(self) -> None:
        """A place where the store may fail."""
        if self._hostility.refuse and self._dice.random() < self._hostility.refuse:
            raise OSError("no space is left on the device")

    def launch(self, task: Task) -> str | None:
        self.border()
        key = (task.name, task.attempt)
        if key not in self._disk.runs:
            if self._dice.random() < self._hostility.crowded or not self._disk.room(task):
                return None
            self._disk.runs[key] = Run(task, self._disk.program(task), self._clock.now())
            self._disk.starts[key] = self._disk.starts.get(key, 0) + 1
        self._watched[key] = False
        self.border()
        return f"{task.name}/{task.attempt}"

    def watch(self, task: Task, handle: str | None) -> None:
        self._watched[task.name, task.attempt] = False

    def kill(self, task: Task) -> None:
        self.border()
        key = (task.name, task.attempt)
        run = self._disk.runs.get(key)
        if run is None:
            self._disk.runs[key] = Run(task, Program((), 0.0), None, self._clock.now())
        elif run.kill_at is None:
            run.kill_at = self._clock.now()
        self._watched[key] = False
        self.border()

    def discard(self, task: Task, model: str) -> None:
        """Remove a training job's model, as `LoopOptions.discard` does."""
        self.border()
        self._disk.removed.add(task.name)
        self.border()

    def poll(self) -> list[Report]:
        self.border()
        now = self._clock.now()
        reports: list[Report] = []
        for key, told in list(self._watched.items()):
            run = self._disk.runs.get(key)
            if told or run is None:
                continue
            if run.ends() <= now:
                self._watched[key] = True
                reports.append(_exit(run))
            elif run.started is not None:
                reports.append(PhaseReport(*key, Phase.TRAINING, run.started))
        self._told += [report for report in reports if isinstance(report, ExitReport)]
        if self._told and self._dice.random() < self._hostility.repeat:
            reports.insert(self._dice.randrange(len(reports) + 1), self._dice.choice(self._told))
        return reports

    def sizes(self, name: str, attempt: int) -> Cursor:
        run = self._disk.runs.get((name, attempt))
        return Cursor(stdout=len(run.output(self._clock.now())) if run is not None else 0)

    def read(self, name: str, attempt: int, stream: str, offset: int, limit: int) -> bytes:
        run = self._disk.runs.get((name, attempt))
        if run is None or stream != "stdout":
            return b""
        return run.output(self._clock.now())[offset : offset + limit]

    def wake(self) -> None:
        """Nobody waits."""

    def wait(self, timeout: float) -> None:
        """Move the clock: to the next end of a program, or by the timeout."""
        self.border()
        now = self._clock.now()
        ends = [run.ends() for run in self._disk.runs.values() if run.ends() > now]
        self._clock.at = min([now + max(timeout, 0.01), *ends])

    def forget(self, name: str, attempt: int) -> None:
        self._watched.pop((name, attempt), None)

    def close(self) -> None:
        self._watched.clear()


def _exit(run: Run) -> ExitReport:
    name, attempt, code = run.task.name, run.task.attempt, run.program.code
    if run.killed():
        begun = run.started is not None
        return ExitReport(
            name, attempt, -15 if begun else None, model=_model(run) if begun else "", killed=True, ended=run.ends()
        )
    if code == -9:
        return ExitReport(name, attempt, None, Failure.INTERNAL, "worker lost", ended=run.ends())
    if code == -15:
        return ExitReport(
            name, attempt, code, Failure.INTERRUPTED, "interrupted", started=run.started, ended=run.ends()
        )
    failure = None if code == 0 else Failure.ALGORITHM
    reason = "" if code == 0 else f"exit code {code}"
    model = _model(run) if code == 0 else ""
    return ExitReport(name, attempt, code, failure, reason, model, started=run.started, ended=run.ends())


def _model(run: Run) -> str:
    return f"sim://{run.task.name}"


class HostileAdvisor:
    """An Advisor that at times answers with too much, too little, or numbers nobody asked for."""

    def __init__(self, inner: Advisor, dice: random.Random, hostility: Hostility) -> None:
        self._inner, self._dice, self._hostility = inner, dice, hostility

    def propose(self, history: History, first: int, count: int) -> Proposals:
        if self._dice.random() >= self._hostility.surplus:
            return self._inner.propose(history, first, count)
        more = self._inner.propose(history, first, count + 2)
        mixed = list(more.proposals) + [Proposal(1, p.point, p.definition) for p in more.proposals[:1]]
        kept: Sequence[Proposal] = mixed if self._dice.random() < 0.7 else mixed[:1]
        return Proposals(tuple(kept), more.exhausted and len(kept) >= count, more.converged)

    def judge(self, history: History, number: int, upto: int) -> Verdict:
        return self._inner.judge(history, number, upto)

    def promote(self, history: History, places: int) -> tuple[Promotion, ...]:
        """Now and then one that is not paused, or more than there are places for."""
        if self._dice.random() >= self._hostility.surplus:
            return self._inner.promote(history, places)
        others = [n for n, record in history.records.items() if not record.paused][:1]
        strange = [Promotion(number, Verdict(False, "nobody asked")) for number in [*others, 10**6]]
        return (*strange, *self._inner.promote(history, places + 2))
