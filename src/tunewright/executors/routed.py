"""One executor of two: tasks with a Python function go to one, all others to the other."""

from __future__ import annotations

from tunewright.core.ports import Executor, Report, Task
from tunewright.core.trial import Cursor
from tunewright.executors.bell import Bell
from tunewright.executors.instances import Offer
from tunewright.executors.news import Waiting


class RoutedExecutor(Waiting):
    """`core.ports.Executor` over an executor for scripts and one for functions.

    Args:
        scripts: runs tasks without a `training.function`.
        functions: runs tasks with one.
        bell: the one that both ring.
        offer: the instance types on offer; None sends tasks on as they are.
    """

    def __init__(self, scripts: Executor, functions: Executor, bell: Bell, offer: Offer | None = None) -> None:
        super().__init__(bell)
        self._scripts = scripts
        self._functions = functions
        self._offer = offer
        self._routes: dict[tuple[str, int], Executor] = {}

    def _route(self, task: Task) -> Executor:
        executor = self._scripts if task.training.function is None else self._functions
        self._routes[task.name, task.attempt] = executor
        return executor

    def _known(self, name: str, attempt: int) -> Executor:
        """Who has a task. Of one that nobody was given both know as much: what lies in its directory."""
        return self._routes.get((name, attempt), self._scripts)

    def launch(self, task: Task) -> str | None:
        """Start a task where it belongs; None when no slot is free there now.

        Raises:
            NoCapacity: its instance type is not on offer.
        """
        task = task if self._offer is None else self._offer.sized(task)
        handle = self._route(task).launch(task)
        if handle is None:
            self._starve()
        return handle

    def watch(self, task: Task, handle: str | None) -> None:
        """Take over a task that an earlier controller launched."""
        self._route(task).watch(task, handle)

    def kill(self, task: Task) -> None:
        """Begin to end a task; its ExitReport follows."""
        self._route(task).kill(task)

    def poll(self) -> list[Report]:
        """What happened since the last poll, per task in order."""
        return [*self._scripts.poll(), *self._functions.poll()]

    def sizes(self, name: str, attempt: int) -> Cursor:
        """How many bytes each stream of a task holds now."""
        return self._known(name, attempt).sizes(name, attempt)

    def read(self, name: str, attempt: int, stream: str, offset: int, limit: int) -> bytes:
        """Bytes of a stream from an offset, at most `limit`."""
        return self._known(name, attempt).read(name, attempt, stream, offset, limit)

    def forget(self, name: str, attempt: int) -> None:
        """Drop what is held in memory about a task whose exit is committed."""
        self._known(name, attempt).forget(name, attempt)
        self._routes.pop((name, attempt), None)

    def close(self) -> None:
        """Let go of both."""
        self._scripts.close()
        self._functions.close()
