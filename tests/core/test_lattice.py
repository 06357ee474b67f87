"""Stepped ranges hold exactly the numbers that a person would list."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.core.lattice import lattice_of
from tunewright.core.space import ContinuousParameter, IntegerParameter, Space


def test_steps_are_decimal() -> None:
    lattice = lattice_of(0.0, 0.7, 0.1, False)
    assert [lattice.value(index) for index in range(lattice.size)] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    batch = IntegerParameter(16, 256, step=16).lattice()
    assert [batch.value(index) for index in range(batch.size)] == list(range(16, 257, 16))
    assert IntegerParameter(1, 10, step=4).lattice().last == 9


def test_what_a_stepped_range_contains() -> None:
    rate = ContinuousParameter(1e-4, 1.0, "Logarithmic", step=1e-4)
    assert rate.contains(0.0003) and rate.contains(1.0) and not rate.contains(0.00035)
    assert not rate.contains(0.1 + 0.2)
    batch = IntegerParameter(16, 256, step=16)
    assert batch.contains(32) and not batch.contains(40) and not batch.contains("32")


@given(
    st.decimals(-1000, 1000, places=3), st.decimals("0.001", 50, places=3), st.integers(0, 400), st.floats(-2000, 2000)
)
def test_every_value_knows_its_place(low: object, step: object, index: int, anywhere: float) -> None:
    first, width = float(str(low)), float(str(step))
    lattice = lattice_of(first, first + 300 * width, width, False)
    index %= lattice.size
    value = lattice.value(index)
    assert lattice.index(value) == lattice.nearest(value) == index
    assert lattice.below(value) == index
    gaps = [abs(lattice.value(place) - anywhere) for place in range(lattice.size)]
    assert math.isclose(gaps[lattice.nearest(anywhere)], min(gaps), rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        (IntegerParameter(0, 8, step=9), "the step 9 is larger than the range from 0 to 8"),
        (IntegerParameter(0, 8, step=1.5), "an integer range needs a whole step, got 1.5"),
        (ContinuousParameter(0, 1, step=0), "its step must be a number above 0, got 0"),
        (ContinuousParameter(0, 1, step=math.nan), "its step must be a number above 0, got nan"),
        (ContinuousParameter(0, 1, step=True), "its step must be a number above 0, got True"),
        (ContinuousParameter(0, 1, step="x"), "its step must be a number above 0, got 'x'"),  # type: ignore[arg-type]
    ],
)
def test_bad_steps(parameter: ContinuousParameter | IntegerParameter, words: str) -> None:
    problems = Space({"x": parameter}).problems(strict=False)
    assert [problem.path for problem in problems] == ["x"]
    assert words in problems[0].message


def test_strict_knows_no_steps() -> None:
    problems = Space({"x": IntegerParameter(0, 8, step=2)}).problems(strict=True)
    assert [(p.path, p.extended_allows) for p in problems] == [("x", True)]
