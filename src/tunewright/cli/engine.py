"""The engine behind the commands: what is asked of it, and the one place where it is joined."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from tunewright.assembly import Local, local
from tunewright.cli.names import listed
from tunewright.core.errors import NotFound
from tunewright.core.job import Job, JobStatus
from tunewright.core.ports import Objects
from tunewright.core.reads import JobQuery, JobView, LogTail, Reads, TrialView
from tunewright.core.suggest import did_you_mean
from tunewright.sdk.inherited import Inherited, inherited
from tunewright.settings import Settings


class Engine(Protocol):
    """This process's own tuning service, as `tunewright.assembly.local` gives it."""

    @property
    def client(self) -> Any:
        """A botocore SageMaker client answered in this process; the loop runs from the first use on."""
        ...

    @property
    def reads(self) -> Reads: ...
    @property
    def objects(self) -> Objects: ...
    @property
    def settings(self) -> Settings: ...

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        """One operation without a client and without a loop, as wire dictionaries (times are seconds)."""
        ...

    def start(self) -> None:
        """Run the loop in the background of this process."""
        ...

    def wait(self, name: str, timeout: float) -> None:
        """Return when the job changed, or after `timeout` seconds."""
        ...

    def resume(self, name: str, add_jobs: int = 0) -> JobView:
        """Continue a job that nobody runs, or one that is Stopped or Completed."""
        ...

    def hurry(self, name: str) -> None:
        """Kill the training programs of a job at once."""
        ...

    def detach(self) -> None:
        """Leave this process's jobs to a controller that outlives it."""
        ...

    def in_charge(self, view: JobView) -> bool:
        """Whether a living controller runs this job, or the job needs none any more."""
        ...

    def importance(self, name: str) -> list[tuple[str, float]]:
        """A job's parameters and their shares of the objective, most important first; empty while nothing is known."""
        ...

    def inherited(self, job: Job) -> list[Inherited]:
        """What each parent of a warm-started job gave it."""
        ...

    def log_tail(self, training_job: str, lines: int = 20) -> LogTail: ...
    def log_paths(self, training_job: str, host: str = ...) -> tuple[Path, Path]: ...


class _Own(Local):
    """`assembly`'s Local with the few things that only this face asks for."""

    def importance(self, name: str) -> list[tuple[str, float]]:
        """By the search engine's own model."""
        from tunewright.search.importance import importance

        job = self.reads.job(name).job
        if len(job.spec.definitions) > 1:
            return []
        return [(each.name, each.share) for each in importance(self.history(job.uid)) if each.share > 0]

    def inherited(self, job: Job) -> list[Inherited]:
        return inherited(job, self.reads, self.history)

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        """Raises the rooms' own errors, which the client would turn into botocore's."""
        return self.operations.call(operation, request)


def connect(strict: bool = False) -> Engine:
    """This process's engine for the settings in force. Raises Invalid for a wrong setting."""
    return _Own(local(strict).host, strict=strict)


def find(engine: Engine, name: str) -> JobView:
    """A tuning job by name. Raises NotFound with the names that come closest."""
    try:
        return engine.reads.job(name)
    except NotFound:
        raise NotFound("tuning job", name, _hint(engine, name)) from None


def best_of(engine: Engine, job: Job) -> TrialView | None:
    """A job's best training job; None before there is one, or when it was deleted."""
    if job.best is None:
        return None
    try:
        found = engine.reads.trial(job.best.name)
    except NotFound:
        return None
    return found if found.job_uid == job.uid else None


def orphans(engine: Engine, but: str = "") -> list[str]:
    """Tuning jobs under way that nobody runs, which any loop takes over, but for one."""
    found: list[str] = []
    for status in (JobStatus.IN_PROGRESS, JobStatus.STOPPING):
        views = engine.reads.jobs(JobQuery(status=status, limit=100)).items
        found += [view.job.name for view in views if view.job.name != but and not engine.in_charge(view)]
    return found


def _hint(engine: Engine, name: str) -> str:
    try:
        owner = engine.reads.trial(name)
    except NotFound:
        pass
    else:
        try:
            engine.reads.job(owner.job_name)
        except NotFound:
            stdout, _ = engine.log_paths(name)
            return f"It is a training job of {owner.job_name!r}, which was deleted; its log is at {stdout}."
        return f"It is a training job of {owner.job_name!r}."
    newest = engine.reads.jobs(JobQuery(sort="CreationTime", descending=True, limit=100)).items
    known = [view.job.name for view in newest]
    if not known:
        return f"There are none in {engine.settings.home}."
    return did_you_mean(name, known).strip() or f"Known are {listed(known, 5)}."
