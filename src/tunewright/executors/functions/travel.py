"""What a function that travels by value needs, so that a worker is to it what the notebook or script was.

Its classes and helpers are found under the name of their module, for they are pickled by it (a fitted model, work
for a pool of processes), and its tracebacks show the file and the line that the user wrote.
"""

from __future__ import annotations

import functools
import io
import linecache
import os
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

_Cached = type(functools.lru_cache(lambda: None))
Notes = dict[str, dict[str, str]]
"""`files`: the file of each function by its mark; `texts`: of what is no file; `modules`: those that travel along."""


class Companions:
    """The functions and classes that a function is made of and refers to, of the same modules.

    Args:
        function: a function, a method, a partial or a callable object.
    """

    def __init__(self, function: object) -> None:
        self.functions: dict[int, types.FunctionType] = {}
        self.classes: dict[int, type] = {}
        self._homes = {each.__module__ for each in _bare(function)}
        waiting = [function]
        while waiting:
            waiting += self._walk(waiting.pop())

    def _walk(self, thing: object) -> Iterator[object]:
        """Take in what a thing is made of; what that refers to."""
        owner = thing if isinstance(thing, type) else type(thing)
        if owner.__module__ in self._homes:
            self.classes[id(owner)] = owner
        for each in _bare(thing):
            if id(each) not in self.functions and each.__module__ in self._homes:
                self.functions[id(each)] = each
                yield from (each.__globals__[name] for name in _names(each.__code__) if name in each.__globals__)
                yield from (cell.cell_contents for cell in each.__closure__ or () if _is_filled(cell))


def _bare(thing: object) -> Iterator[types.FunctionType]:
    """The plain functions in a callable, a class, or the class of an object."""
    if isinstance(thing, types.FunctionType):
        yield thing
    elif isinstance(thing, functools.partial):
        yield from _bare(thing.func)
    elif isinstance(thing, types.MethodType):
        yield from _bare(thing.__func__)
        yield from _bare(thing.__self__)
    elif isinstance(thing, staticmethod | classmethod | _Cached):
        yield from _bare(thing.__wrapped__)
    elif isinstance(thing, type):
        for each in [value for owner in thing.__mro__ for value in vars(owner).values()]:
            if isinstance(each, types.FunctionType | staticmethod | classmethod):
                yield from _bare(each)
    elif not isinstance(thing, types.ModuleType | types.BuiltinFunctionType):
        yield from _bare(type(thing))


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _names(inner)


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - an empty one raises
    except ValueError:
        return False
    return True


# ---- before the journey ----


def notes(function: object, modules: Iterable[str]) -> Notes:
    """Where the functions were written, by name and line, and the text of what is no file (a notebook's cell)."""
    found: Notes = {"files": {}, "texts": {}, "modules": dict.fromkeys(modules, "")}
    for each in Companions(function).functions.values():
        file = each.__code__.co_filename
        found["files"][_mark(each)] = file
        if not os.path.exists(file):
            found["texts"][file] = "".join(linecache.getlines(file))
    return found


def _mark(function: types.FunctionType) -> str:
    return f"{function.__qualname__}:{function.__code__.co_firstlineno}"


def dumps(function: object, modules: Iterable[str]) -> bytes:
    """The function as bytes, with its notes. Raises whatever its parts raise when they are pickled.

    Args:
        modules: those that a worker cannot import, so that what they hold travels by value.
    """
    import cloudpickle  # costs start-up time, and a training program given by name never needs it

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # of a library without types
        def reducer_override(self, thing: Any) -> Any:
            """By its name a cached function is not found in a worker; it travels with an empty cache."""
            if isinstance(thing, _Cached) and next(_bare(thing), None) is not None:
                parameters = thing.cache_parameters()
                return _cached, (thing.__wrapped__, parameters["maxsize"], parameters["typed"])
            return super().reducer_override(thing)

    buffer = io.BytesIO()
    Pickler(buffer).dump((function, notes(function, modules)))
    return buffer.getvalue()


def _cached(function: Callable[..., Any], most: int | None, typed: bool) -> Callable[..., Any]:
    return functools.lru_cache(most, typed)(function)


# ---- after it ----


class Homes:
    """The modules that functions by value believe to live in, as a worker has them for one call."""

    def __init__(self) -> None:
        self._before: list[tuple[dict[str, Any], dict[str, Any], set[str]]] = []
        self._made: list[str] = []

    def settle(self, function: object, told: Notes) -> None:
        """Give a function's companions their names, their files and their lines back."""
        self.clear()
        for name, text in told["texts"].items():
            lines = text.splitlines(keepends=True)
            linecache.cache[name] = (len(text), None, lines, name)
        company = Companions(function)
        for each in company.functions.values():
            file = told["files"].get(_mark(each))
            if file is not None:
                each.__code__ = _in_file(each.__code__, file)
            if each.__module__ in told["modules"]:
                self._furnish(each.__module__, each.__globals__)
                self._furnish(each.__module__, {each.__qualname__: each})
        for owner in company.classes.values():
            if owner.__module__ in told["modules"]:
                self._furnish(owner.__module__, {owner.__qualname__: owner})

    def _furnish(self, module: str, things: Mapping[str, object]) -> None:
        """Put things into a module under their names; a qualified one stands in its class."""
        if module not in sys.modules:
            sys.modules[module] = types.ModuleType(module)
            self._made.append(module)
        home = vars(sys.modules[module])
        new = {name: value for name, value in things.items() if name.isidentifier() and not name.startswith("__")}
        self._before.append((home, {name: home[name] for name in new if name in home}, set(new)))
        home.update(new)

    def clear(self) -> None:
        """Take it all away again."""
        for home, before, names in reversed(self._before):
            for name in names:
                home.pop(name, None)
            home.update(before)
        for name in self._made:
            sys.modules.pop(name, None)
        self._before.clear()
        self._made.clear()


def _in_file(code: types.CodeType, file: str) -> types.CodeType:
    inner = tuple(_in_file(each, file) if isinstance(each, types.CodeType) else each for each in code.co_consts)
    return code.replace(co_filename=file, co_consts=inner)
