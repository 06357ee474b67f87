"""Processes that are ending."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tunewright.executors import processes


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
