"""The workers of one controller: idle ones are kept warm for a while, stale and surplus ones are let go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

from tunewright.core.ports import Objects
from tunewright.executors import processes
from tunewright.executors.functions.worker_modules import stale
from tunewright.executors.functions.worker_process import Kind, WorkerProcess

C = TypeVar("C")


class Pool(Generic[C]):
    """Worker processes by kind. Not safe to use from several threads at once.

    Args:
        home: Tunewright's home directory.
        objects: where files are.
    """

    def __init__(self, home: Path, objects: Objects) -> None:
        self._home = home
        self._objects = objects
        self._workers: list[WorkerProcess[C]] = []
        self.started = 0

    def __iter__(self) -> Iterator[WorkerProcess[C]]:
        return iter(list(self._workers))

    def take(self, kind: Kind, job: str) -> WorkerProcess[C] | None:
        """An idle worker of a kind, the one used last; None when there is none.

        For a job that it has not worked for, a worker whose loaded sources have changed since is let go.
        """
        idle = [each for each in self._workers if each.kind == kind and _idle(each)]
        for worker in sorted(idle, key=lambda each: each.idle_since, reverse=True):
            if worker.job == job or not stale(worker.sources):
                return worker
            worker.dismiss()
        return None

    def start(self, kind: Kind, most: int) -> WorkerProcess[C]:
        """A new worker. Idle ones of other kinds make room for it when there are `most` or more.

        Raises:
            OSError: no process can be started.
        """
        idle = sorted(filter(_idle, self._workers), key=lambda each: each.idle_since)
        for worker in idle[: max(0, len(self._workers) + 1 - most)]:
            worker.dismiss()
        worker = WorkerProcess[C](kind, self._home, self._objects)
        self._workers.append(worker)
        self.started += 1
        return worker

    def dismiss_idle(self, seconds: float) -> None:
        """Let go of workers that have been idle for so long."""
        now = time.monotonic()
        for worker in filter(_idle, self._workers):
            if now - worker.idle_since >= seconds:
                worker.dismiss()

    def drop(self, worker: WorkerProcess[C]) -> None:
        """A worker has ended."""
        if worker in self._workers:
            self._workers.remove(worker)

    def end(self) -> None:
        """End every worker, after their sockets were closed."""
        for worker in self._workers:
            worker.end()
        if self._workers:
            # What their functions started may have left their groups.
            processes.end_remains((), [worker.marker for worker in self._workers])
        self._workers.clear()


def _idle(worker: WorkerProcess[C]) -> bool:
    return worker.ready and worker.call is None and not worker.ending
