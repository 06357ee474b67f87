"""Processes that are ending."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunewright.executors import processes
from tunewright.executors.programs import forkserver
from tunewright.executors.programs.crew import Crew
from tunewright.executors.programs.forkserver import ForkServer, Lines
from tunewright.executors.runtime import Runtime
from tunewright.objects.local import LocalObjects


@pytest.mark.skipif(sys.platform != "linux", reason="groups are looked up in /proc")
def test_a_group_is_waited_for_though_nothing_tells_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was killed has no environment any more while it still holds what it had open."""
    looked: list[float] = []
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as child:

        def killed_meanwhile(seconds: float) -> None:
            looked.append(seconds)
            os.kill(child.pid, signal.SIGKILL)
            child.wait()

        monkeypatch.setattr(processes, "pause", killed_meanwhile)
        processes.end_remains([(child.pid, "another process's identity")], ["TUNEWRIGHT_METRICS_FILE=/nowhere"])
        assert len(looked) == 1 and child.returncode == -signal.SIGKILL


def test_nothing_left_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: float) -> None:
        raise AssertionError("waited")

    monkeypatch.setattr(processes, "pause", never)
    processes.end_remains([], ["TUNEWRIGHT_METRICS_FILE=/nowhere"])


@pytest.mark.skipif(sys.platform != "linux", reason="found through /proc")
def test_a_process_that_looks_for_what_writes_to_a_log_does_not_find_itself(tmp_path: Path) -> None:
    """A controller that a training program started may write to that program's log, and must not end itself."""
    log = tmp_path / "stdout.log"
    look = f"from tunewright.executors.processes import printing; print(printing([{str(log)!r}]))"
    with log.open("wb") as sink, subprocess.Popen(["sleep", "600"], stdout=sink) as other:
        subprocess.run([sys.executable, "-c", look], stdout=sink, check=True)
        other.kill()
    assert log.read_text() == f"[{other.pid}]\n"


def _refused(pid: int, number: int) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    """One that serves nobody, and waits for no orphan."""
    monkeypatch.setattr(forkserver, "SWEEP_SECONDS", -1.0)
    control, other = socket.socketpair()
    lines = Lines(control.detach(), *os.pipe())
    made = ForkServer(tmp_path, LocalObjects(tmp_path), Runtime(), lines)
    yield made
    made._control.close()
    other.close()
    for handle in (lines.report, lines.life, *made._wakeup):
        os.close(handle)


def test_an_orphan_with_another_users_rights_ends_no_fork_server(
    server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "children_of", lambda parent: [4711])
    monkeypatch.setattr(os, "kill", _refused)
    server._sweep()
    server._sweep()
    assert server._lasting == {4711}


def test_orphans_that_fork_time_and_again_are_not_waited_for_for_ever(
    server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = iter(range(1001, 1004))
    killed: list[int] = []
    monkeypatch.setattr(processes, "children_of", lambda parent: [next(pids)])
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append(pid))
    server._sweep()
    assert killed == [1001]


def test_a_child_with_another_users_rights_fails_no_training_job(monkeypatch: pytest.MonkeyPatch) -> None:
    left = iter([True, False])

    def wait(pid: int, options: int) -> tuple[int, int]:
        if next(left):
            return 0, 0
        raise ChildProcessError

    monkeypatch.setattr(os, "waitpid", wait)
    monkeypatch.setattr(os, "kill", _refused)
    monkeypatch.setattr(processes, "children_of", lambda parent: [4711])
    Crew([]).abandon()
    assert not any(left)
