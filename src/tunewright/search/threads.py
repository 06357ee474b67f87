"""One BLAS thread while proposing: the same numbers on every machine, and no more threads than slots."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# numpy and scipy load their BLAS before the controller looks for it.
import numpy  # noqa: F401
import scipy.linalg.lapack  # noqa: F401

_before = os.environ.get("KMP_DUPLICATE_LIB_OK")
from threadpoolctl import ThreadpoolController, threadpool_limits  # noqa: E402

if _before is None:
    # Its import sets this variable, which training programs would inherit.
    os.environ.pop("KMP_DUPLICATE_LIB_OK", None)

__all__ = ["one_blas_thread"]

_lock = threading.Lock()
_controller: ThreadpoolController | None = None
_limits: threadpool_limits | None = None
_inside = 0


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread; nested and concurrent uses share one limit, lifted by the last to leave."""
    global _controller, _limits, _inside
    with _lock:
        if _controller is None:
            _controller = ThreadpoolController()
        if _inside == 0:
            _limits = _controller.limit(limits=1, user_api="blas")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _limits is not None:
                _limits.restore_original_limits()
                _limits = None
