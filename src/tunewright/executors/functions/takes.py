"""What a training function takes and gives, as its signature tells it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Takes:
    """What a function takes as keywords.

    Args:
        name: the function's.
        known: names in order.
        needed: those without a default.
        anything: whether it takes any other keyword too.
        nameless: parameters without a default that cannot be given by name.
        gives: what a call gives instead of a value, such as `a coroutine`; "" when it runs.
    """

    name: str
    known: tuple[str, ...]
    needed: frozenset[str]
    anything: bool
    nameless: tuple[str, ...] = ()
    gives: str = ""

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Takes | None:
        """None when a function does not tell (some that are compiled)."""
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            return None
        named = [each for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
        return cls(
            getattr(function, "__name__", type(function).__name__),
            tuple(each.name for each in named),
            frozenset(each.name for each in named if each.default is each.empty),
            any(each.kind is each.VAR_KEYWORD for each in parameters),
            tuple(each.name for each in parameters if each.kind is each.POSITIONAL_ONLY and each.default is each.empty),
            _gives(function) or _gives(type(function).__call__),
        )

    def mismatch(self, given: Mapping[str, object]) -> str:
        """Why these values cannot be the function's keywords; "" when they can."""
        listed = ", ".join(self.known) or "none"
        problems = [
            f"the function {self.name} has no parameter {name!r}; it has {listed}. Add the parameter, or **kwargs, or"
            " take the hyperparameter out."
            for name in self.unknown(given)
        ]
        return " ".join(problems + [self.lack(name) for name in self.lacking(given)])

    def unknown(self, given: Iterable[str]) -> list[str]:
        """Names that are none of the function's keywords."""
        return [] if self.anything else [name for name in given if name not in self.known]

    def lacking(self, given: Container[str]) -> list[str]:
        """Parameters that get no value."""
        return [name for name in self.known if name in self.needed and name not in given]

    def lack(self, name: str) -> str:
        """What to say of a parameter that gets no value."""
        return (
            f"the function {self.name} needs a value for its parameter {name!r}: tune it, give it as a"
            " hyperparameter, or give it a default."
        )

    def never(self) -> list[str]:
        """Why the function trains nothing, whatever it is given."""
        found = []
        if self.gives:
            found.append(
                f"calling {self.name} gives {self.gives} and trains nothing; write a plain function that does the work"
                " and returns its objective."
            )
        if self.nameless:
            found.append(
                f"{self.name} takes {', '.join(self.nameless)} by position only, and hyperparameters are given by name;"
                " take the / out of its parameters."
            )
        return found


def _gives(function: object) -> str:
    if inspect.iscoroutinefunction(function):
        return "a coroutine"
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        return "a generator"
    return ""
