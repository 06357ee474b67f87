"""The function executor, and both executors behind one, under the shipped conformance suite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunewright.core.ports import Executor, Task
from tunewright.core.spec import Function, Training
from tunewright.core.trial import Failure
from tunewright.executors.bell import Bell
from tunewright.executors.functions.executor import FunctionExecutor
from tunewright.executors.programs.executor import LocalExecutor
from tunewright.executors.routed import RoutedExecutor
from tunewright.executors.slots import Slots
from tunewright.objects.local import LocalObjects
from tunewright.testing.executor_suite import WAITS, Collected, ExecutorSuite

RUNNER = """
import os
def run(source):
    with open(os.path.join(os.environ["SM_MODEL_DIR"], "weights"), "w") as file:
        file.write("a model")
    exec(source, {"__name__": "program"})
"""


def functions(home: Path, bell: Bell) -> FunctionExecutor:
    return FunctionExecutor(home, LocalObjects(home / "objects"), Slots(home / "slots", "4"), bell)


class TestFunctionExecutor(ExecutorSuite):
    """The suite's programs run inside a function. Only what follows a controller's end differs."""

    def executor(self, home: Path) -> Executor:
        return functions(home, Bell())

    def task(self, home: Path, name: str, source: str, **environment: str) -> Task:
        folder = home / "modules"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "suite_runner.py").write_text(RUNNER, encoding="utf-8")
        function = Function("suite_runner:run", path=(str(folder),))
        training = Training(output_path=(home / "output").as_uri(), environment=environment, function=function)
        return Task("suite", name, 1, 1, training, {"source": json.dumps(source)}, grace=20.0)

    def test_a_running_task_is_taken_over(self, tmp_path: Path) -> None:
        """Nobody can go on with a call whose controller ended: the training job is to be attempted again."""
        first = Collected(self.executor(tmp_path))
        task = self.task(tmp_path, "gate-1", WAITS, GATE=str(tmp_path / "never"))
        handle = first.executor.launch(task)
        first.said("gate-1", b"started")
        first.executor.close()
        for _ in range(2):
            seen = Collected(self.executor(tmp_path))
            seen.executor.watch(task, handle)
            assert seen.executor.launch(task) == handle
            report = seen.exit("gate-1")
            assert (report.failure, report.exit_code, report.killed) == (Failure.INTERRUPTED, None, False)
            seen.executor.close()

    def test_a_task_that_was_taken_over_can_be_killed(self, tmp_path: Path) -> None:
        first = Collected(self.executor(tmp_path))
        task = self.task(tmp_path, "gate-2", WAITS, GATE=str(tmp_path / "never"))
        first.executor.launch(task)
        first.said("gate-2", b"started")
        first.executor.close()
        seen = Collected(self.executor(tmp_path))
        seen.executor.kill(task)
        assert seen.exit("gate-2").killed
        seen.executor.close()

    def test_a_task_of_which_nothing_is_left_is_lost(self, tmp_path: Path) -> None:
        """It was launched, and its controller ended before a worker had it."""
        seen = Collected(self.executor(tmp_path))
        seen.executor.watch(self.task(tmp_path, "ghost-1", "print('hello')"), "whatever")
        assert seen.exit("ghost-1").failure is Failure.INTERRUPTED
        seen.executor.close()


def routed(home: Path) -> RoutedExecutor:
    bell = Bell()
    scripts = LocalExecutor(home, home / "objects", Slots(home / "slots", "4"), bell, begin_seconds=0.3)
    return RoutedExecutor(scripts, functions(home, bell), bell)


class TestRoutedFunctions(TestFunctionExecutor):
    def executor(self, home: Path) -> Executor:
        return routed(home)


@pytest.mark.slow
class TestRoutedScripts(ExecutorSuite):
    """The same promises for scripts; `test_both_kinds_side_by_side` is the quick look."""

    def executor(self, home: Path) -> Executor:
        return routed(home)


def test_both_kinds_side_by_side(tmp_path: Path) -> None:
    seen = Collected(routed(tmp_path))
    one = TestFunctionExecutor().task(tmp_path, "both-1", "print('a function')")
    other = ExecutorSuite().task(tmp_path, "both-2", "print('a program')")
    handles = {seen.executor.launch(one), seen.executor.launch(other)}
    assert len(handles - {None}) == 2
    assert {seen.exit("both-1").exit_code, seen.exit("both-2").exit_code} == {0}
    assert seen.executor.read("both-1", 1, "stdout", 0, 99) == b"a function\n"
    assert seen.executor.read("both-2", 1, "stdout", 0, 99) == b"a program\n"
    for name in ("both-1", "both-2"):
        assert seen.executor.sizes(name, 1).stdout > 0
        seen.executor.forget(name, 1)
    seen.executor.close()
