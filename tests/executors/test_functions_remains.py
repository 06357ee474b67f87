"""What a training function leaves behind in its process, and what is made of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunewright.control.metrics import Scraper
from tunewright.core.trial import Failure
from tunewright.executors.functions.store import store_function

from .bench import alive
from .functions_bench import FunctionBench, opened


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[FunctionBench]:
    yield from opened(tmp_path)


def losses(bench: FunctionBench, name: str) -> list[float]:
    """The values of the objective as the controller reads them."""
    data = bench.text(name, "metrics").encode()
    return [seen.value for seen in Scraper((), "loss").pushed(data, 0.0, final=True)[0]]


def test_a_thread_that_outlives_its_call_reports_nothing_into_the_next(bench: FunctionBench) -> None:
    def train(place: str, x: float) -> float:
        import threading
        import time
        from pathlib import Path

        from tunewright.script import report

        turn, done = Path(place, "turn"), Path(place, "done")

        def late() -> None:
            while not turn.exists():
                time.sleep(0.005)
            try:
                report(loss=x)
                done.write_text("taken")
            except RuntimeError as error:
                done.write_text(str(error))

        if x == 1:
            threading.Thread(target=late, daemon=True).start()
        else:
            turn.touch()
            while not done.exists() or not done.read_text():
                time.sleep(0.005)
            print(done.read_text())
            thread = threading.Thread(target=report, kwargs={"loss": x})
            thread.start()
            thread.join()
        return 10 * x

    for x in (1, 2):
        assert bench.run(f"late-{x}", train, place=str(bench.root), x=x).failure is None
    assert losses(bench, "late-1") == [10.0]
    assert losses(bench, "late-2") == [2.0, 20.0]
    assert "wait for its threads" in bench.text("late-2", "stdout")
    assert len(bench.executor.worker_pids()) == 1


def test_what_a_function_started_ends_with_its_worker(bench: FunctionBench) -> None:
    def train() -> None:
        import subprocess

        for apart in (False, True):
            print(subprocess.Popen(["sleep", "600"], start_new_session=apart).pid)

    assert bench.run("starts-1", train).failure is None
    started = [int(word) for word in bench.text("starts-1", "stdout").split()]
    assert len(started) == 2 and all(map(alive, started))
    bench.executor.close()
    bench.open.clear()
    assert not any(map(alive, started))


def test_what_a_call_does_to_its_process_is_undone_for_the_next(bench: FunctionBench) -> None:
    def train() -> None:
        import os
        import signal
        import sys

        mask = os.umask(0o007)
        print(mask, sys.getrecursionlimit(), [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGALRM)])
        sys.setrecursionlimit(5000)
        for number in (signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)

    for name in ("clean-1", "clean-2"):
        assert bench.run(name, train).failure is None
    assert bench.text("clean-1", "stdout") == bench.text("clean-2", "stdout")
    assert len(bench.executor.worker_pids()) == 1


def test_a_crash_is_told_with_the_place_where_it_was(bench: FunctionBench) -> None:
    def train() -> None:
        import ctypes

        import numpy  # noqa: F401 - its extension modules are listed last

        ctypes.string_at(0)

    report = bench.run("crash-1", train)
    assert report.failure is Failure.ALGORITHM and report.exit_code == -signal.SIGSEGV
    assert "Segmentation fault" in report.reason and "test_functions_remains.py" in report.reason
    assert "Extension modules" not in report.reason


def test_what_python_itself_has_is_found_by_its_name(bench: FunctionBench) -> None:
    for given in (int, max):
        assert not store_function(given, bench.home).pickled
