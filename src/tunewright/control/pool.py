"""Work done beside the loop, in threads that never keep a process from ending.

(`concurrent.futures` refuses work as soon as the interpreter begins to end, while the loop still has to bring
its jobs to rest.)
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonPool:
    """A few daemon threads that answer through futures; started with the first piece of work."""

    def __init__(self, threads: int, done: Callable[[], None]) -> None:
        """A pool of so many threads.

        Args:
            done: called, in a thread of the pool, whenever an answer is there.
        """
        self._size, self._done = threads, done
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a call made by the next free thread; what it raises, the future raises."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(call(*args, **kwargs))
            # Broad, as in every future, SystemExit too: it is raised again where the result is asked for, and
            # the thread goes on.
            except BaseException as error:
                future.set_exception(error)
            self._done()

        self._start()
        self._work.put(run)
        return future

    def close(self) -> None:
        """Finish what was submitted."""
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _start(self) -> None:
        while len(self._threads) < self._size:
            thread = threading.Thread(target=self._serve, name="tunewright-pool", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            work()
