"""Trying a metric's pattern on a log: what the scraper would make of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunewright.aws.sagemaker.patterns import pattern_problem
from tunewright.control.metrics import Found, Scraper, remedy, try_pattern
from tunewright.core.errors import Invalid
from tunewright.core.outcome import NEVER, not_used
from tunewright.core.spec import MetricDefinition

NAME = "metric"
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Tried:
    """What a pattern found.

    Args:
        found: line number from 1 and what was captured there.
        note: why there is no value; empty when there is one.
    """

    found: Sequence[tuple[int, Found]]
    note: str

    @property
    def values(self) -> list[float]:
        """The numbers in order of appearance; the last one counts."""
        return [each.value for _, each in self.found if each.value is not None]

    @property
    def objective(self) -> float | None:
        """What training would take as the objective: the last number, unless there is a note."""
        return self.values[-1] if self.values and not self.note else None

    @property
    def cut(self) -> str:
        """What was captured of the first number that was not captured whole, and what to do; or nothing."""
        return next((f"{e.captured} of {e.whole}{remedy(e)}" for _, e in self.found if e.whole), "")

    def lines(self) -> list[str]:
        """For a person: each capture, then the verdict."""
        shown = self.found if len(self.found) <= SHOWN else [*self.found[: SHOWN // 2], *self.found[-SHOWN // 2 :]]
        said = []
        for place, (number, each) in enumerate(shown):
            if place == SHOWN // 2 and len(self.found) > SHOWN:
                said.append(f"... {len(self.found) - SHOWN} more")
            what = "not a number" if each.value is None else repr(each.value)
            what += f", not all of {each.whole}" if each.whole else ""
            said.append(f"line {number}: captured {each.captured!r}: {what}")
        if self.objective is not None:
            said.append(f"{len(self.values)} values; the last one, {self.objective!r}, would be the objective.")
            if self.cut:
                said.append(f"Not all of a number: {self.cut}.")
            return said
        return [*said, f"No value: {self.note}."]

    def shape(self) -> dict[str, object]:
        matches = [
            {"Line": n, "Captured": each.captured, "Value": each.value, "CutFrom": each.whole or None}
            for n, each in self.found
        ]
        return {"Matches": matches, "Value": self.objective, "Reason": self.note or None}


def tried(pattern: str, data: bytes) -> Tried:
    """Try a pattern on a log's bytes. Raises Invalid when a job with it would be refused."""
    if wrong := pattern_problem(pattern):
        raise Invalid.one("REGEX", f"{pattern!r} {wrong}")
    try:
        found = try_pattern(pattern, data)
        scraper = Scraper([MetricDefinition(NAME, pattern)], NAME)
    except TimeoutError:
        raise Invalid.one("REGEX", f"{pattern!r} took too long on a line; simplify it.") from None
    observed, _ = scraper.log(data, 0.0, final=True)
    if observed and not math.isfinite(observed[-1].value):
        return Tried(found, not_used(NAME, observed[-1].value))
    note = "" if observed else scraper.note().replace(f"{NAME!r} {NEVER}", "the pattern matched no line")
    return Tried(found, note)
