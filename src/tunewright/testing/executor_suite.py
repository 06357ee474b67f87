"""What every Executor must do. Subclass `ExecutorSuite` in a test file and override `executor` and `task`.

The training programs here are Python source texts. An executor of another kind of program overrides `task` so
that the same text is run in its way; the text uses nothing but the container contract and the module's own names.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tunewright.core.errors import Invalid
from tunewright.core.ports import Executor, ExitReport, PhaseReport, Report, Task
from tunewright.core.spec import Training
from tunewright.core.trial import Cursor, Failure, Phase

PATIENCE = 60.0
"""Seconds after which a condition that never comes true fails a test."""

WAITS = """
import os, sys, time
print("started", flush=True)
while not os.path.exists(os.environ["GATE"]):
    time.sleep(0.01)
print("ended", flush=True)
"""

STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("started", flush=True)
while True:
    time.sleep(0.01)
"""

POLITE = """
import os, signal, sys, time
def end(*_):
    with open(os.path.join(os.environ["SM_MODEL_DIR"], "weights"), "w") as file:
        file.write("saved at the end")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("started", flush=True)
while True:
    time.sleep(0.01)
"""

CHECKPOINTED = """
import os, time
place = os.path.join(os.environ["TUNEWRIGHT_CHECKPOINT_DIR"], "epoch")
done = int(open(place).read()) if os.path.exists(place) else 0
with open(place, "w") as file:
    file.write(str(done + 1))
print(f"epoch {done + 1};", flush=True)
while done < 2:
    time.sleep(0.01)
"""

COUNTED = """
import os
with open(os.environ["COUNT"], "a") as file:
    file.write("start\\n")
    file.flush()
    file.write("end\\n")
"""


class Collected:
    """Reports of one executor, gathered while something is waited for."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.reports: list[Report] = []

    def until(self, condition: Callable[[], bool]) -> None:
        """Poll and wait until the condition holds; fails when it does not for a long time."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self.reports += self.executor.poll()
            if condition():
                return
            assert time.monotonic() < deadline, f"never came true; reports so far: {self.reports}"
            self.executor.wait(0.05)

    def exit(self, name: str, attempt: int = 1) -> ExitReport:
        """The task's ExitReport, once it is there."""
        self.until(lambda: bool(self.exits(name, attempt)))
        return self.exits(name, attempt)[0]

    def exits(self, name: str, attempt: int = 1) -> list[ExitReport]:
        return [r for r in self.reports if isinstance(r, ExitReport) and (r.name, r.attempt) == (name, attempt)]

    def said(self, name: str, text: bytes, attempt: int = 1) -> None:
        """Wait until a task's standard output holds a text."""
        self.until(lambda: text in self.executor.read(name, attempt, "stdout", 0, 1 << 20))


class ExecutorSuite:
    """The contract of `core.ports.Executor`, one promise a test."""

    def executor(self, home: Path) -> Executor:
        """An executor on a home directory; asked twice for the same one it stands for a restarted controller."""
        raise NotImplementedError

    def task(self, home: Path, name: str, source: str, **environment: str) -> Task:
        """A task that runs a Python text with these environment variables; its output path lies below `home`."""
        folder = home / "sources" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "train.py").write_text(source, encoding="utf-8")
        values = {"sagemaker_program": "train.py", "sagemaker_submit_directory": folder.as_uri()}
        training = Training(image="suite", output_path=(home / "output").as_uri(), environment=environment)
        return Task("suite", name, 1, 1, training, values, grace=20.0)

    # ---- running ----

    def test_a_program_runs_through_its_phases(self, tmp_path: Path) -> None:
        seen = Collected(self.executor(tmp_path))
        task = self.task(tmp_path, "plain-1", "print('loss=0.5;')")
        assert seen.executor.launch(task)
        report = seen.exit("plain-1")
        assert (report.exit_code, report.failure, report.reason, report.killed) == (0, None, "", False)
        assert report.started is not None and report.ended is not None and report.started <= report.ended
        phases = [r.phase for r in seen.reports if isinstance(r, PhaseReport)]
        assert phases == [Phase.DOWNLOADING, Phase.TRAINING, Phase.UPLOADING]
        assert isinstance(seen.reports[-1], ExitReport)
        assert seen.executor.read("plain-1", 1, "stdout", 0, 100) == b"loss=0.5;\n"
        assert report.model.endswith("/plain-1/output/model.tar.gz")
        seen.executor.close()

    def test_a_failing_program_is_an_algorithm_error(self, tmp_path: Path) -> None:
        seen = Collected(self.executor(tmp_path))
        source = "import sys\nprint('bad path /data', file=sys.stderr)\nsys.exit(3)"
        seen.executor.launch(self.task(tmp_path, "fails-1", source))
        report = seen.exit("fails-1")
        assert (report.exit_code, report.failure, report.killed) == (3, Failure.ALGORITHM, False)
        assert "bad path /data" in report.reason and len(report.reason) <= 1024
        seen.executor.close()

    def test_the_failure_file_is_the_reason(self, tmp_path: Path) -> None:
        seen = Collected(self.executor(tmp_path))
        source = "import os,sys\nopen(os.environ['SM_OUTPUT_DIR'] + '/failure', 'w').write('why' * 1000)\nsys.exit(1)"
        seen.executor.launch(self.task(tmp_path, "fails-2", source))
        assert seen.exit("fails-2").reason == ("why" * 1000)[:1024]
        seen.executor.close()

    def test_streams_are_read_by_offset(self, tmp_path: Path) -> None:
        seen = Collected(self.executor(tmp_path))
        assert seen.executor.sizes("reads-1", 1) == Cursor()
        assert seen.executor.read("reads-1", 1, "stdout", 0, 10) == b""
        source = (
            "import json, os, sys\nprint('out')\nprint('err', file=sys.stderr)\n"
            "open(os.environ['TUNEWRIGHT_METRICS_FILE'], 'a').write('{}\\n')"
        )
        seen.executor.launch(self.task(tmp_path, "reads-1", source))
        seen.exit("reads-1")
        assert seen.executor.sizes("reads-1", 1) == Cursor(4, 4, 3)
        assert seen.executor.read("reads-1", 1, "stdout", 1, 2) == b"ut"
        assert seen.executor.read("reads-1", 1, "stderr", 0, 100) == b"err\n"
        assert seen.executor.read("reads-1", 1, "metrics", 0, 100) == b"{}\n"
        assert seen.executor.read("reads-1", 1, "stdout", 4, 100) == b""
        seen.executor.close()

    def test_a_task_is_started_once(self, tmp_path: Path) -> None:
        seen = Collected(self.executor(tmp_path))
        count = tmp_path / "count"
        task = self.task(tmp_path, "once-1", COUNTED, COUNT=str(count))
        handle = seen.executor.launch(task)
        assert seen.executor.launch(task) == handle
        seen.exit("once-1")
        assert seen.executor.launch(task) == handle
        assert count.read_text(encoding="utf-8") == "start\nend\n"
        seen.executor.close()

    def test_a_retry_is_an_attempt_of_its_own(self, tmp_path: Path) -> None:
        seen = Collected(self.executor(tmp_path))
        task = self.task(tmp_path, "again-1", "print('hello')")
        seen.executor.launch(task)
        seen.exit("again-1")
        seen.executor.launch(replace(task, attempt=2))
        assert seen.exit("again-1", 2).exit_code == 0
        assert seen.executor.sizes("again-1", 1) == seen.executor.sizes("again-1", 2) == Cursor(stdout=6)
        seen.executor.close()

    def test_a_name_that_would_escape_is_refused(self, tmp_path: Path) -> None:
        executor = self.executor(tmp_path)
        task = self.task(tmp_path, "escape-1", "")
        for name in ("../x", "a/b", "", ".", "a b", "x" * 64):
            try:
                executor.launch(replace(task, name=name))
            except Invalid:
                continue
            raise AssertionError(f"{name!r} was accepted")
        executor.close()

    def test_a_name_that_comes_again_begins_anew(self, tmp_path: Path) -> None:
        seen = Collected(self.executor(tmp_path))
        earlier = replace(self.task(tmp_path, "name-1", "import sys\nprint('one')\nsys.exit(3)"), uid="one")
        seen.executor.launch(earlier)
        assert seen.exit("name-1").exit_code == 3
        seen.executor.forget("name-1", 1)
        seen.reports.clear()
        later = replace(self.task(tmp_path, "name-1", "print('other')"), uid="other")
        assert seen.executor.launch(later)
        assert seen.exit("name-1").exit_code == 0
        assert seen.executor.read("name-1", 1, "stdout", 0, 100) == b"other\n"
        seen.executor.close()

    def test_an_end_of_an_earlier_name_is_not_that_of_one_that_is_killed(self, tmp_path: Path) -> None:
        seen = Collected(self.executor(tmp_path))
        seen.executor.launch(replace(self.task(tmp_path, "name-2", "print('one')"), uid="one"))
        seen.exit("name-2")
        seen.executor.forget("name-2", 1)
        seen.reports.clear()
        seen.executor.kill(replace(self.task(tmp_path, "name-2", "print('other')"), uid="other"))
        assert seen.exit("name-2").killed
        assert seen.executor.sizes("name-2", 1) == Cursor()
        seen.executor.close()

    # ---- ending ----

    def test_a_killed_program_may_save_its_model(self, tmp_path: Path) -> None:
        seen = Collected(self.executor(tmp_path))
        task = self.task(tmp_path, "polite-1", POLITE)
        seen.executor.launch(task)
        seen.said("polite-1", b"started")
        seen.executor.kill(task)
        report = seen.exit("polite-1")
        assert (report.killed, report.failure, report.exit_code) == (True, None, 0)
        assert report.model.endswith("/polite-1/output/model.tar.gz")
        seen.executor.close()

    def test_a_killed_program_may_go_on_from_its_checkpoint(self, tmp_path: Path) -> None:
        seen = Collected(self.executor(tmp_path))
        kept = (tmp_path / "kept" / "paused-1").as_uri()
        task = replace(self.task(tmp_path, "paused-1", CHECKPOINTED), checkpoint_uri=kept)
        for attempt in (1, 2):
            again = replace(task, attempt=attempt)
            seen.executor.launch(again)
            seen.said("paused-1", f"epoch {attempt};".encode(), attempt)
            seen.executor.kill(again)
            assert seen.exit("paused-1", attempt).killed
            seen.executor.forget("paused-1", attempt)
        seen.executor.launch(replace(task, attempt=3))
        report = seen.exit("paused-1", 3)
        assert (report.exit_code, report.killed) == (0, False)
        seen.said("paused-1", b"epoch 3;", 3)
        seen.executor.close()

    def test_a_stubborn_program_is_killed_after_its_grace(self, tmp_path: Path) -> None:
        seen = Collected(self.executor(tmp_path))
        task = replace(self.task(tmp_path, "stubborn-1", STUBBORN), grace=0.2)
        seen.executor.launch(task)
        seen.said("stubborn-1", b"started")
        seen.executor.kill(task)
        report = seen.exit("stubborn-1")
        assert report.killed and report.failure is None
        seen.executor.close()

    def test_a_second_kill_can_hurry(self, tmp_path: Path) -> None:
        seen = Collected(self.executor(tmp_path))
        task = replace(self.task(tmp_path, "stubborn-2", STUBBORN), grace=3600.0)
        seen.executor.launch(task)
        seen.said("stubborn-2", b"started")
        seen.executor.kill(task)
        seen.executor.kill(replace(task, grace=0.0))
        assert seen.exit("stubborn-2").killed
        seen.executor.close()

    def test_a_kill_before_the_launch_starts_nothing(self, tmp_path: Path) -> None:
        seen = Collected(self.executor(tmp_path))
        count = tmp_path / "count"
        task = self.task(tmp_path, "never-1", COUNTED, COUNT=str(count))
        seen.executor.kill(task)
        report = seen.exit("never-1")
        assert (report.killed, report.exit_code, report.failure) == (True, None, None)
        seen.executor.forget("never-1", 1)
        seen.executor.launch(task)
        seen.reports.clear()
        assert seen.exit("never-1").killed
        assert not count.exists()
        seen.executor.close()

    def test_an_end_is_told_again_until_it_is_forgotten(self, tmp_path: Path) -> None:
        seen = Collected(self.executor(tmp_path))
        task = self.task(tmp_path, "told-1", "import sys\nsys.exit(7)")
        handle = seen.executor.launch(task)
        first = seen.exit("told-1")
        seen.executor.watch(task, handle)
        seen.executor.kill(task)
        assert seen.executor.launch(task) == handle
        seen.until(lambda: len(seen.exits("told-1")) == 4)
        assert set(seen.exits("told-1")) == {first}
        seen.executor.close()

    def test_a_kill_after_the_end_changes_nothing(self, tmp_path: Path) -> None:
        seen = Collected(self.executor(tmp_path))
        task = self.task(tmp_path, "late-1", "print('done')")
        seen.executor.launch(task)
        seen.exit("late-1")
        seen.executor.kill(task)
        other = self.task(tmp_path, "late-2", "print('done')")
        seen.executor.launch(other)
        seen.exit("late-2")
        assert {report.killed for report in seen.exits("late-1")} == {False}
        seen.executor.close()

    # ---- restarts ----

    def test_a_running_task_is_taken_over(self, tmp_path: Path) -> None:
        first = Collected(self.executor(tmp_path))
        gate = tmp_path / "gate"
        task = self.task(tmp_path, "gate-1", WAITS, GATE=str(gate))
        handle = first.executor.launch(task)
        first.said("gate-1", b"started")
        first.executor.close()
        seen = Collected(self.executor(tmp_path))
        seen.executor.watch(task, handle)
        assert seen.executor.launch(task) == handle
        gate.touch()
        report = seen.exit("gate-1")
        assert (report.exit_code, report.killed) == (0, False)
        assert seen.executor.read("gate-1", 1, "stdout", 0, 100) == b"started\nended\n"
        phases = [r.phase for r in seen.reports if isinstance(r, PhaseReport)]
        assert phases[-1] is Phase.UPLOADING
        seen.executor.close()

    def test_a_task_that_was_taken_over_can_be_killed(self, tmp_path: Path) -> None:
        first = Collected(self.executor(tmp_path))
        task = self.task(tmp_path, "gate-2", WAITS, GATE=str(tmp_path / "never"))
        handle = first.executor.launch(task)
        first.said("gate-2", b"started")
        first.executor.close()
        seen = Collected(self.executor(tmp_path))
        seen.executor.watch(task, handle)
        seen.executor.kill(task)
        assert seen.exit("gate-2").killed
        seen.executor.close()

    def test_an_end_that_nobody_saw_is_reported(self, tmp_path: Path) -> None:
        first = Collected(self.executor(tmp_path))
        task = self.task(tmp_path, "unseen-1", "import sys\nsys.exit(7)")
        handle = first.executor.launch(task)
        first.exit("unseen-1")
        first.executor.close()
        seen = Collected(self.executor(tmp_path))
        seen.executor.watch(task, handle)
        assert seen.exit("unseen-1") == first.exits("unseen-1")[0]
        seen.executor.close()

    def test_a_task_of_which_nothing_is_left_is_lost(self, tmp_path: Path) -> None:
        seen = Collected(self.executor(tmp_path))
        task = self.task(tmp_path, "ghost-1", "print('hello')")
        seen.executor.watch(task, "whatever")
        report = seen.exit("ghost-1")
        assert (report.failure, report.exit_code) == (Failure.INTERNAL, None)
        assert "lost" in report.reason
        seen.executor.close()

    # ---- waiting ----

    def test_wake_ends_a_wait(self, tmp_path: Path) -> None:
        executor = self.executor(tmp_path)
        waiting = threading.Thread(target=executor.wait, args=(10 * PATIENCE,), daemon=True)
        executor.wake()
        waiting.start()
        waiting.join(PATIENCE)
        assert not waiting.is_alive()
        executor.close()

    def test_forget_and_close_are_harmless(self, tmp_path: Path) -> None:
        executor = self.executor(tmp_path)
        executor.forget("unknown-1", 1)
        assert executor.poll() == []
        executor.close()
