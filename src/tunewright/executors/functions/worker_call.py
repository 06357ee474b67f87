"""One call of a training function: hyperparameters in as keywords, metrics out, and how it ended in words."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import FrameType, TracebackType
from typing import Any
from weakref import WeakSet

from tunewright import script
from tunewright.core.ports import Task
from tunewright.core.spec import Function
from tunewright.core.trial import Failure
from tunewright.executors.contract.files import program_parameters
from tunewright.executors.functions.store import Unloadable, load_function
from tunewright.executors.functions.takes import Takes
from tunewright.executors.functions.travel import Homes
from tunewright.executors.reasons import LIMIT, plain, tail, written
from tunewright.executors.workdir import Workdir

UNNAMED = "objective"
"""The metric that a returned number is when the training job has no objective (a plain training job)."""


REPORT_SECONDS = 2.0
"""How long a function that is to end, and has reported before, is given until its next report."""


STRANGER = (
    "report() in a thread that an earlier training job began: its values would be taken for those of the one that runs"
    " now, and are dropped. Let the function wait for its threads before it returns."
)


class Stopped(BaseException):
    """SIGTERM came while a function ran that does not ask `should_stop()`."""


class Terminator:
    """SIGTERM's handler: ends a running call, unless the function asks for itself; else only remembers.

    Raising lets the function's `finally` blocks run and its model be kept, which ending the process would not. A
    function that has reported is given until its next report, for there no library is in the middle of anything, and
    the process is as good as before. Where that takes too long, or in a function that never reported, the exception
    comes wherever it stands.

    `tunewright.script` knows this handler by the names that begin with `tunewright_`.
    """

    def __init__(self) -> None:
        self.tunewright_asked = False
        self.came = False
        self.broke_in = False
        self._running = False
        self._reports = False
        self._over = threading.Event()
        self._strangers: WeakSet[threading.Thread] = WeakSet()

    @property
    def replaced(self) -> bool:
        """Whether the function has put a handler of its own in place."""
        return signal.getsignal(signal.SIGTERM) is not self

    def __call__(self, number: int, frame: FrameType | None) -> None:
        first, self.came = not self.came, True
        if not self._running or self.tunewright_asked:
            return
        if first and self._reports:
            # Not threading.Thread: the signal may have come while its locks are held.
            _thread.start_new_thread(_insist, (self._over,))
            return
        self._running = False
        self.broke_in = True
        raise Stopped

    def tunewright_reporting(self) -> None:
        """Something is to be reported. Raises RuntimeError in a thread that an earlier call began."""
        if threading.current_thread() in self._strangers:
            raise RuntimeError(STRANGER)

    def tunewright_reported(self) -> None:
        """The function has reported: if it was to end, it ends here."""
        self._reports = True
        mine = threading.get_ident() == threading.main_thread().ident
        if self.came and self._running and not self.tunewright_asked and mine:
            self._running = False
            raise Stopped

    def __enter__(self) -> None:
        self.tunewright_asked = self.came = self.broke_in = self._reports = False
        self._over = threading.Event()
        self._strangers = WeakSet(threading.enumerate())
        self._strangers.discard(threading.current_thread())
        signal.signal(signal.SIGTERM, self)
        self._running = True

    def __exit__(self, kind: object, error: object, trace: TracebackType | None) -> None:
        self._running = False
        self._over.set()


def _insist(over: threading.Event) -> None:
    """Send the signal again when a call that waits for its next report is not over in time."""
    if not over.wait(REPORT_SECONDS):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended.

    Args:
        code: what a program's exit code would be; None when the function was never called.
        stopped: the call was broken off, or never begun, because it was to end.
    """

    code: int | None
    failure: Failure | None = None
    reason: str = ""
    stopped: bool = False


class Caller:
    """Calls training functions. One that travelled by value is made anew for each call, and knows of none before.

    Args:
        home: Tunewright's home directory.
    """

    def __init__(self, home: str) -> None:
        self._home = home
        self._named: dict[Function, tuple[Callable[..., Any], Takes | None]] = {}
        self._homes = Homes()

    def call(self, task: Task, workdir: Workdir) -> Outcome:
        """Call the task's function and append what it returns to the metrics. Raises Stopped."""
        assert task.training.function is not None
        try:
            function, takes = self._load(task.training.function)
        except Unloadable as error:
            if error.error is not None:
                traceback.print_exception(error.error)
            return Outcome(None, Failure.CLIENT, str(error)[:LIMIT])
        parameters = program_parameters(task.hyperparameters)
        problem = takes.mismatch(parameters) if takes is not None else ""
        if problem:
            return Outcome(None, Failure.CLIENT, problem[:LIMIT])
        sys.argv[:] = [task.training.function.reference]
        try:
            value = function(**parameters)
        except Stopped:
            raise
        except BaseException as error:  # whatever it is, it is the function's and not the worker's
            outcome = _exited(error, workdir) if isinstance(error, SystemExit) else _raised(error)
            return replace(outcome, reason=written(workdir) or outcome.reason)
        return _returned(value, task, workdir)

    def _load(self, function: Function) -> tuple[Callable[..., Any], Takes | None]:
        found = self._named.get(function)
        if found is None:
            loaded = load_function(function, self._home, self._homes)
            found = loaded, Takes.of(loaded)
            if not function.pickled:
                self._named[function] = found
        return found


def _exited(error: SystemExit, workdir: Workdir) -> Outcome:
    """`sys.exit()` in a function means what it means in a script."""
    code = error.code
    if code is None or code == 0:
        return Outcome(0)
    if not isinstance(code, int):
        print(code, file=sys.stderr)
    sys.stderr.flush()
    said = tail(workdir)
    reason = f"the function ended with sys.exit({str(code)[:80]})" + (f'\nErrorMessage "{said}"' if said else "")
    return Outcome((code & 0xFF or 1) if isinstance(code, int) else 1, Failure.ALGORITHM, reason[:LIMIT])


def _raised(error: BaseException) -> Outcome:
    trace = error.__traceback__.tb_next if error.__traceback__ is not None else None
    error = error.with_traceback(trace)
    traceback.print_exception(error)
    text = plain("".join(traceback.format_exception_only(error))).strip()
    where = "".join(traceback.format_list(traceback.extract_tb(trace)[-1:])).rstrip()
    room = max(LIMIT - len(where) - 1, LIMIT // 2)
    return Outcome(1, Failure.ALGORITHM, f"{text[:room]}\n{where}"[:LIMIT].rstrip())


def _returned(value: Any, task: Task, workdir: Workdir) -> Outcome:
    """The outcome for a value returned; metrics in it become the last line of the metrics file."""
    if value is None or (isinstance(value, Mapping) and not value):
        return Outcome(0)
    metrics = value if isinstance(value, Mapping) else {task.objective or UNNAMED: value}
    try:
        line = script.entry(metrics)
    except TypeError as error:
        given = f"it returned {' '.join(repr(value).split()):.200} of type {type(value).__name__}."
        reason = (
            "the function must return its objective as a number, a dictionary of metric names to numbers, or None"
            f" after report(); {error if isinstance(value, Mapping) else given}"
        )
        return Outcome(1, Failure.CLIENT, reason[:LIMIT])
    script.append(workdir.stream("metrics"), line)
    return Outcome(0)
