"""An engine on a real SQLite store whose jobs move only by the events that a test records; nothing runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tunewright.aws.inprocess import make_client
from tunewright.aws.sagemaker.operations import Operations
from tunewright.control.recorder import Recorder
from tunewright.core.events import Event, Exited, Launched, Proposal, Proposed, Reported, Resumed
from tunewright.core.job import Job
from tunewright.core.reads import JobView, LogTail
from tunewright.core.space import Value
from tunewright.core.trial import Cursor, Failure, Observation
from tunewright.executors.workdir import end_of_log
from tunewright.objects.local import LocalObjects
from tunewright.sdk.inherited import Inherited, inherited
from tunewright.settings import Settings
from tunewright.store.queries import SqlReads
from tunewright.store.store import open_store

START = 1_700_000_000.0


class Clock:
    """Moves only when told."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        return self.time

    def at_least(self, at: float) -> None:
        self.time = max(self.time, at)


class StillEngine:
    """What the commands see of a process, without a loop."""

    def __init__(self, home: Path, *, strict: bool = False) -> None:
        self.home = home
        self.settings = Settings(home=home, store=f"sqlite:///{home / 'tunewright.db'}")
        self.clock = Clock()
        self.store = open_store(self.settings.store)
        self.reads = SqlReads(self.store.engine)
        self.objects = LocalObjects(home / "objects")
        self.recorder = Recorder(self.store, self.clock, lambda _: None)
        self.operations = Operations(
            self.recorder, self.store, self.reads, self.objects, self.settings, strict, lambda _: None
        )
        self.charge = True
        self.done: list[str] = []
        self.script: list[Callable[[], None]] = []

    # ---- the engine's protocol ----

    @property
    def client(self) -> Any:
        return make_client(self.operations.handle, self.settings.region)

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        return self.operations.call(operation, request)

    def start(self) -> None:
        self.done.append("start")
        self.charge = True

    def wait(self, name: str, timeout: float) -> None:
        """Let the next scripted thing happen."""
        assert self.script, "the command waits, and nothing will happen any more"
        self.clock.time += 1.0
        self.script.pop(0)()

    def resume(self, name: str, add_jobs: int = 0) -> JobView:
        self.done.append(f"resume {add_jobs}")
        view = self.reads.job(name)
        if view.job.status.terminal:
            self.record(name, Resumed(self.clock.now(), add_jobs))
        return self.reads.job(name)

    def hurry(self, name: str) -> None:
        self.done.append("hurry")
        for number in list(self.job(name).live):
            self.exit(name, number, -9, killed=True)

    def detach(self) -> None:
        self.done.append("detach")

    def in_charge(self, view: JobView) -> bool:
        return self.charge or view.job.status.terminal

    def importance(self, name: str) -> list[tuple[str, float]]:
        self.done.append(f"importance {name}")
        return [("units", 0.75), ("lr", 0.25)]

    def inherited(self, job: Job) -> list[Inherited]:
        return inherited(job, self.reads, self.store.history)

    def log_paths(self, training_job: str, host: str = "algo-1") -> tuple[Path, Path]:
        base = self.home / "jobs" / training_job
        base = base if host == "algo-1" else base / "hosts" / host
        return base / "stdout.log", base / "stderr.log"

    def log_tail(self, training_job: str, lines: int = 20) -> LogTail:
        return end_of_log(self.log_paths(training_job), lines)

    # ---- moving jobs ----

    def job(self, name: str) -> Job:
        return self.reads.job(name).job

    def record(self, name: str, *events: Event) -> Job:
        return self.recorder.record(self.reads.job(name).job.uid, events).job

    def begin(self, name: str, *points: dict[str, Value]) -> Sequence[int]:
        """Propose and launch training jobs with these configurations; their numbers."""
        first, at = self.job(name).next_number, self.clock.now()
        numbers = range(first, first + len(points))
        proposals = tuple(Proposal(number, point) for number, point in zip(numbers, points, strict=True))
        self.record(name, Proposed(at, proposals), *(Launched(at, number, 1, f"h{number}") for number in numbers))
        return numbers

    def report(self, name: str, number: int, *values: float, metric: str = "acc", note: str = "") -> None:
        trial = self.job(name).live[number]
        cursor = Cursor(stdout=trial.cursor.stdout + 10)
        seen = tuple(Observation(metric, value, self.clock.now()) for value in values)
        self.record(name, Reported(self.clock.now(), number, trial.attempt, trial.cursor, cursor, seen, note))

    def exit(self, name: str, number: int, code: int = 0, reason: str = "", *, killed: bool = False) -> None:
        trial = self.job(name).live[number]
        failure = Failure.ALGORITHM if code and not killed else None
        model = f"file://{self.home}/output/{trial.name}/output/model.tar.gz" if not failure else ""
        self.record(name, Exited(self.clock.now(), number, trial.attempt, code, failure, reason, model, killed))

    def log(self, name: str, number: int, text: str) -> None:
        """Give a live training job a log."""
        path = self.log_paths(self.job(name).live[number].name)[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def then(self, *things: Callable[[], object]) -> None:
        """What happens at each wait, in order."""
        self.script += [lambda thing=thing: (thing(), None)[1] for thing in things]
