"""The unit cube: round trips, scales, lattices, and what lies outside."""

from __future__ import annotations

import math
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tunewright.core.lattice import Lattice
from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Parameter, Space
from tunewright.search.axes import MAX_LATTICE, NumericAxis, nearest
from tunewright.search.encode import Cube

SCALES = st.sampled_from(["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"])


@st.composite
def continuous(draw: st.DrawFn) -> ContinuousParameter:
    scale = draw(SCALES)
    low, high = {
        "Logarithmic": (1e-300, 1e300),
        "ReverseLogarithmic": (0.0, 0.9999999),
    }.get(scale, (-1e308, 1e308))
    one, other = draw(st.floats(low, high)), draw(st.floats(low, high))
    return ContinuousParameter(min(one, other), max(one, other), scale)


@st.composite
def integer(draw: st.DrawFn) -> IntegerParameter:
    scale = draw(st.sampled_from(["Auto", "Linear", "Logarithmic"]))
    low = draw(st.integers(1 if scale == "Logarithmic" else -(10**9), 10**9))
    return IntegerParameter(low, low + draw(st.integers(0, 5) | st.integers(0, 10**6)), scale)


CATEGORICAL = st.lists(
    st.text(max_size=4) | st.integers(-5, 5) | st.booleans(), min_size=1, max_size=6, unique_by=lambda v: repr(v)
).map(CategoricalParameter)

SPACES = st.dictionaries(
    st.text(min_size=1, max_size=3), continuous() | integer() | CATEGORICAL, min_size=1, max_size=4
)


@settings(max_examples=150, deadline=None)
@given(parameters=SPACES, seed=st.integers(0, 1000))
def test_drawn_points_are_legal_and_come_back(parameters: dict[str, Parameter], seed: int) -> None:
    space = Space(parameters)
    assume(not space.problems(strict=False))
    cube = Cube(space)
    rows = cube.draw(np.random.default_rng(seed).random((5, cube.d)))
    for row in rows:
        point = cube.decode(row)
        assert space.contains(point)
        again = cube.encode(point)
        assert np.isfinite(again).all()
        assert cube.decode(again) == point or np.allclose(again, row, atol=1e-6)


@settings(max_examples=100, deadline=None)
@given(parameters=SPACES)
def test_both_ends_are_decoded_exactly(parameters: dict[str, Parameter]) -> None:
    space = Space(parameters)
    assume(not space.problems(strict=False))
    cube = Cube(space)
    for end in (0.0, 1.0):
        point = cube.decode(np.where(cube.is_categorical, 0.0, end))
        for name, parameter in parameters.items():
            if not isinstance(parameter, CategoricalParameter):
                assert point[name] == (parameter.min_value if end == 0.0 else parameter.max_value)


@pytest.mark.parametrize(
    ("parameter", "value", "unit"),
    [
        (ContinuousParameter(2.0, 4.0), 3.0, 0.5),
        (ContinuousParameter(1e-4, 1.0, "Logarithmic"), 1e-2, 0.5),
        (ContinuousParameter(0.0, 0.99, "ReverseLogarithmic"), 0.9, 0.5),
        (ContinuousParameter(1e-4, 1.0), 1e-2, 0.5),
        (ContinuousParameter(2.0, 4.0), 5.0, 1.5),
        (ContinuousParameter(1.0, 10.0, "Logarithmic"), 0.1, -1.0),
        (IntegerParameter(0, 4), 1, 0.25),
        (ContinuousParameter(3.0, 3.0), 3.0, 0.5),
        (CategoricalParameter(["a", True, 1.5]), True, 1.0),
    ],
)
def test_scales(parameter: Parameter, value: object, unit: float) -> None:
    assert Cube(Space({"p": parameter})).encode({"p": value})[0] == pytest.approx(unit)  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (ContinuousParameter(1.0, 10.0, "Logarithmic"), 0.0),
        (ContinuousParameter(0.0, 0.9, "ReverseLogarithmic"), 1.0),
        (CategoricalParameter(["a"]), "b"),
        (CategoricalParameter([1]), True),
        (ContinuousParameter(0.0, 1.0), "x"),
    ],
)
def test_what_has_no_place_is_nan(parameter: Parameter, value: object) -> None:
    assert math.isnan(Cube(Space({"p": parameter})).encode({"p": value})[0])  # type: ignore[dict-item]


def test_categoricals_are_one_apart() -> None:
    cube = Cube(Space({"x": ContinuousParameter(0, 1), "k": CategoricalParameter(["a", "b", "c"])}))
    features = cube.features(np.array([[0.25, 0.0], [0.25, 2.0], [0.25, 0.0]]))
    gaps = np.square(features[:, None] - features[None]).sum(axis=2)
    assert gaps[0].tolist() == pytest.approx([0.0, 1.0, 0.0])
    assert cube.group.tolist() == [0, 1, 1, 1]


def test_integers_are_drawn_evenly_on_a_linear_scale_and_by_cells_on_a_logarithmic_one() -> None:
    even = Cube(Space({"n": IntegerParameter(1, 4)})).draw(np.linspace(0, 1, 4000, endpoint=False)[:, None])
    assert np.unique(even, return_counts=True)[1].tolist() == [1000] * 4
    cube = Cube(Space({"n": IntegerParameter(1, 4, "Logarithmic")}))
    shares = cube.axes[0].shares()
    assert shares.sum() == pytest.approx(1.0)
    assert shares.tolist() == pytest.approx([math.log((n + 0.5) / (n - 0.5)) / math.log(9) for n in range(1, 5)])


@pytest.mark.parametrize("size", [3, MAX_LATTICE, MAX_LATTICE + 1])
def test_counting_order_is_a_bijection(size: int) -> None:
    cube = Cube(Space({"k": CategoricalParameter(["a", "b"]), "n": IntegerParameter(5, 4 + size)}))
    assert cube.size == 2 * size
    for index in (0, 1, size - 1, size, 2 * size - 1):
        row = cube.row_at(index)
        assert cube.index_of(row) == index
        assert cube.index_of(cube.encode(cube.decode(row))) == index


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9, unique=True), st.lists(st.floats(0, 1), min_size=1))
def test_nearest(grid: list[float], units: list[float]) -> None:
    ascending = np.array(sorted(grid))
    found = ascending[nearest(ascending, np.array(units))]
    assert (np.abs(found - units) <= np.abs(ascending[:, None] - units).min(axis=0) + 1e-12).all()


WIDE = st.sampled_from(
    [
        IntegerParameter(1, 1_000_000),
        IntegerParameter(-50_000, 50_000),
        IntegerParameter(10**17, 10**18 + 7, step=13),
        IntegerParameter(1, 10**40, "Logarithmic"),
        ContinuousParameter(0, 1, step=1e-6),
        ContinuousParameter(1e-4, 10, "Logarithmic", step=1e-5),
        ContinuousParameter(0.1234567890123456, 0.9, step=1.1e-5),
        ContinuousParameter(0, 0.999, "ReverseLogarithmic", step=1e-5),
        ContinuousParameter(-1e300, 1e300, step=1e290),
    ]
)


@settings(max_examples=150, deadline=None)
@given(parameter=WIDE, seed=st.integers(0, 1000), index=st.integers(0, 10**30))
def test_many_values_at_once_are_those_found_one_by_one(
    parameter: ContinuousParameter | IntegerParameter, seed: int, index: int
) -> None:
    axis, lattice = NumericAxis.of(parameter), parameter.lattice()
    assert lattice is not None and axis.steps is not None and lattice.size > MAX_LATTICE
    # Halfway between two values is where rounding could choose the other one.
    first, step = lattice.first, lattice.step
    halves = [float(first + (index % lattice.size + part) * step) for part in (0.0, 0.5, 0.4999999999, 0.5000000001)]
    halves = [min(max(number, float(lattice.value(0))), float(lattice.last)) for number in halves]
    units = np.concatenate([[-0.5, 0.0, 1.0, 1.5], np.random.default_rng(seed).random(8), list(map(axis.unit, halves))])
    assert axis.steps.nearest(np.array(halves)).tolist() == [lattice.nearest(number) for number in halves]
    assert axis.numbers(units).tolist() == [float(axis.value(float(unit))) for unit in units]
    inside = np.clip(units, 0.0, 1.0)
    assert axis.snap(units).tolist() == [axis.unit(axis.value(float(unit))) for unit in inside]


def test_fine_steps_are_seldom_looked_up_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    cube = Cube(Space({"n": IntegerParameter(1, 1_000_000), "x": ContinuousParameter(0, 1, step=1e-6)}))
    asked = []
    alone = Lattice.nearest
    monkeypatch.setattr(Lattice, "nearest", lambda self, value: asked.append(value) or alone(self, value))
    rows = cube.draw(np.random.default_rng(0).random((1000, 2)))
    assert np.array_equal(cube.snap(rows), rows)
    assert len(asked) < 20


@pytest.mark.parametrize("lowest", [1, 10**9, 10**12, 2**50 - 11])
def test_a_narrow_logarithmic_range_has_all_its_values(lowest: int) -> None:
    parameter = IntegerParameter(lowest, lowest + 10, "Logarithmic")
    axis = NumericAxis.of(parameter)
    assert [axis.value(axis.at(place)) for place in range(11)] == list(range(lowest, lowest + 11))
    assert len(set(axis.draw(np.random.default_rng(1).random(500)))) == 11


def test_a_space_with_rules_is_counted_by_many_threads_at_once() -> None:
    parameters = {"k": CategoricalParameter(["a", "b"]), "n": IntegerParameter(1, 4000)}
    cube = Cube(Space(parameters, forbidden=("n > 3000 and k == a",)))
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda index: cube.row_at(index).tolist(), [*range(0, 6000, 50)] * 4))
    finally:
        sys.setswitchinterval(before)
    assert found[:120] * 4 == found
