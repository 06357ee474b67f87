"""One BLAS thread while proposing: the same numbers on every machine, and no more threads than slots."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# numpy and scipy load their BLAS before the controller looks for it.
import numpy  # noqa: F401 - loaded, not used
import scipy.linalg.lapack  # noqa: F401 - loaded, not used

from tunewright.search.memory import keep_freed_memory

_given = os.environ.get("KMP_DUPLICATE_LIB_OK")
from threadpoolctl import LibController, ThreadpoolController  # noqa: E402 - after what it sets was looked at

if _given is None:
    # Its import sets this variable, which training programs would inherit.
    os.environ.pop("KMP_DUPLICATE_LIB_OK", None)

__all__ = ["one_blas_thread"]

_lock = threading.Lock()
_libraries: list[LibController] | None = None
_inside = 0
_before: list[int] = []


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread in the calling thread, whichever that is.

    Libraries that count for the whole process stay limited until the last of all concurrent uses leaves; those that
    count for each thread are set back when this thread does.
    """
    own = _enter()
    try:
        yield
    finally:
        _leave(own)


def _enter() -> list[int]:
    """Returns what was set in this thread before, for each library."""
    global _libraries, _inside, _before
    with _lock:
        if _libraries is None:
            keep_freed_memory()
            _libraries = [each for each in ThreadpoolController().lib_controllers if each.user_api == "blas"]
        own = [int(library.get_num_threads()) for library in _libraries]
        if not _inside:
            _before = own
        _inside += 1
        for library in _libraries:
            _set(library, 1)
        return own


def _leave(own: list[int]) -> None:
    global _inside
    with _lock:
        assert _libraries is not None, "whoever leaves has entered"
        _inside -= 1
        for library, mine, shared in zip(_libraries, own, _before, strict=True):
            if _is_of_each_thread(library):
                _set(library, mine)
            elif not _inside:
                _set(library, shared)


def _set(library: LibController, threads: int) -> None:
    # Where a library counts for the process, only the thread that is in control is obeyed, and others are not told
    # that they were not. Which uses overlap is minded here, so whoever comes takes control and gives it up.
    take_control = getattr(library, "clear_controlling_thread", _nothing)
    take_control(force=True)
    library.set_num_threads(threads)
    take_control(force=True)


def _nothing(*, force: bool) -> None:
    """Versions of the controller without such control."""


def _is_of_each_thread(library: LibController) -> bool:
    return library.internal_api == "mkl" or getattr(library, "threading_layer", "") == "openmp"
