"""A fork server that cannot be started, and one that comes late."""

from __future__ import annotations

import pytest

from tunewright.core.trial import Failure
from tunewright.executors.programs import forkclient

from .bench import Bench


def test_a_fork_server_that_cannot_start_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forkclient, "MODULE", "tunewright.there_is_no_such_module")
    report = bench.run(bench.task("broken-1", "pass"))
    assert report.failure is Failure.INTERNAL
    assert "there_is_no_such_module" in report.reason, "the end of its log says why"
    monkeypatch.undo()
    assert bench.run(bench.task("broken-2", "pass")).exit_code == 0


def test_the_fork_server_is_started_once(bench: Bench) -> None:
    assert bench.executor.server_pid is None
    bench.run(bench.task("first-1", "pass"))
    first = bench.executor.server_pid
    assert first is not None
    bench.run(bench.task("first-2", "pass"))
    assert bench.executor.server_pid == first


def test_shims_are_used_again(bench: Bench) -> None:
    for name in ("again-1", "again-2", "again-3"):
        bench.run(bench.task(name, "pass"))
    assert len({bench.pid(name, "shim") for name in ("again-1", "again-2", "again-3")}) == 1


def test_closing_ends_the_fork_server_and_its_idle_shims(bench: Bench) -> None:
    bench.run(bench.task("close-1", "pass"))
    server, shim = bench.executor.server_pid, bench.pid("close-1", "shim")
    assert server is not None
    bench.executor.close()
    bench.open.clear()
    bench.start()
    bench.gone(server)
    bench.gone(shim)
