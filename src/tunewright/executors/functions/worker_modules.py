"""Which of the user's own source files a worker has loaded, so that one with stale code can be replaced."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path


class Sources:
    """Files of imported modules outside the interpreter's own directories, with their times of change."""

    def __init__(self) -> None:
        self._count = 0
        self._seen: set[str] = set()
        own = (sys.prefix, sys.base_prefix, *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")))
        self._own = tuple({f"{os.path.realpath(place)}{os.sep}" for place in own if place})
        self._ours = f"{Path(__file__).absolute().parents[2]}{os.sep}"

    def fresh(self) -> dict[str, int]:
        """Files that were loaded since the last call, and their times of change in nanoseconds."""
        if len(sys.modules) == self._count:
            return {}
        self._count = len(sys.modules)
        found = {}
        for name, module in list(sys.modules.items()):
            if name in self._seen:
                continue
            self._seen.add(name)
            file = getattr(module, "__file__", None)
            if not isinstance(file, str) or os.path.realpath(file).startswith(self._own) or file.startswith(self._ours):
                continue
            try:
                found[file] = os.stat(file).st_mtime_ns
            except OSError:
                continue
        return found


def stale(sources: dict[str, int]) -> bool:
    """Whether any of these files was changed or removed since it was loaded."""
    for file, changed in sources.items():
        try:
            if os.stat(file).st_mtime_ns != changed:
                return True
        except OSError:
            return True
    return False
