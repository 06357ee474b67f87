"""The loop at its edges: who waits for whom, what a store that fails leaves behind, starting and stopping."""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from test_world import DrawByNumber

from tunewright.control import detached
from tunewright.control.background import Background
from tunewright.control.held import Held
from tunewright.control.loop import LOOK_SECONDS, Loop
from tunewright.control.options import LoopOptions
from tunewright.control.recorder import Recorder
from tunewright.core.change import Change
from tunewright.core.events import Event, Exited, Launched, Proposal, Proposed, Resumed, StopAsked, TrialStopAsked
from tunewright.core.job import Job
from tunewright.core.ports import Owner, Task
from tunewright.core.space import ContinuousParameter, Space
from tunewright.core.spec import (
    Definition,
    Direction,
    JobSpec,
    Limits,
    MetricDefinition,
    Objective,
    Strategy,
    Training,
)
from tunewright.core.trial import Failure
from tunewright.store.queries import SqlReads
from tunewright.store.store import SqlStore, open_store
from tunewright.testing.world import Disk, FakeClock, Hostility, Program, SimulatedExecutor

ME = Owner("sim", "boot", 1, 0.0)
OTHER = Owner("sim", "boot", 2, 0.0)


def spec(name: str, *, jobs: int = 2, parallel: int = 1, gpus: int = 0) -> JobSpec:
    training = Training(metrics=(MetricDefinition("acc", "acc=(.*?);"),), gpus=gpus)
    objective = Objective("acc", Direction.MAXIMIZE)
    definition = Definition(Space({"x": ContinuousParameter(0.0, 1.0)}), objective, training)
    return JobSpec(name, (definition,), Strategy.RANDOM, Limits(parallel, jobs))


def shortly(_: Task) -> Program:
    return Program(((1.0, "acc=0.5;"),), 10.0, deaf=100.0)


def at_length(_: Task) -> Program:
    return Program(((1.0, "acc=0.5;"),), 200.0)


class FailingStore:
    """A store that cannot write some events."""

    def __init__(self, inner: SqlStore) -> None:
        self._inner = inner
        self.refuse: type[Event] | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def commit(self, version: int, changes: Sequence[Change], events: Sequence[Event]) -> int:
        if self.refuse is not None and any(isinstance(event, self.refuse) for event in events):
            raise OSError("no space is left on the device")
        return self._inner.commit(version, changes, events)


class Site:
    """A loop over a simulated executor."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self.store = open_store(f"sqlite:///{folder / 'site.db'}")
        self.failing = FailingStore(self.store)
        self.clock = FakeClock()
        self.recorder = Recorder(self.failing, self.clock, lambda _: None)  # type: ignore[arg-type]  # all of a store
        self.executor = SimulatedExecutor(disk, self.clock, random.Random(0), Hostility())
        self.graces: list[float] = []
        kill = self.executor.kill
        self.executor.kill = lambda task: (self.graces.append(task.grace), kill(task))[1]  # type: ignore[method-assign]
        self.loop = Loop(self.recorder, self.executor, DrawByNumber(), ME, LoopOptions(arn=str))

    def create(self, made: JobSpec) -> str:
        self.clock.at += 1.0
        return self.recorder.create(made).job.uid

    def until(self, uid: str, ended: bool = True) -> None:
        """Go round until a job is over, or has something running."""
        for _ in range(2000):
            job = self.store.load(uid).job
            if job.status.terminal if ended else any(trial.handle for trial in job.live.values()):
                return
            self.loop.tick()
            self.loop.wait()
        raise AssertionError(f"never came true: {self.store.load(uid).job}")


def test_who_waits_for_a_gpu_holds_back_nobody_who_wants_none(tmp_path: Path) -> None:
    site = Site(tmp_path, Disk(shortly, room=lambda task: task.training.gpus == 0))
    waiting = site.create(spec("gpus", gpus=1))
    site.until(site.create(spec("cpus")))
    assert site.store.load(waiting).job.live[1].handle is None


def test_a_free_place_goes_to_the_job_that_has_fewest(tmp_path: Path) -> None:
    disk = Disk(shortly)
    disk.room = lambda _: disk.live(site.clock.now()) < 2
    site = Site(tmp_path, disk)
    first = site.create(spec("first", jobs=6, parallel=3))
    site.until(first, ended=False)
    second = site.create(spec("second", jobs=1))
    site.until(second)
    job = site.store.load(first).job
    assert job.counters.completed <= 3 and not job.status.terminal


def test_time_goes_on_from_where_another_machine_left_a_job(tmp_path: Path) -> None:
    site = Site(tmp_path, Disk(at_length))
    site.create(spec("job", jobs=1))
    written = site.clock.at
    site.clock.at -= 500.0
    site.loop.tick()
    assert site.clock.at == written


# ---- starts that the system refuses ----


def refusing(site: Site, number: int, times: int) -> list[float]:
    """Let so many launches be refused with an error number; when they were."""
    launch, at = site.executor.launch, list[float]()

    def refuse(task: Task) -> str | None:
        if len(at) < times:
            at.append(site.clock.now())
            raise OSError(number, os.strerror(number))
        return launch(task)

    site.executor.launch = refuse  # type: ignore[method-assign]
    return at


def test_a_start_that_is_refused_for_a_moment_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site = Site(tmp_path, Disk(shortly))
    refused = refusing(site, errno.EACCES, times=5)
    uid = site.create(spec("job", jobs=2))
    site.until(uid)
    job = site.store.load(uid).job
    assert len(refused) == 5 and job.counters.completed == 2
    [said] = [record.message for record in caplog.records]
    assert "cannot be started, which is tried again" in said and os.strerror(errno.EACCES) in said


def test_a_start_that_is_refused_for_long_is_a_failure_with_the_reason(tmp_path: Path) -> None:
    site = Site(tmp_path, Disk(shortly))
    refused = refusing(site, errno.EACCES, times=10**6)
    uid = site.create(spec("job", jobs=1))
    site.until(uid)
    [view] = SqlReads(site.store.engine).all_trials(uid)
    assert view.trial.failure is Failure.INTERNAL and os.strerror(errno.EACCES) in view.trial.reason
    assert 30.0 <= refused[-1] - refused[0] < 32.0


def test_a_start_waits_for_room_on_a_full_disk(tmp_path: Path) -> None:
    site = Site(tmp_path, Disk(shortly))
    refused = refusing(site, errno.ENOSPC, times=500)
    uid = site.create(spec("job", jobs=1))
    site.until(uid)
    assert refused[-1] - refused[0] > 100.0 and site.store.load(uid).job.counters.completed == 1


def test_a_program_that_cannot_be_watched_for_a_moment_is_followed_after_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(tmp_path, Disk(at_length))
    uid = site.create(spec("job", jobs=1))
    site.until(uid, ended=False)
    site.loop.close()
    watch, left = site.executor.watch, [errno.EACCES] * 3

    def refuse(task: Task, handle: str | None) -> None:
        if left:
            raise OSError(left.pop(), "refused")
        watch(task, handle)

    site.executor.watch = refuse  # type: ignore[method-assign]
    site.loop = Loop(site.recorder, site.executor, DrawByNumber(), ME, LoopOptions(arn=str))
    site.until(uid)
    assert not left and site.store.load(uid).job.counters.completed == 1
    assert ["cannot be watched yet" in record.message for record in caplog.records] == [True]


# ---- leases ----


def test_a_lease_is_renewed_in_good_time_and_given_back_at_the_end(tmp_path: Path) -> None:
    site = Site(tmp_path, Disk(at_length))
    uid = site.create(spec("job", jobs=1))
    site.until(uid, ended=False)
    until = set()
    while not site.store.load(uid).job.status.terminal:
        site.loop.tick()
        lease = site.store.lease(uid)
        if lease is not None:
            assert lease[0] == ME and lease[1] - site.clock.now() > 15.0
            until.add(lease[1])
        site.loop.wait()
    assert 200 / 30 < len(until) < 200 / 5, "not at every look"
    assert site.store.lease(uid) is None and not site.loop.busy()


def test_a_job_whose_lease_another_took_is_let_go_until_it_is_free_again(tmp_path: Path) -> None:
    site = Site(tmp_path, Disk(at_length))
    uid = site.create(spec("job", jobs=1))
    site.until(uid, ended=False)
    site.clock.at += 31.0
    assert site.store.acquire(uid, OTHER, site.clock.at + 5.0, site.clock.at, [])
    site.loop.tick()
    assert not site.loop.busy() and site.store.lease(uid) == (OTHER, site.clock.at + 5.0)
    site.clock.at += 5.0
    site.loop.tick()
    assert site.loop.busy() and site.store.lease(uid) == (ME, site.clock.at + 30.0)
    site.until(uid)
    assert site.store.load(uid).job.counters.completed == 1


@pytest.mark.parametrize("dead", [True, False])
def test_the_job_of_a_dead_owner_is_taken_at_once(tmp_path: Path, dead: bool) -> None:
    site = Site(tmp_path, Disk(at_length))
    site.loop.options = LoopOptions(arn=str, dead=lambda owner: dead and owner == OTHER)
    uid = site.create(spec("job", jobs=1))
    assert site.store.acquire(uid, OTHER, site.clock.at + 20.0, site.clock.at, [])
    site.loop.tick()
    assert site.loop.busy() is dead
    site.clock.at += 20.0
    site.loop.tick()
    assert site.loop.busy(), "its lease is over"


def test_an_exit_that_could_not_be_written_is_written_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site = Site(tmp_path, Disk(shortly))
    uid = site.create(spec("job", jobs=1))
    site.until(uid, ended=False)
    site.failing.refuse = Exited
    until = site.clock.at + 30.0
    while site.clock.at < until:
        site.loop.tick()
        site.loop.wait()
    site.failing.refuse = None
    site.until(uid)
    assert site.store.load(uid).job.counters.completed == 1
    told = [record for record in caplog.records if "stumbled" in record.message]
    assert len(told) == 1, "what stays the same is told once"


def test_a_store_that_fails_at_the_close_keeps_no_lease(tmp_path: Path) -> None:
    site = Site(tmp_path, Disk(shortly))
    uids = [site.create(spec(name, jobs=9)) for name in ("a", "b", "c")]
    for uid in uids:
        site.until(uid, ended=False)
    one = site.loop.held[uids[1]]
    one.add([Exited(site.clock.now(), 1, 1, None, Failure.ALGORITHM, "")], site.clock.now())
    site.failing.refuse = Exited
    site.loop.close()
    assert [site.store.lease(uid) is None for uid in (uids[0], uids[2])] == [True, True]


def test_a_job_that_is_left_to_another_controller_is_not_taken_over(tmp_path: Path) -> None:
    site = Site(tmp_path, Disk(shortly))
    site.loop.options = LoopOptions(arn=str, leave=lambda job, _: job.name == "others")
    others = site.create(spec("others"))
    site.until(site.create(spec("mine")))
    assert site.store.lease(others) is None and not site.store.load(others).job.live
    site.loop.options = LoopOptions(arn=str)
    site.until(others)


def test_a_job_is_read_once_its_lease_is_held(tmp_path: Path) -> None:
    """What others wrote while it was decided whether to take it is known: here that a training job was started."""
    site = Site(tmp_path, Disk(at_length))
    uid = site.create(spec("job"))
    others = [Proposed(site.clock.now(), (Proposal(1, {"x": 0.1}),)), Launched(site.clock.now(), 1, 1, "handle")]

    def write(_: Job, __: float) -> bool:
        site.recorder.record(uid, others)
        return False

    watched: list[str] = []
    site.executor.watch = lambda task, handle: watched.append(task.name)  # type: ignore[method-assign]
    site.loop.options = LoopOptions(arn=str, leave=write)
    site.loop.tick()
    assert watched == [site.store.load(uid).job.live[1].name]


def test_streams_are_looked_at_every_so_often_however_often_the_loop_goes_round(tmp_path: Path) -> None:
    site = Site(tmp_path, Disk(at_length))
    site.until(site.create(spec("job", jobs=1)), ended=False)
    looks: list[float] = []
    sizes = site.executor.sizes
    site.executor.poll = list  # type: ignore[method-assign]  # a phase would be a reason to look
    site.executor.sizes = lambda *of: (looks.append(site.clock.at), sizes(*of))[1]  # type: ignore[method-assign]
    begin = site.clock.at
    while site.clock.at < begin + 5 * LOOK_SECONDS:
        site.loop.tick()
        site.clock.at += LOOK_SECONDS / 20
    assert 4 <= len(looks) <= 6


class Child:
    """A detached controller as its parent sees it."""

    returncode: int | None = None

    def poll(self) -> int | None:
        return self.returncode


def test_a_detached_controller_is_called_for_what_nobody_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[Child] = []

    def start(*_: object) -> Child:
        called.append(Child())
        return called[-1]

    monkeypatch.setattr(detached, "_start_controller", start)
    controller = detached.DetachedController(tmp_path, dict)
    late = detached.PATIENCE_SECONDS
    assert controller.sees_to("a", 0.0) and not called, "whoever made it may be about to take it"
    assert controller.sees_to("a", late) and controller.sees_to("a", late + 1.0) and len(called) == 1
    assert controller.sees_to("b", late) and controller.sees_to("b", 2 * late) and len(called) == 1, "one does for all"
    called[-1].returncode = 0
    assert controller.sees_to("a", 100.0) and len(called) == 2, "one that was idle is replaced"
    called[-1].returncode = -9
    assert controller.sees_to("a", 101.0) and len(called) == 3, "one that was killed is replaced"
    called[-1].returncode = 1
    assert not controller.sees_to("a", 102.0) and not controller.sees_to("a", 103.0) and len(called) == 3
    assert caplog.text.count("no detached controller can be started (it exited with code 1") == 1


def test_a_detached_controller_that_is_killed_time_and_again_is_not_called_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[Child] = []

    def start(*_: object) -> Child:
        called.append(Child())
        called[-1].returncode = -11
        return called[-1]

    monkeypatch.setattr(detached, "_start_controller", start)
    controller = detached.DetachedController(tmp_path, dict)
    assert controller.sees_to("a", 0.0)
    answers = [controller.sees_to("a", 100.0 + second) for second in range(6)]
    assert answers == [True] * detached.MOST_KILLED + [False] * 3
    assert len(called) == detached.MOST_KILLED
    assert caplog.text.count("it was ended by signal 11") == 1


def test_a_hurry_ends_with_the_job(tmp_path: Path) -> None:
    site = Site(tmp_path, Disk(shortly))
    uid = site.create(replace(spec("job", jobs=3), stop_grace=30.0))
    site.until(uid, ended=False)
    site.recorder.record(uid, [StopAsked(site.clock.now())])
    site.loop.wake()
    site.loop.tick()
    site.loop.hurry(uid)
    site.until(uid)
    site.recorder.record(uid, [Resumed(site.clock.now(), add_jobs=3)])
    site.until(uid, ended=False)
    number = next(iter(site.store.load(uid).job.live))
    site.recorder.record(uid, [TrialStopAsked(site.clock.now(), number)])
    site.until(uid)
    assert site.graces == [30.0, 0.0, 30.0]


def test_the_history_is_read_again_when_somebody_else_wrote(tmp_path: Path) -> None:
    site = Site(tmp_path, Disk(shortly))
    uid = site.create(spec("job", jobs=4, parallel=2))
    site.recorder.record(uid, [Proposed(site.clock.now(), (Proposal(1, {"x": 0.1}), Proposal(2, {"x": 0.2})))])
    held = Held(site.store.load(uid), 1e12)
    held.history = site.store.history(uid)
    launch = Launched(site.clock.now(), 1, 1, "handle")
    held.add([launch], site.clock.now())
    # Another process launched it, and ended another trial: what the loop has to say is nothing new.
    site.recorder.record(uid, [launch, Exited(site.clock.now(), 2, 1, 1, Failure.ALGORITHM, "")])
    held.commit(site.recorder, None)
    assert held.job == site.store.load(uid).job
    assert held.history is None


def test_what_changes_nothing_is_not_written(tmp_path: Path) -> None:
    site = Site(tmp_path, Disk(shortly))
    uid = site.create(spec("job"))
    launch = Launched(site.clock.now(), 1, 1, "handle")
    proposed = Proposed(site.clock.now(), (Proposal(1, {"x": 0.1}),))
    assert site.recorder.record(uid, [launch, proposed, proposed, launch, launch]).changed
    before = site.store.load(uid)
    done = site.recorder.record(uid, [launch, proposed])
    assert (done.job, done.version, done.facts, done.changed) == (before.job, before.version, (), False)
    assert site.store.load(uid) == before
    assert site.store.journal(uid)[1:] == [proposed, launch]


def test_a_store_out_of_reach_is_told_of_once_and_again_when_it_is_back(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunewright.control.background.STUMBLE_SECONDS", 0.0)
    loop, left = Slow(), [3]

    def tick() -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise OSError("no space is left on the device")
        loop.begun.set()

    loop.tick = tick  # type: ignore[method-assign]
    background = Background(lambda: loop)  # type: ignore[arg-type, return-value]  # all that it uses of a loop
    background.start()
    assert loop.begun.wait(60)
    background.stop()
    said = [record.message for record in caplog.records]
    assert [text[:9] for text in said] == ["the loop ", "the loop "]
    assert "tries again" in said[0] and "goes round again" in said[1]


class Slow:
    """A loop whose rounds last until a test lets them end."""

    def __init__(self) -> None:
        self.held: dict[str, Held] = {}
        self.executor = self
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.asked, self.closed = threading.Event(), threading.Event()

    def tick(self) -> None:
        self.begun.set()
        assert self.go_on.wait(60)

    def wait(self) -> None:
        """Nothing to wait for."""

    def wake(self) -> None:
        self.asked.set()

    def busy(self) -> bool:
        return False

    def close(self) -> None:
        self.closed.set()


def test_a_start_during_a_stop_neither_revives_the_old_loop_nor_ends_the_new_one() -> None:
    loops = [Slow(), Slow()]
    made = iter(loops)
    rounds = Background(lambda: next(made))  # type: ignore[arg-type, return-value]  # all that it uses of a loop
    rounds.start()
    assert loops[0].begun.wait(60)
    stopping = threading.Thread(target=rounds.stop)
    stopping.start()
    assert loops[0].asked.wait(60), "the first loop has been told to end"
    rounds.start()
    assert loops[1].begun.wait(60)
    loops[0].go_on.set()
    stopping.join(60)
    assert not stopping.is_alive() and loops[0].closed.is_set() and not loops[1].closed.is_set()
    loops[1].go_on.set()
    rounds.stop()
    assert loops[1].closed.is_set()
