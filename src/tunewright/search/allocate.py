"""Which definition of a job with several algorithms gets the next trial.

A fair start in turns, then draws that favour the definition whose trials are more often among the best. The
draw belongs to the trial's number. Random, Grid and Hyperband stay with turns, so that their sequences do not
depend on results.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tunewright.core.history import Record
from tunewright.core.spec import JobSpec, Strategy
from tunewright.search.arrays import Floats
from tunewright.search.table import State, state_of

FAIR_START = 5
"""Trials that each definition gets before results count."""

TOP_SHARE = 0.25
"""Trials in this best share of all finished ones count as hits."""

FLOOR = 0.1
"""Share of the draws that is spread evenly for good: a definition may find its region late."""

_SALT = 1_000_003


def allocate(spec: JobSpec, records: Mapping[int, Record], number: int, open_to: list[int]) -> int:
    """The definition for trial `number`, among those in `open_to` (not used up).

    Args:
        records: all trials so far, of all definitions.
    """
    turn = (number - 1) % len(spec.definitions)
    in_turn = min(open_to, key=lambda definition: (definition - turn) % len(spec.definitions))
    steady = spec.strategy is not Strategy.BAYESIAN
    if steady or number <= FAIR_START * len(spec.definitions) or len(open_to) == 1:
        return in_turn
    chances = _chances(records, spec.sign, open_to)
    rng = np.random.default_rng([spec.seed, number, _SALT])
    return open_to[int(rng.choice(len(open_to), p=chances))]


def _chances(records: Mapping[int, Record], sign: float, open_to: list[int]) -> Floats:
    """Probabilities from the rate of hits, with a hit and a miss added to each (Laplace)."""
    ended = [r for r in records.values() if not r.live]
    values = sorted(sign * r.value for r in ended if r.value is not None and state_of(r) is State.GOOD)
    if not values:
        return np.full(len(open_to), 1.0 / len(open_to))
    bar = values[max(0, int(np.ceil(TOP_SHARE * len(values))) - 1)]
    rates = []
    for definition in open_to:
        mine = [r for r in ended if r.definition == definition]
        hits = sum(r.value is not None and state_of(r) is State.GOOD and sign * r.value <= bar for r in mine)
        rates.append((hits + 1) / (len(mine) + 2))
    power = np.square(rates)
    return np.asarray(FLOOR / len(open_to) + (1 - FLOOR) * power / power.sum())
