"""The local executor under the shipped conformance suite."""

from __future__ import annotations

from pathlib import Path

from tunewright.executors.bell import Bell
from tunewright.executors.programs.executor import LocalExecutor
from tunewright.executors.slots import Slots
from tunewright.testing.executor_suite import ExecutorSuite


class TestLocalExecutor(ExecutorSuite):
    def executor(self, home: Path) -> LocalExecutor:
        return LocalExecutor(home, home / "objects", Slots(home / "slots", "4"), Bell(), begin_seconds=0.3)
