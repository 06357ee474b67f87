"""Objectives that come in steps, as error rates on few examples do."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright import ContinuousParameter, Search
from tunewright.search.bayesian.transforms import model_targets, step_of, unit_of

THIRD = 1 / 3


@pytest.mark.parametrize(
    ("targets", "step"),
    [
        pytest.param([0.1, 0.1, 0.1, 0.3, 0.4, 0.5, 0.6, 0.7], 0.2, id="steps"),
        pytest.param([0.1, 0.1, 0.1, 0.3, 0.35, 0.36, 0.37, 0.38, 0.39], 0.05, id="the least step counts"),
        pytest.param([0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], 0.0, id="one pair may be chance"),
        pytest.param([0.1, 0.2, 0.3, 0.4, 0.9, 0.9, 0.9, 0.9], 0.0, id="the worse half has no say"),
        pytest.param([0.1, 0.1, 0.1, 0.1, 0.1, 0.7, 0.8, 0.9], 0.6, id="all of the better half are equal"),
        pytest.param([THIRD, np.nextafter(THIRD, 1), THIRD, 0.5, 0.6, 0.7, 0.8], 0.5 - THIRD, id="but for rounding"),
        pytest.param([0.1] * 6, 0.0, id="all equal"),
        pytest.param([0.1], 0.0, id="one"),
        pytest.param([], 0.0, id="none"),
    ],
)
def test_the_step_is_the_least_between_good_objectives_of_which_some_are_equal(
    targets: list[float], step: float
) -> None:
    assert step_of(np.array(targets)) == pytest.approx(step, abs=1e-12)


@given(
    st.lists(st.integers(0, 12), min_size=12, max_size=40),
    st.sampled_from([1e-6, 0.25, 3.0, 1e9]),
    st.sampled_from([-8.0, 0.0, 5.0]),
)
def test_a_step_of_the_targets_is_one_of_the_objectives(numbers: list[int], size: float, start: float) -> None:
    values = size * (np.array(numbers, dtype=float) + start)
    step = step_of(model_targets(values))
    good = np.unique(values[values <= np.median(values)])
    if step and len(good) > 1:
        assert step * unit_of(values) == pytest.approx(np.diff(good).min(), rel=1e-6)
    elif step:
        assert (values == values.min()).sum() > 2


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=40, unique=True))
def test_where_no_two_are_equal_there_are_no_steps(targets: list[float]) -> None:
    distinct = np.unique(np.round(targets, 3))  # a thousandth is more than rounding in any such range
    assert step_of(distinct) == 0.0


def valleys(point: np.ndarray) -> float:
    """Two valleys, the narrower of which is deeper by one step."""
    broad = 0.2 + np.square(point - 0.3).sum()
    deep = 4.0 * np.square(point - 0.8).sum()
    return math.floor(float(min(broad, deep)) * 10) / 10


def test_once_a_plateau_is_known_trials_go_elsewhere() -> None:
    """Of the last 80 trials of four searches 62 were as good as the best before and no better without the rule."""
    space = {f"x{j}": ContinuousParameter(0, 1, "Linear") for j in range(3)}
    idle = 0
    for seed in range(4):
        search = Search(space, objective_type="Minimize", seed=seed)
        values = []
        for _ in range(50):
            trial = search.ask()
            values.append(valleys(np.array([trial.values[name] for name in space])))
            search.tell(trial.number, values[-1])
        idle += sum(value == min(values[:30]) for value in values[30:])
    assert idle < 52
