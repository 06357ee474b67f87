"""The composition root: the only file that knows everybody.

`local()` gives the faces what they need in process. Run as a program it is a detached controller: it takes
over the jobs of a store that nobody runs and ends after a minute without work.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.aws.sagemaker.announce import Announcer, targets_of
from tunewright.aws.sagemaker.limits import quotas_of
from tunewright.aws.sagemaker.names import Arns
from tunewright.aws.sagemaker.operations import Operations
from tunewright.control.background import Background, Rounds
from tunewright.control.clock import SteadyClock, pause
from tunewright.control.detached import DetachedController, spawn_controller
from tunewright.control.loop import Loop
from tunewright.control.options import LoopOptions
from tunewright.control.owner import is_dead, this_process
from tunewright.control.recorder import Recorder
from tunewright.core.errors import Invalid, Problem, WrongState
from tunewright.core.events import Promotion, Resumed
from tunewright.core.history import History
from tunewright.core.job import Job
from tunewright.core.ports import FIRST_HOST, Advisor, Executor, Objects, Proposals, Task
from tunewright.core.reads import JobView, LogTail, Reads
from tunewright.core.spec import Function
from tunewright.core.trial import Verdict
from tunewright.executors.bell import Bell
from tunewright.executors.contract.artifacts import discard
from tunewright.executors.functions.executor import FunctionExecutor
from tunewright.executors.functions.store import store_function
from tunewright.executors.images import parse as parse_images
from tunewright.executors.instances import Offer, table_of
from tunewright.executors.programs.executor import LocalExecutor
from tunewright.executors.routed import RoutedExecutor
from tunewright.executors.runtime import Runtime
from tunewright.executors.slots import Slots, counts
from tunewright.executors.workdir import Workdir, end_of_log
from tunewright.objects.choose import open_objects
from tunewright.settings import PREFIX, Settings
from tunewright.store.queries import SqlReads
from tunewright.store.store import SqlStore, open_store

if TYPE_CHECKING:
    from botocore.client import BaseClient

IDLE_END_SECONDS = 60.0
POLL_SECONDS = 0.25
"""How often a job that another process runs is looked at."""


class LateEngine:
    """The strategies, imported when a job first asks: they bring numpy, which a server that only answers can spare."""

    @cached_property
    def _engine(self) -> Advisor:
        from tunewright.search.advisor import Engine

        return Engine()

    def propose(self, history: History, first: int, count: int) -> Proposals:
        return self._engine.propose(history, first, count)

    def judge(self, history: History, number: int, upto: int) -> Verdict:
        return self._engine.judge(history, number, upto)

    def promote(self, history: History, places: int) -> tuple[Promotion, ...]:
        return self._engine.promote(history, places)


def check_settings(settings: Settings) -> None:
    """See to it that the settings' texts can be read, before a loop in a thread finds out over and over.

    Raises:
        Invalid: with what is wrong in all of them.
    """
    problems: list[Problem] = []
    readers: list[tuple[Callable[[str], object], str]] = [
        (counts, settings.slots),
        (table_of, settings.instances),
        (parse_images, settings.images),
        (quotas_of, settings.quotas),
    ]
    for read, text in readers:
        try:
            read(text)
        except Invalid as error:
            problems += error.problems
    if problems:
        raise Invalid(problems)


def make_home(home: Path) -> None:
    """Make the home directory, for its owner alone. Raises Invalid when it cannot be one."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        reason = "" if os.access(home, os.W_OK | os.X_OK) else "it cannot be written"
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        remedy = "Set TUNEWRIGHT_HOME to a directory that can be written."
        raise Invalid.one("home", f"'{home}' cannot be Tunewright's directory: {reason}. {remedy}")


@dataclass(slots=True, weakref_slot=True)
class Host:
    """What one process shares whatever face asks: store, recorder, executors, and the loop in its thread.

    Args:
        stays: this process is there to run jobs, whosoever they are; others end when they have done what they are for.

    Attributes:
        asked: uids of the jobs that this process was asked to run.
    """

    settings: Settings
    store: SqlStore
    recorder: Recorder
    objects: Objects
    reads: SqlReads
    announcer: Announcer | None = None
    stays: bool = False
    asked: set[str] = field(default_factory=set)
    background: Background = field(init=False)
    detached: DetachedController = field(init=False)

    def __post_init__(self) -> None:
        self.background = Background(self.make_loop)
        self.detached = DetachedController(self.settings.home, self.environment)

    @classmethod
    def open(cls, settings: Settings, *, stays: bool = False) -> Host:
        """Raises Invalid: a setting is wrong; nothing was made then."""
        check_settings(settings)
        make_home(settings.home)
        store = open_store(settings.store)
        reads = SqlReads(store.engine)
        targets = targets_of(settings.events, settings.home)
        announcer = Announcer(store, reads, Arns.of(settings), targets) if targets else None
        recorder = Recorder(store, SteadyClock(), pause, announcer)
        return cls(settings, store, recorder, open_objects(settings.objects, settings.region), reads, announcer, stays)

    def make_executor(self) -> Executor:
        bell = Bell()
        slots = Slots(self.settings.home / "slots", self.settings.slots)
        given = self.settings
        runtime = Runtime(given.opt_ml, parse_images(given.images), given.requirements, given.region)
        scripts = LocalExecutor(given.home, given.objects, slots, bell, runtime=runtime)
        functions = FunctionExecutor(self.settings.home, self.objects, slots, bell)
        return RoutedExecutor(scripts, functions, bell, Offer(self.settings.instances, slots))

    def make_loop(self) -> Loop:
        settings = self.settings
        options = LoopOptions(
            arn=Arns.of(settings).training,
            region=settings.region,
            capacity_seconds=settings.capacity_seconds,
            lease_seconds=settings.lease_seconds,
            leave=self.leave,
            discard=self.discard,
        )
        return Loop(self.recorder, self.make_executor(), LateEngine(), this_process(), options)

    def leave(self, job: Job, now: float) -> bool:
        """Whether a job that nobody runs is a detached controller's: functions end with the process that calls them."""
        calls = any(definition.training.function is not None for definition in job.spec.definitions)
        return calls and not self.stays and job.uid not in self.asked and self.detached.sees_to(job.uid, now)

    def want(self, uid: str) -> None:
        """Run a job in this process, from now on."""
        self.asked.add(uid)
        self.background.wake()

    def discard(self, task: Task, model: str) -> None:
        """Remove the model and the checkpoints of a training job that is over."""
        discard(task, model, Workdir.of(self.settings.home, task.name, task.attempt), self.objects)

    def close(self) -> None:
        """Stop the loop; leave a detached controller behind when jobs go on."""
        if self.background.stop() and self._left():
            spawn_controller(self.settings.home, self.environment())
        self.detached.let_go()
        self.part()

    def part(self) -> None:
        """Let go of the store, when those who are told of state changes have heard them."""
        if self.announcer is not None:
            self.announcer.close()
        self.store.close()

    def _left(self) -> bool:
        """Whether there is a job that goes on and that nobody runs."""
        return any(self.store.lease(uid) is None for uid in self.store.versions())

    def environment(self) -> dict[str, str]:
        """This process's environment with these settings spelled out, for a controller of its own."""
        values = {f.name: getattr(self.settings, f.name) for f in fields(self.settings)}
        spelled = {PREFIX + name.upper(): str(value) for name, value in values.items() if value not in (None, "")}
        return {**os.environ, **spelled}


class Local:
    """What the SDK and the command line see of this process: a client, read models, and the loop."""

    def __init__(self, host: Host, *, strict: bool) -> None:
        self.host = host
        self.strict = strict
        self.settings = host.settings
        self.reads: Reads = host.reads
        self.objects: Objects = host.objects

    @cached_property
    def operations(self) -> Operations:
        host = self.host
        return Operations(
            host.recorder,
            host.store,
            host.reads,
            host.objects,
            self.settings,
            strict=self.strict,
            wake=host.want,
        )

    @cached_property
    def client(self) -> BaseClient:
        """A botocore SageMaker client answered in this process; the loop runs from here on."""
        from tunewright.aws.inprocess import make_client

        self.start()
        return make_client(self.operations.handle, self.settings.region)

    def start(self) -> None:
        """Run the loop in the background of this process, if it does not run yet."""
        self.host.background.start()

    def wait(self, name: str, timeout: float, *, tuning: bool = True) -> None:
        """Return when the job has changed since the call, or after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        view = self.reads.job(name, tuning=tuning)
        uid, background = view.job.uid, self.host.background
        while (left := deadline - time.monotonic()) > 0:
            background.moved(uid, view.version, min(left, POLL_SECONDS))
            now = background.version(uid)
            if (self.reads.job(name, tuning=tuning).version if now is None else now) != view.version:
                return

    def resume(self, name: str, add_jobs: int = 0) -> JobView:
        """Continue a job: one that nobody runs is taken over, a Stopped or Completed one goes on."""
        view = self.reads.job(name)
        if view.job.status.terminal:
            done = self.host.recorder.record(view.job.uid, [Resumed(self.host.recorder.clock.now(), add_jobs)])
            if not done.changed:
                rule = "only Stopped and Completed ones are resumed, and none that was made in strict mode"
                text = f"The tuning job {name!r} is {done.job.status} and was not resumed: {rule}."
                raise WrongState(text)
        self.host.asked.add(view.job.uid)
        self.start()
        self.host.background.wake()
        return self.reads.job(name)

    def hurry(self, name: str) -> None:
        """Give the training programs of a job that is being stopped no more time."""
        self.host.background.hurry(self.reads.job(name).job.uid)

    def in_charge(self, view: JobView) -> bool:
        """Whether a living controller runs this job (or the job needs none any more)."""
        if view.job.status.terminal:
            return True
        if view.owner is None or view.lease_until is None:
            return False
        return not is_dead(view.owner) and view.lease_until > self.host.recorder.clock.now()

    def history(self, uid: str) -> History:
        """All that a strategy may see of a tuning job."""
        return self.host.store.history(uid)

    def log_paths(self, training_job: str, host: str = FIRST_HOST, attempt: int | None = None) -> tuple[Path, Path]:
        """The files that hold a training job's standard output and standard error.

        Args:
            attempt: None: the latest.
        """
        if attempt is None:
            found = self.reads.trial(training_job).trial
            training_job, attempt = found.name, found.attempt
        place = Workdir.of(self.settings.home, training_job, attempt)
        here = place.of_host(host)
        return Path(here.stream("stdout")), Path(here.stream("stderr"))

    def log_tail(self, training_job: str, lines: int = 20) -> LogTail:
        """The end of a training job's log, as `end_of_log` gives it. Raises NotFound."""
        return end_of_log(self.log_paths(training_job), lines)

    def store_function(self, function: Callable[..., Any]) -> Function:
        """Keep a Python function where this user's own workers find it."""
        return store_function(function, self.settings.home)

    def detach(self) -> None:
        """Hand this process's jobs to a detached controller."""
        self.host.background.stop()
        self.host.asked.clear()
        if self.host.store.versions():
            spawn_controller(self.settings.home, self.host.environment())


_hosts: dict[tuple[int, Settings], Host] = {}
_locals: dict[tuple[int, Settings, bool], Local] = {}
_lock = threading.Lock()


def local(strict: bool = False, settings: Settings | None = None) -> Local:
    """This process's own tuning service for the settings in force.

    Raises:
        Invalid: a setting is wrong.
    """
    settings = settings or Settings.load()
    with _lock:
        key = (os.getpid(), settings, strict)
        if key not in _locals:
            host = _hosts.get(key[:2]) or _hosts.setdefault(key[:2], Host.open(settings))
            _locals[key] = Local(host, strict=strict)
        return _locals[key]


def close_all() -> None:
    """Stop this process's loops; jobs that go on are left to a detached controller."""
    with _lock:
        mine = [key for key in _hosts if key[0] == os.getpid()]
        hosts = [_hosts.pop(key) for key in mine]
        _locals.clear()
    for host in hosts:
        host.close()


atexit.register(close_all)


def main() -> None:
    """A detached controller."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    host = Host.open(Settings.load(), stays=True)
    loop = host.make_loop()
    rounds = Rounds(loop, pause)
    idle_since = time.monotonic()
    try:
        while time.monotonic() - idle_since < IDLE_END_SECONDS:
            rounds.tick()
            loop.wait()
            if loop.busy():
                idle_since = time.monotonic()
    finally:
        loop.close()
        loop.executor.close()
        host.part()


if __name__ == "__main__":
    main()
