"""Random and Grid: sequences by number, and finite spaces without repeats."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Parameter
from tunewright.search import Exhausted, Search

CELLS: dict[str, Parameter] = {
    "a": CategoricalParameter(["x", "y", "z"]),
    "b": IntegerParameter(1, 4),
    "c": CategoricalParameter([True, 1, "one"]),
}


def drain(search: Search, most: int = 10_000) -> list[tuple[object, ...]]:
    found = []
    for _ in range(most):
        try:
            suggestion = search.ask()
        except Exhausted:
            break
        found.append(tuple((type(v), v) for v in suggestion.values.values()))
        search.tell(suggestion.number, 1.0)
    return found


@pytest.mark.parametrize("strategy", ["Random", "Grid"])
def test_a_finite_space_is_used_up_once(strategy: str) -> None:
    found = drain(Search(CELLS, strategy=strategy, seed=3))
    assert len(found) == len(set(found)) == 36


def test_a_small_integer_range_has_no_repeats_and_says_exhausted() -> None:
    search = Search({"x": IntegerParameter(1, 5)}, strategy="Random", seed=0)
    assert sorted(search.ask().values["x"] for _ in range(5)) == [1, 2, 3, 4, 5]
    with pytest.raises(Exhausted, match=r"exhausted \(5\)"):
        search.ask()


def test_grid_counts_in_the_order_given() -> None:
    search = Search({"a": CategoricalParameter(["q", "p"]), "b": IntegerParameter(1, 3)}, strategy="Grid")
    points = [tuple(search.ask().values.values()) for _ in range(6)]
    assert points == [("q", 1), ("q", 2), ("q", 3), ("p", 1), ("p", 2), ("p", 3)]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), pattern=st.lists(st.integers(1, 4), min_size=1, max_size=8))
def test_the_kth_random_configuration_does_not_depend_on_parallelism(seed: int, pattern: list[int]) -> None:
    space = {"x": ContinuousParameter(1e-4, 1.0), **CELLS}
    one = Search(space, strategy="Random", seed=seed)
    sequential = []
    for _ in range(sum(pattern)):
        suggestion = one.ask()
        sequential.append(suggestion.values)
        one.tell(suggestion.number, float(suggestion.number))
    other = Search(space, strategy="Random", seed=seed)
    parallel = []
    for batch in pattern:
        asked = [other.ask() for _ in range(batch)]
        parallel += [s.values for s in asked]
        for suggestion in reversed(asked):
            other.tell(suggestion.number, -float(suggestion.number))
    assert parallel == sequential


def test_points_from_elsewhere_are_not_proposed_again() -> None:
    search = Search({"x": IntegerParameter(1, 5)}, strategy="Random", seed=0)
    for value in (2, 4, 99):
        search.add({"x": value}, 1.0)
    assert sorted(search.ask().values["x"] for _ in range(3)) == [1, 3, 5]


@pytest.mark.parametrize("strategy", ["Random", "Grid"])
def test_a_large_integer_range_is_finite_too(strategy: str) -> None:
    found = drain(Search({"x": IntegerParameter(0, 9_999)}, strategy=strategy, seed=1), 600)
    assert len(found) == len(set(found)) == 600


def test_random_integers_follow_their_scaling() -> None:
    search = Search({"x": IntegerParameter(1, 10**9, "Logarithmic")}, strategy="Random", seed=5)
    small = sum(int(search.ask().values["x"]) < 31_623 for _ in range(400))
    assert 150 < small < 250
