"""A function executor on a home of its own, for the tests of this room."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from tunewright.core.ports import ExitReport, Task
from tunewright.core.space import Value, encode_value
from tunewright.core.spec import Function, Training
from tunewright.executors import processes
from tunewright.executors.bell import Bell
from tunewright.executors.functions.executor import FunctionExecutor
from tunewright.executors.functions.store import store_function
from tunewright.executors.slots import Slots
from tunewright.objects.local import LocalObjects
from tunewright.testing.executor_suite import PATIENCE, Collected


class FunctionBench:
    """A home, an executor on it, and what it reported."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home dir"
        self.open: list[FunctionExecutor] = []
        self.start()

    @property
    def executor(self) -> FunctionExecutor:
        return self.open[-1]

    def start(self, slots: str = "4") -> FunctionExecutor:
        """Another controller on the same home."""
        objects, slot_files = LocalObjects(self.root / "objects"), Slots(self.home / "slots", slots)
        self.open.append(FunctionExecutor(self.home, objects, slot_files, Bell()))
        self.seen = Collected(self.executor)
        return self.executor

    def task(
        self,
        name: str,
        function: Function | Callable[..., object],
        *,
        training: Training | None = None,
        **values: Value,
    ) -> Task:
        stored = function if isinstance(function, Function) else store_function(function, self.home)
        base = training or Training(output_path=(self.root / "out put").as_uri())
        texts = {key: encode_value(value) for key, value in values.items()}
        given = {**texts, "_tuning_objective_metric": "loss", "_tunewright": "{}", "sagemaker_region": '"x"'}
        return Task("bench", name, 1, 1, replace(base, function=stored), given, objective="loss", grace=20.0)

    def run(self, name: str, function: Function | Callable[..., object], **values: Value) -> ExitReport:
        """A function's training job from its launch to its end."""
        return self.finish(self.task(name, function, **values))

    def finish(self, task: Task) -> ExitReport:
        assert self.executor.launch(task) is not None
        return self.seen.exit(task.name, task.attempt)

    def text(self, name: str, stream: str, attempt: int = 1) -> str:
        return self.executor.read(name, attempt, stream, 0, 1 << 20).decode()

    def module(self, name: str, source: str) -> Path:
        """A module's file in a directory that workers are told to look in."""
        folder = self.root / "modules"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
        return folder


def opened(root: Path) -> Iterator[FunctionBench]:
    """A bench whose executors are closed in the end."""
    made = FunctionBench(root)
    yield made
    for executor in made.open:
        executor.close()


def sleeper() -> Callable[..., object]:
    def train(model: str = "") -> None:
        import os
        import time

        if model:
            open(os.path.join(os.environ["SM_MODEL_DIR"], "weights"), "w").close()
        print("started")
        try:
            while True:
                time.sleep(0.01)
        finally:
            print("cleaned up")

    return train


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "never came true"
        os.sched_yield()


def gone(pid: int) -> bool:
    identity = processes.identity(pid)
    return not identity or Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
