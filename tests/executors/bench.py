"""A local executor on a home of its own, and training jobs of real processes, for the tests of this room."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from tunewright.core.ports import ExitReport, Task
from tunewright.core.spec import Training
from tunewright.executors.bell import Bell
from tunewright.executors.programs.executor import LocalExecutor
from tunewright.executors.runtime import Runtime
from tunewright.executors.slots import Slots
from tunewright.testing.executor_suite import Collected


class Bench:
    """A home with a blank in its path, an executor on it, and what it reported."""

    def __init__(self, root: Path, runtime: Runtime | None = None) -> None:
        self.runtime = runtime
        self.root = root
        self.home = root / "home dir"
        self.objects = root / "objects"
        self.open: list[LocalExecutor] = []
        self.seen = Collected(self.start())

    @property
    def executor(self) -> LocalExecutor:
        return self.open[-1]

    def start(self, slots: str = "4") -> LocalExecutor:
        """Another controller on the same home."""
        slot_files = Slots(self.home / "slots", slots)
        made = LocalExecutor(self.home, self.objects, slot_files, Bell(), runtime=self.runtime, begin_seconds=2.0)
        self.open.append(made)
        self.seen = Collected(self.open[-1])
        return self.open[-1]

    def source(self, name: str, text: str, file: str = "train.py") -> Path:
        folder = self.root / "source dirs" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
        return folder

    def task(self, name: str, text: str = "", *, values: dict[str, str] | None = None, **training: object) -> Task:
        folder = self.source(name, text)
        given = {"sagemaker_program": "train.py", "sagemaker_submit_directory": folder.as_uri(), **(values or {})}
        base = Training(image="bench", output_path=(self.root / "out put").as_uri())
        return Task("bench", name, 1, 1, replace(base, **training), given, grace=20.0)  # type: ignore[arg-type]

    def run(self, task: Task) -> ExitReport:
        assert self.executor.launch(task) is not None
        return self.seen.exit(task.name, task.attempt)

    def stdout(self, name: str) -> str:
        return self.executor.read(name, 1, "stdout", 0, 1 << 20).decode()

    def stderr(self, name: str) -> str:
        return self.executor.read(name, 1, "stderr", 0, 1 << 20).decode()

    def job(self, name: str) -> Path:
        return self.home / "jobs" / name

    def pid(self, name: str, kind: str) -> int:
        """The process id of a job's `shim` or `program`, once it is on record."""
        found: list[int] = []

        def there() -> bool:
            try:
                lines = (self.job(name) / "lock").read_text(encoding="utf-8").splitlines()
            except FileNotFoundError:
                return False
            found.extend(int(line.split()[1]) for line in lines if line.startswith(kind + " "))
            return bool(found)

        self.seen.until(there)
        return found[0]

    def gone(self, pid: int) -> None:
        """Wait until a process is gone (a zombie that nobody reaps is gone too)."""
        self.seen.until(lambda: not alive(pid))


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    except ProcessLookupError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")
