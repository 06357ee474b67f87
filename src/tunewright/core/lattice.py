"""The values of a stepped range: first, first + step, first + 2 step, ... up to the range's end, in decimal arithmetic.

Bounds and steps are what a person wrote: 0.1 is a tenth, and three steps of it are 0.3, not 0.30000000000000004.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache


def exact(number: float) -> Fraction:
    """The decimal number that a float is written as."""
    return Fraction(repr(float(number))) if isinstance(number, float) else Fraction(number)


@dataclass(frozen=True, slots=True)
class Lattice:
    """Numbers at equal distances.

    Args:
        first: the lowest one.
        step: the distance, above 0.
        size: how many there are, at least 1.
        whole: whether they are integers.
    """

    first: Fraction
    step: Fraction
    size: int
    whole: bool

    def value(self, index: int) -> float | int:
        """The number at an index from 0."""
        number = self.first + index * self.step
        return int(number) if self.whole else float(number)

    def index(self, value: float) -> int | None:
        """The index of a number, or None when it is none of these."""
        place = self.nearest(value)
        return place if self.value(place) == value else None

    def nearest(self, value: float) -> int:
        """The index of the number nearest to a finite one."""
        place = round((exact(value) - self.first) / self.step)
        return min(max(place, 0), self.size - 1)

    def below(self, value: float) -> int:
        """How many of the numbers are smaller than a finite one."""
        steps = (exact(value) - self.first) / self.step
        return min(max(-(-steps.numerator // steps.denominator), 0), self.size)

    @property
    def last(self) -> float | int:
        return self.value(self.size - 1)


@lru_cache(maxsize=1024)
def lattice_of(low: float, high: float, step: float, whole: bool) -> Lattice:
    """The lattice from `low` to at most `high`, all finite, low <= high, step > 0."""
    first, width = exact(low), exact(step)
    return Lattice(first, width, int((exact(high) - first) // width) + 1, whole)
