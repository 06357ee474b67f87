"""Python functions on their way to a worker: named where a worker can import them, else pickled into the home.

A pickle is read only by a worker of the same user, from `<home>/functions`, under a name that is the SHA-256 of
its bytes. Nothing that came over a network is ever unpickled.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib
import logging
import os
import re
import stat
import sys
import types
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from tunewright.core.errors import Invalid
from tunewright.core.spec import Function
from tunewright.executors.functions.travel import Homes, dumps

_LOG = logging.getLogger("tunewright")

LARGE = 50_000_000
"""Bytes from which on a pickled function is remarked upon."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FILE = re.compile(r"[0-9a-f]{64}\.pkl")


class Unloadable(Exception):
    """A function that cannot be had: the message says why, `error` is what was raised on the way, if anything."""

    def __init__(self, message: str, error: BaseException | None = None) -> None:
        self.error = error
        super().__init__(message)


def store_function(function: Callable[..., Any], home: Path) -> Function:
    """Make a function known to the workers of this home.

    A function that stands by its own name in a module with a file is referred to by that name, so that its
    source is read afresh. Lambdas, closures, callable objects and whatever was defined in a notebook, a script
    or an interpreter are pickled with what they need. The current module search path goes along.

    Raises:
        Invalid: it cannot be called, or holds something that cannot be pickled.
    """
    if not callable(function):
        raise Invalid.one("function", f"{function!r} cannot be called; give a function.")
    path = search_path()
    name = _name(function)
    if name is not None:
        return Function(name, path=path)
    data = _pickle(function)
    if len(data) >= LARGE:
        _LOG.warning(
            "the function takes %.0f MB along of what it refers to, kept in %s once for each version of it;"
            " large data are better loaded inside the function, or given as an input",
            len(data) / 1e6,
            Path(home) / "functions",
        )
    digest = hashlib.sha256(data).hexdigest()
    _write(Path(home) / "functions", f"{digest}.pkl", data)
    return Function(digest, pickled=True, path=path)


def search_path() -> tuple[str, ...]:
    """The directories of `sys.path` that this interpreter would not have by itself; the current one for ''."""
    own = {os.path.realpath(place) for place in (sys.prefix, sys.base_prefix, sys.exec_prefix)}
    found: list[str] = []
    for entry in sys.path:
        place = os.path.abspath(entry)
        real = os.path.realpath(place)
        ours = any(real == home or real.startswith(home + os.sep) for home in own)
        if os.path.exists(place) and not ours and place not in found:
            found.append(place)
    return tuple(found)


def load_function(function: Function, home: str, homes: Homes | None = None) -> Callable[..., Any]:
    """The function itself, for a worker whose `sys.path` begins with `function.path`.

    Args:
        homes: given the modules that a function by value believes to live in.

    Raises:
        Unloadable: with the reason in the user's words.
    """
    loaded: object = _unpickle(function.reference, home) if function.pickled else _import(function.reference)
    if isinstance(loaded, tuple):
        loaded, told = loaded
        if homes is not None:
            homes.settle(loaded, told)
    elif homes is not None:
        homes.clear()
    if not callable(loaded):
        raise Unloadable(f"{function.reference!r} is not a function: {loaded!r}")
    return loaded


# ---- by name ----


def _name(function: Callable[..., Any]) -> str | None:
    """`module:name` when a worker that imports the module finds this very function there."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module == "__main__" or "<" in name:
        return None
    found: object = sys.modules.get(module)
    if not isinstance(found, types.ModuleType) or not _importable(found):
        return None
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}:{name}" if found is function else None


def _importable(module: types.ModuleType) -> bool:
    """Whether importing the module by its name leads to the file that it came from."""
    if module.__name__ in sys.builtin_module_names:
        return True
    file = getattr(module, "__file__", None)
    parent = module.__name__.rpartition(".")[0]
    if file is None or (parent and parent not in sys.modules):
        return False
    places = list(sys.modules[parent].__path__) if parent else None
    for finder in sys.meta_path:
        # importlib.util.find_spec would answer from sys.modules, wherever that module came from.
        spec = finder.find_spec(module.__name__, places)
        if spec is not None:
            return spec.origin is not None and os.path.realpath(spec.origin) == os.path.realpath(file)
    return False


def _import(reference: str) -> object:
    module, _, name = reference.partition(":")
    try:
        found: object = importlib.import_module(module)
    except Exception as error:  # whatever the user's module raises
        raise Unloadable(f"{module!r} cannot be imported: {type(error).__name__}: {error}", error) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise Unloadable(f"the module {module!r} ({getattr(found, '__file__', '?')}) has no {name!r}")
        found = getattr(found, part)
    return found


# ---- by value ----


def _pickle(function: Callable[..., Any]) -> bytes:
    import cloudpickle  # costs start-up time, and a training program given by name never needs it

    module = sys.modules.get(getattr(function, "__module__", None) or "")
    # A module that a worker cannot import must travel with the function.
    by_value = module is not None and module.__name__ != "__main__" and not _importable(module)
    try:
        if by_value:
            cloudpickle.register_pickle_by_value(module)
        return dumps(function, ["__main__", *([module.__name__] if by_value and module is not None else [])])
    except Exception as error:  # pickling runs the code of whatever the function refers to
        text = (
            f"{function!r} cannot be pickled: {type(error).__name__}: {error}. It refers to something that lives in"
            " this process alone (an open file, a lock, a connection); make that inside the function."
        )
        raise Invalid.one("function", text) from error
    finally:
        if by_value:
            cloudpickle.unregister_pickle_by_value(module)


def _write(folder: Path, name: str, data: bytes) -> None:
    os.makedirs(folder, mode=0o700, exist_ok=True)
    target = folder / name
    with contextlib.suppress(FileNotFoundError), _alone(folder):
        os.utime(target)  # it is in use again, so that nobody clears it away
        return
    temporary = folder / f".{name}.{os.getpid()}"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    with _alone(folder):
        os.replace(temporary, target)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else stores or removes a function meanwhile. The lock goes with its process, and leaves nothing undone."""
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)  # a child that was forked meanwhile has the descriptor too
        os.close(handle)


def _unpickle(digest: str, home: str) -> object:
    if not _DIGEST.fullmatch(digest):
        raise Unloadable(f"{digest!r} is not the SHA-256 of a stored function")
    path = os.path.join(home, "functions", f"{digest}.pkl")
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            with contextlib.suppress(OSError):  # a file system that cannot be written
                os.utime(file.fileno())
            about = os.fstat(file.fileno())
            data = file.read()
    except OSError as error:
        raise Unloadable(f"the stored function {path} cannot be read: {error.strerror or error}", error) from error
    if about.st_uid != os.geteuid() or stat.S_IMODE(about.st_mode) & 0o022:
        raise Unloadable(f"the stored function {path} could have been written by another user; it is not loaded")
    if hashlib.sha256(data).hexdigest() != digest:
        raise Unloadable(f"the stored function {path} was changed: its SHA-256 is not its name; it is not loaded")
    import cloudpickle  # as above

    try:
        found: object = cloudpickle.loads(data)
    except Exception as error:  # unpickling imports the user's modules
        raise Unloadable(f"the stored function cannot be loaded: {type(error).__name__}: {error}", error) from error
    return found


# ---- clearing away ----


def stored_functions(home: Path) -> list[Path]:
    """The files of all functions that are kept by value."""
    folder = Path(home) / "functions"
    return sorted(path for path in folder.glob("*.pkl") if _FILE.fullmatch(path.name))


def unused_functions(home: Path, needed: Collection[str], since: float) -> list[Path]:
    """The files of functions by value that are not needed and were neither stored nor called since a time.

    What was left by a process that died while it stored one is among them.

    Args:
        needed: SHA-256 of those that jobs refer to.
        since: seconds since the epoch. Whoever has stored a function is about to make a job of it.
    """
    unfinished = sorted((Path(home) / "functions").glob(".*.pkl.*"))
    found = [path for path in stored_functions(home) if path.stem not in needed] + unfinished
    return [path for path in found if _changed(path) < since]


def remove_function(path: Path, since: float) -> bool:
    """Remove a function's file, unless it was stored or called again meanwhile; whether it is gone.

    At no moment is a file away that somebody needs: who stores it waits, and then writes it anew.
    """
    with _alone(path.parent):
        if path.exists() and _changed(path) >= since:
            return False
        path.unlink(missing_ok=True)
    return True


def _changed(path: Path) -> float:
    """When a file was changed last; never, where it cannot be told."""
    try:
        return path.stat().st_mtime
    except OSError:
        return float("inf")
