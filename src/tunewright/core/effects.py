"""The closed union of all that may be owed to a job. Effects are values: two equal ones are the same wish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Propose:
    """Find configurations for trials `first` to `first + count - 1`."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Promote:
    """Say which of the paused trials go on, at most `places` of them, as things stand at `news`."""

    places: int
    news: int


@dataclass(frozen=True, slots=True)
class Launch:
    """Start the program of a trial's attempt, unless it was started already."""

    number: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Judge:
    """Say whether the trial goes on, having seen its curve up to epoch `upto`."""

    number: int
    attempt: int
    upto: int


@dataclass(frozen=True, slots=True)
class Kill:
    """End the program of a trial's attempt, or see to it that it never starts."""

    number: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Discard:
    """Remove the model and the checkpoints of an ended trial."""

    number: int


Effect: TypeAlias = Propose | Promote | Launch | Judge | Kill | Discard
