"""Workers that die, calls that are ended, and what is around them: one trial is hit and nothing is left behind."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tunewright.core.spec import Function
from tunewright.core.trial import Failure
from tunewright.executors import tasklock
from tunewright.executors.workdir import Workdir
from tunewright.testing.executor_suite import PATIENCE

from .functions_bench import FunctionBench, eventually, gone, opened, sleeper


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[FunctionBench]:
    yield from opened(tmp_path)


# ---- crashes ----


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("os._exit(5)", 5, "exited with code 5 without returning (os._exit"),
        ("os._exit(0)", 0, "exited with code 0 without returning"),
        ("os.kill(os.getpid(), signal.SIGKILL)", -9, "ended by SIGKILL (likely out of memory)"),
        ("os.abort()", -6, "ended by SIGABRT"),
        ("__import__('ctypes').string_at(0)", -11, "ended by SIGSEGV"),
    ],
)
def test_a_crash_fails_one_trial_and_a_fresh_worker_takes_over(
    bench: FunctionBench, how: str, code: int, said: str
) -> None:
    source = (
        f"import os, signal\ndef train(crash):\n    print('so far')\n    if crash:\n        {how}\n    return 1.0\n"
    )
    function = Function("crashes:train", path=(str(bench.module("crashes", source)),))
    assert bench.run("before-1", function, crash=False).failure is None
    (first,) = bench.executor.worker_pids()
    report = bench.run("crash-1", function, crash=True)
    assert (report.failure, report.exit_code, report.killed) == (Failure.ALGORITHM, code, False)
    assert said in report.reason and report.started is not None
    assert bench.text("crash-1", "stdout") == "so far\n"
    assert bench.run("after-1", function, crash=False).failure is None
    assert first not in bench.executor.worker_pids()
    bench.executor.close()
    bench.start()
    bench.executor.watch(bench.task("crash-1", function, crash=True), None)
    assert bench.seen.exit("crash-1") == report


@pytest.mark.parametrize("warm", [False, True])
def test_a_crash_before_the_request_counts_as_sent(
    bench: FunctionBench, monkeypatch: pytest.MonkeyPatch, warm: bool
) -> None:
    """A busy machine may run the whole call before the controller goes on."""
    source = "import os\ndef train(crash):\n    return os._exit(5) if crash else 1.0\n"
    function = Function("quick:train", path=(str(bench.module("quick", source)),))
    if warm:
        assert bench.run("before-1", function, crash=False).failure is None
    send = socket.send_fds

    def send_and_wait(line: socket.socket, data: list[bytes], handles: list[int]) -> int:
        sent = send(line, data, handles)
        until = select.poll()
        until.register(line, 0)
        assert until.poll(PATIENCE * 1000), "the worker did not end"
        return sent

    monkeypatch.setattr(socket, "send_fds", send_and_wait)
    report = bench.run("crash-1", function, crash=True)
    assert (report.failure, report.exit_code, report.killed) == (Failure.ALGORITHM, 5, False)


def test_a_segfault_shows_where(bench: FunctionBench) -> None:
    source = "import ctypes\ndef train():\n    ctypes.string_at(0)\n"
    function = Function("segfault:train", path=(str(bench.module("segfault", source)),))
    reason = bench.run("segv-1", function).reason
    assert 'segfault.py", line 3 in train' in reason
    assert "worker" not in reason.partition("File ")[2], "the worker's own frames are of no use"
    assert "Segmentation fault" in bench.text("segv-1", "stderr")


def test_kill_9_from_outside(bench: FunctionBench) -> None:
    task = bench.task("outside-1", sleeper())
    bench.executor.launch(task)
    bench.seen.said("outside-1", b"started")
    os.kill(bench.executor.worker_pids()[0], signal.SIGKILL)
    report = bench.seen.exit("outside-1")
    assert (report.failure, report.exit_code, report.killed) == (Failure.ALGORITHM, -9, False)


def test_an_idle_worker_that_dies_is_replaced(bench: FunctionBench) -> None:
    assert bench.run("idle-1", lambda: 1.0).failure is None
    (first,) = bench.executor.worker_pids()
    os.kill(first, signal.SIGKILL)
    assert bench.run("idle-2", lambda: 1.0).failure is None
    eventually(lambda: first not in bench.executor.worker_pids())


def test_children_go_with_their_worker(bench: FunctionBench) -> None:
    def train() -> None:
        import os
        import time

        inside = subprocess.Popen(["sleep", "3600"])
        outside = subprocess.Popen(["sleep", "3600"], start_new_session=True)
        print(inside.pid, outside.pid, flush=True)
        print("started", flush=True)
        time.sleep(3600)
        os._exit(0)

    task = replace(bench.task("family-1", train), grace=0.0)
    bench.executor.launch(task)
    bench.seen.said("family-1", b"started")
    bench.executor.kill(task)
    assert bench.seen.exit("family-1").killed
    for pid in bench.text("family-1", "stdout").split()[:2]:
        eventually(lambda pid=pid: gone(int(pid)))  # type: ignore[misc]


def test_slots_are_free_after_a_crash(bench: FunctionBench) -> None:
    def train() -> None:
        import os

        child = os.fork()
        if child == 0:
            os.setsid()
            import time

            time.sleep(3600)
        print(child)
        os._exit(1)

    bench.start(slots="1")
    assert bench.run("slots-1", train).failure is Failure.ALGORITHM
    eventually(lambda: gone(int(bench.text("slots-1", "stdout"))))
    with_child = bench.task("slots-2", lambda: 1.0)
    eventually(lambda: bench.executor.launch(with_child) is not None)
    assert bench.seen.exit("slots-2").failure is None


def test_slots_are_free_after_a_call_that_left_a_child(bench: FunctionBench) -> None:
    def train() -> None:
        import os

        if os.fork() == 0:
            time.sleep(3600)
            os._exit(0)

    bench.start(slots="1")
    assert bench.run("child-1", train).failure is None
    assert bench.run("child-2", lambda: 1.0).failure is None


# ---- stops ----


def test_a_sleeping_function_is_stopped_and_its_model_kept(bench: FunctionBench) -> None:
    task = bench.task("stop-1", sleeper(), model="yes")
    bench.executor.launch(task)
    bench.seen.said("stop-1", b"started")
    before = bench.executor.worker_pids()
    bench.executor.kill(task)
    report = bench.seen.exit("stop-1")
    assert (report.killed, report.failure, report.exit_code) == (True, None, -15)
    assert report.model.endswith("/stop-1/output/model.tar.gz")
    assert bench.text("stop-1", "stdout") == "started\ncleaned up\n"
    assert bench.run("stop-2", lambda: 1.0).failure is None
    assert not set(before) & set(bench.executor.worker_pids())


def test_a_function_that_asks_is_not_interrupted(bench: FunctionBench) -> None:
    def train() -> float:

        from tunewright.script import should_stop

        assert not should_stop()
        print("started")
        while not should_stop():
            time.sleep(0.01)
        return 0.5

    task = bench.task("asks-1", train)
    bench.executor.launch(task)
    bench.seen.said("asks-1", b"started")
    before = bench.executor.worker_pids()
    bench.executor.kill(task)
    report = bench.seen.exit("asks-1")
    assert (report.killed, report.failure, report.exit_code) == (True, None, 0)
    assert '"loss": 0.5' in bench.text("asks-1", "metrics")
    again = bench.task("asks-2", train)
    bench.executor.launch(again)
    bench.seen.said("asks-2", b"started")
    assert bench.executor.worker_pids() == before
    bench.executor.kill(again)
    assert bench.seen.exit("asks-2").killed


def reporter() -> Callable[..., object]:
    def train(gate: str) -> None:
        import os

        from tunewright.script import report

        try:
            report(step=0, loss=0.5)
            print("started", flush=True)
            while not os.path.exists(gate):
                time.sleep(0.01)
            report(step=1, loss=0.25)
            print("went on", flush=True)
        finally:
            print("cleaned up", flush=True)

    return train


@pytest.mark.parametrize("again", [True, False])
def test_a_function_that_reports_is_stopped_at_its_next_report(bench: FunctionBench, again: bool) -> None:
    """Then nothing was broken into, and its worker serves the next call; one that reports no more is broken into."""
    gate = bench.root / "gate"
    task = bench.task("reports-1", reporter(), gate=str(gate))
    bench.executor.launch(task)
    bench.seen.said("reports-1", b"started")
    before = bench.executor.worker_pids()
    bench.executor.kill(task)
    if again:
        gate.touch()
    report = bench.seen.exit("reports-1")
    assert (report.killed, report.failure, report.exit_code) == (True, None, -15)
    assert bench.text("reports-1", "stdout") == "started\ncleaned up\n"
    assert ('"loss": 0.25' in bench.text("reports-1", "metrics")) is again
    assert bench.run("reports-2", lambda: 1.0).failure is None
    assert (bench.executor.worker_pids() == before) is again


def test_a_function_that_swallows_the_stop_is_killed_with_its_model_kept(bench: FunctionBench) -> None:
    def train() -> None:
        import os

        open(os.path.join(os.environ["SM_MODEL_DIR"], "weights"), "w").close()
        print("started", flush=True)
        while True:
            try:
                time.sleep(0.01)
            except BaseException:
                print("ignored", flush=True)

    task = replace(bench.task("deaf-1", train), grace=0.3)
    bench.executor.launch(task)
    bench.seen.said("deaf-1", b"started")
    bench.executor.kill(task)
    report = bench.seen.exit("deaf-1")
    assert (report.killed, report.failure, report.exit_code) == (True, None, -9)
    assert report.model.endswith("/deaf-1/output/model.tar.gz")
    assert "ignored" in bench.text("deaf-1", "stdout")


def test_a_stop_before_the_worker_is_up_starts_nothing(bench: FunctionBench) -> None:
    place = bench.root / "ran"

    def train(place: str) -> None:
        open(place, "w").close()

    task = bench.task("early-1", train, place=str(place))
    bench.executor.launch(task)
    bench.executor.kill(task)
    report = bench.seen.exit("early-1")
    assert (report.killed, report.failure, report.exit_code) == (True, None, None)
    assert bench.run("early-2", lambda: 1.0).failure is None
    assert not place.exists()


def test_stops_at_any_moment_end_every_call(bench: FunctionBench) -> None:
    """Whether the signal comes before, in or after the call, it has one end, and the next call is not hit."""
    task = bench.task("any-0", lambda: 1.0)
    function = task.training.function
    assert function is not None
    for number in range(30):
        call = bench.task(f"any-{number}", function)
        bench.executor.launch(call)
        for _ in range(number * 50):
            os.getppid()
        bench.executor.kill(call)
        report = bench.seen.exit(call.name)
        assert report.failure is None, report
        assert bench.run(f"next-{number}", function).killed is False
    # A call that was over when it was stopped tells its end again.
    ends = [bench.seen.exits(f"any-{number}") for number in range(30)]
    assert all(one == told[0] for told in ends for one in told)


def test_sigterm_from_elsewhere_is_an_interruption(bench: FunctionBench) -> None:
    task = bench.task("elsewhere-1", sleeper())
    bench.executor.launch(task)
    bench.seen.said("elsewhere-1", b"started")
    os.kill(bench.executor.worker_pids()[0], signal.SIGTERM)
    assert bench.seen.exit("elsewhere-1").failure is Failure.INTERRUPTED


def test_a_function_that_signals_itself_is_not_attempted_for_ever(bench: FunctionBench) -> None:
    def train() -> None:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGTERM)

    task = bench.task("itself-1", train)
    found = [bench.finish(replace(task, attempt=attempt)).failure for attempt in (1, 2, 3)]
    assert found == [Failure.INTERRUPTED, Failure.INTERRUPTED, Failure.ALGORITHM]


# ---- surroundings ----


def test_a_worker_that_cannot_start_is_told(bench: FunctionBench, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = bench.root / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text("import os\nos.write(2, b'no licence')\nos._exit(9)\n")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    report = bench.run("start-1", lambda: 1.0)
    assert (report.failure, report.exit_code) == (Failure.INTERNAL, None)
    assert "could not be started" in report.reason and "no licence" in report.reason
    assert tasklock.read_state(Workdir.of(bench.home, "start-1")).shim is None


def test_changed_code_is_loaded_afresh_for_the_next_job(bench: FunctionBench) -> None:
    folder = bench.module("edited", "from edited_part import value\ndef train():\n    return value\n")
    bench.module("edited_part", "value = 1\n")
    function = Function("edited:train", path=(str(folder),))
    bench.run("edit-1", function)
    bench.module("edited_part", "value = 22\n")
    same, other = bench.task("edit-2", function), replace(bench.task("edit-3", function), job="another")
    bench.finish(same)
    bench.finish(other)
    found = [bench.text(f"edit-{number}", "metrics").rpartition(": ")[2].strip("}\n") for number in (1, 2, 3)]
    assert found == ["1.0", "1.0", "22.0"]


def test_a_function_that_removes_its_directory_has_failed_and_is_told_why(bench: FunctionBench) -> None:
    def careless(value: float) -> float | None:
        shutil.rmtree(os.path.dirname(os.environ["SM_MODEL_DIR"]))
        return value or None

    for name, value in (("careless-1", 1.0), ("careless-2", 0.0)):
        report = bench.run(name, careless, value=value)
        assert report.failure is Failure.ALGORITHM
        assert f"{bench.home / 'jobs' / name} was removed or renamed" in report.reason
    assert bench.run("careful-1", lambda: 1.0).exit_code == 0
