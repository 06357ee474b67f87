"""Many values of a stepped range at once, each exactly the one that `core.lattice` finds alone.

Decimal arithmetic takes microseconds a value, and a suggestion looks at thousands. Floats find nearly all places;
the few that rounding leaves in doubt are asked for one by one.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunewright.core.lattice import Lattice
from tunewright.search.arrays import Floats

Places: TypeAlias = NDArray[Any]
"""Whole numbers: int64 where everything fits, else Python's own."""

_EXACT = 1 << 53
"""Whole numbers up to this are floats."""

_DOUBT = 8 * float(np.finfo(np.float64).eps)
"""Above the relative error of a place found in floats: one rounding each of five numbers, and their decimals."""

_LEAST_STEP = 1e-290
"""Smaller steps have too few digits as floats."""


class Steps:
    """A lattice, for arrays."""

    def __init__(self, lattice: Lattice) -> None:
        self._lattice = lattice
        self._parts = math.lcm(lattice.first.denominator, lattice.step.denominator)
        self._start, self._stride = int(lattice.first * self._parts), int(lattice.step * self._parts)
        fits = max(self._parts, abs(self._start) + lattice.size * self._stride) < _EXACT
        self._kind: type = np.int64 if fits else object

    def values(self, places: Places) -> Floats:
        """The numbers at these places, as floats."""
        # A quotient of two whole numbers is rounded once, like the fraction that it is.
        numbers = (self._start + places.astype(self._kind) * self._stride) / self._parts
        return np.asarray(numbers, dtype=np.float64)

    def nearest(self, numbers: Floats) -> Places:
        """The places of the numbers nearest to finite ones."""
        first, step = float(self._lattice.first), float(self._lattice.step)
        with np.errstate(all="ignore"):
            steps = (numbers - first) / step
            doubt = _DOUBT * ((np.abs(numbers) + abs(first)) / step + np.abs(steps))
            whole = np.rint(steps)
            sure = (0.5 - np.abs(steps - whole) > doubt) & (step >= _LEAST_STEP)
        inside = np.clip(np.where(sure, whole, 0.0), 0.0, float(min(self._lattice.size - 1, _EXACT)))
        places: Places = inside.astype(np.int64).astype(self._kind)
        for i in np.flatnonzero(~sure):
            places[i] = self._lattice.nearest(float(numbers[i]))
        return places
