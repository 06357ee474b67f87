"""The error family. A message names the field, the value, the rule and the remedy."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
"""What the system says on a full disk, where there is room some day."""


class TunewrightError(Exception):
    """The base of every error that Tunewright raises on purpose."""


class TunewrightWarning(UserWarning):
    """Something that is allowed and probably not meant, such as accuracy to be minimised."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input.

    Args:
        path: where, in the caller's own words (`lr.min_value`, `hyperParameterTuningJobName`).
        message: value, rule and remedy in one or two sentences.
        extended_allows: whether extended mode would accept it; the text then says so.
    """

    path: str
    message: str
    extended_allows: bool = False

    def __str__(self) -> str:
        hint = " Extended mode allows it." if self.extended_allows else ""
        return f"{self.path}: {self.message}{hint}" if self.path else f"{self.message}{hint}"


class Invalid(TunewrightError):
    """The input breaks one or more rules; `problems` lists all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @classmethod
    def one(cls, path: str, message: str) -> Invalid:
        """The error of a single problem, which extended mode refuses too."""
        return cls([Problem(path, message)])


class NotFound(TunewrightError):
    """No such tuning job or training job."""

    def __init__(self, kind: str, name: str, hint: str = "") -> None:
        self.kind, self.name = kind, name
        super().__init__(f"There is no {kind} called {name!r}.{' ' + hint if hint else ''}")


class AlreadyExists(TunewrightError):
    """The name is taken (names are compared without regard to case)."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind, self.name = kind, name
        super().__init__(f"A {kind} with the name {name!r} already exists. Choose a different name.")


class WrongState(TunewrightError):
    """The operation is not possible in the state that the job is in; the text says which, and what to do."""


class LimitExceeded(TunewrightError):
    """A quota would be exceeded."""


class NoCapacity(TunewrightError):
    """There are no such instances here, and waiting will bring none; the text says what there is."""


class StaleVersion(TunewrightError):
    """Somebody else changed the job since it was read; read again and retry."""
