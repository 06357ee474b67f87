"""Estimators for Python functions."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tunewright.core.errors import Problem
from tunewright.core.spec import Function
from tunewright.executors.functions.takes import Takes
from tunewright.sdk.estimators import EstimatorBase
from tunewright.sdk.session import Session

FUNCTION_IMAGE = "tunewright/function"


class FunctionEstimator(EstimatorBase):
    """A Python function that trains: hyperparameters in as keywords, metrics out.

    The function returns its objective as a number, or a dictionary of metrics by name, and may call
    `tunewright.report(step=..., **metrics)` on the way. It runs in a worker process on this machine.

    Args:
        function: the function itself, or `"package.module:name"`.
        path: directories in which the workers look for modules, for a function given by name; the current
            directory when None.
        **options: as `EstimatorBase`.
    """

    image = FUNCTION_IMAGE

    def __init__(
        self,
        function: Callable[..., object] | str | Function,
        *,
        path: Sequence[str | os.PathLike[str]] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.function: Callable[..., object] | str | Function = function
        self.path = tuple(os.path.abspath(each) for each in (path if path is not None else [os.getcwd()]))

    def __repr__(self) -> str:
        return f"FunctionEstimator({self._name()!r})"

    def stem(self) -> str:
        return self._name().rpartition(":")[2].rpartition(".")[2].replace("<lambda>", "function")

    def own_problems(self, session: Session) -> list[Problem]:
        found: list[Problem] = []
        if session.strict:
            found.append(Problem("function", "AMT trains programs, not Python functions.", True))
        if session.local is None:
            text = "a server cannot be given Python functions; use Estimator with a script, or run in this process."
            found.append(Problem("function", text))
        if isinstance(self.function, Function):
            return found
        function = self._named() if isinstance(self.function, str) else self.function
        if isinstance(function, str):
            found.append(Problem("function", function))
        elif not callable(function):
            found.append(Problem("function", f"{function!r} cannot be called."))
        else:
            takes = Takes.of(function)
            if takes is not None:
                found += [Problem("function", text) for text in takes.never()]
                found += signature_problems(takes, self.fixed)
        return found

    def program(self, session: Session, job: str) -> tuple[dict[str, str], dict[str, object]]:
        if isinstance(self.function, str):
            function = Function(self.function, path=self.path)
        elif isinstance(self.function, Function):
            function = self.function
        else:
            function = session.store_function(self.function)
        value = {"reference": function.reference, "pickled": function.pickled, "path": list(function.path)}
        return {}, {"function": value}

    def accepts(self, names: Sequence[str], conditional: Collection[str] = ()) -> list[Problem]:
        """Tuned hyperparameters that the function has no parameter for, and what it insists on and is not given."""
        if isinstance(self.function, Function):
            return []
        function = self._named() if isinstance(self.function, str) else self.function
        takes = Takes.of(function) if callable(function) else None
        if takes is None:
            return []
        return signature_problems(takes, names, conditional) + lacking(takes, {*names, *self.fixed})

    def _name(self) -> str:
        if isinstance(self.function, str):
            return self.function
        if isinstance(self.function, Function):
            return self.function.reference
        return getattr(self.function, "__qualname__", type(self.function).__name__)

    def _named(self) -> object:
        """The function that `package.module:name` stands for, or a text that says why there is none."""
        reference = str(self.function)
        module, colon, name = reference.partition(":")
        if not colon or not module or not name:
            return f"{reference!r} must have the form 'package.module:name'."
        with _searching(self.path):
            try:
                found: object = importlib.import_module(module)
            except Exception as error:  # whatever the user's module raises
                return (
                    f"{module!r} cannot be imported: {type(error).__name__}: {error}. Looked in {', '.join(self.path)}."
                )
        for part in name.split("."):
            if not hasattr(found, part):
                return f"{module!r} has no {name!r}."
            found = getattr(found, part)
        return found if callable(found) else f"{reference!r} is not a function: {found!r}."


@contextmanager
def _searching(path: Sequence[str]) -> Iterator[None]:
    """These directories in front of the module search path."""
    before = list(sys.path)
    sys.path[:0] = [each for each in path if each not in before]
    try:
        yield
    finally:
        sys.path[:] = before


def signature_problems(takes: Takes, names: Iterable[str], conditional: Collection[str] = ()) -> list[Problem]:
    """Hyperparameters that a function would not accept as keywords, or not do without."""
    found = [
        Problem(
            f"conditions.{name}",
            f"the function's parameter {name!r} has no default, and is not given where the condition does not"
            f" hold; write {name}=None, say.",
        )
        for name in takes.known
        if name in conditional and name in takes.needed
    ]
    return found + [
        Problem(
            f"hyperparameters.{name}",
            f"the function has no parameter {name!r}; it has {', '.join(takes.known) or 'none'}.",
        )
        for name in takes.unknown(names)
    ]


def lacking(takes: Takes, given: Collection[str]) -> list[Problem]:
    """Parameters of a function that get no value."""
    return [Problem("function", takes.lack(name)) for name in takes.lacking(given)]
