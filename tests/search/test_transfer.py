"""Warm start: pooled results, transfer between tasks, and parents that mislead."""

from __future__ import annotations

import numpy as np
import pytest

from tunewright.core.errors import Invalid
from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Parameter, Space
from tunewright.core.spec import Training
from tunewright.search import Exhausted, Search
from tunewright.search.encode import Cube
from tunewright.search.parents import Parent, read_parent
from tunewright.search.transfer import WarmStarts, make_task, promising_row

SPACE = {
    "x": ContinuousParameter(1e-4, 1.0, "Logarithmic"),
    "y": ContinuousParameter(0.0, 1.0),
    "z": ContinuousParameter(0.0, 1.0),
    "kind": CategoricalParameter(["a", "b", "c"]),
}


def value(v: dict[str, object], shift: float = 0.0) -> float:
    kind = {"a": 0.3, "b": 0.0, "c": 0.5}[str(v["kind"])]
    x, y, z = np.log10(float(str(v["x"]))), float(str(v["y"])), float(str(v["z"]))
    return float(((x + 2.2 + shift) / 4) ** 2 + (y - 0.7) ** 2 + (z - 0.2 - shift) ** 2 + kind)


def play(search: Search, count: int, shift: float = 0.0, sign: float = 1.0) -> float:
    for _ in range(count):
        suggestion = search.ask()
        search.tell(suggestion.number, sign * value(dict(suggestion.values), shift))
    assert search.best is not None
    return search.best.value


def parent(seed: int, shift: float, sign: float = 1.0, count: int = 30) -> Search:
    made = Search(SPACE, strategy="Random", seed=seed)
    play(made, count, shift, sign)
    return made


def test_related_parents_save_the_beginning() -> None:
    parents = [parent(seed, shift) for seed, shift in ((11, 0.1), (12, -0.1))]
    warm = [play(Search(SPACE, seed=seed, parents=parents), 4) for seed in range(3)]
    cold = [play(Search(SPACE, seed=seed), 4) for seed in range(3)]
    assert np.mean(warm) < 0.5 * np.mean(cold)


def test_parents_that_say_the_contrary_are_understood() -> None:
    hostile = [parent(seed, 0.0, sign=-1.0) for seed in (11, 12)]
    warm = [play(Search(SPACE, seed=seed, parents=hostile), 10) for seed in range(3)]
    cold = [play(Search(SPACE, seed=seed), 10) for seed in range(3)]
    assert np.mean(warm) < 0.5 * np.mean(cold)


def test_parents_that_say_nothing_are_left_behind() -> None:
    noise = np.random.default_rng(7)
    strangers = [Search(SPACE, strategy="Random", seed=seed) for seed in (11, 12)]
    for stranger in strangers:
        for _ in range(30):
            stranger.tell(stranger.ask().number, float(noise.random()))
    warm = [play(Search(SPACE, seed=seed, parents=strangers), 30) for seed in range(3)]
    assert max(warm) < 0.02


def test_the_second_trial_owes_the_parents_nothing() -> None:
    warm, cold = Search(SPACE, seed=3, parents=[parent(11, 0.1), parent(12, -0.1)]), Search(SPACE, seed=3)
    first, second = warm.ask(), warm.ask()
    centre = cold.ask()
    assert second.values == centre.values != first.values


def test_trials_at_once_go_to_different_promising_places() -> None:
    search = Search(SPACE, seed=3, parents=[parent(11, 0.1), parent(12, -0.1)])
    points = [dict(search.ask().values) for _ in range(6)]
    rows = np.array([Cube(Space(dict(SPACE))).encode(point) for point in points])
    gaps = np.abs(rows[:, None] - rows).max(axis=2) + np.eye(6)
    assert gaps.min() > 0.1
    promised = sorted(value(point) for place, point in enumerate(points) if place != 1)
    assert promised[0] < 0.1 and promised[-1] < 0.7


def test_one_parent_unlike_the_others_does_not_move_the_first_trial() -> None:
    cube, rng = (
        Cube(Space({"x": ContinuousParameter(0.0, 1.0), "y": ContinuousParameter(0.0, 1.0)})),
        np.random.default_rng(0),
    )
    tasks = []
    for sign in (1, 1, -1):
        rows = rng.random((40, 2))
        tasks.append(make_task(Parent(rows, sign * np.square(rows - 0.3).sum(axis=1)), cube, 0))
    row = promising_row(cube, tasks, np.empty((0, 2)), rng)
    assert np.abs(row - 0.3).max() < 0.1


def test_parents_that_are_a_little_wrong_do_not_keep_the_job_from_the_last_digits() -> None:
    parents = [parent(seed, shift) for seed, shift in ((11, 0.25), (12, 0.3), (13, 0.2))]
    warm = [play(Search(SPACE, seed=seed, parents=parents), 25) for seed in range(4)]
    assert np.mean(warm) < 2e-3


@pytest.mark.parametrize("kind", ["IdenticalDataAndAlgorithm", "TransferLearning"])
def test_a_restart_with_parents_changes_nothing(kind: str) -> None:
    parents = [parent(11, 0.1), parent(12, 0.0)]
    one = Search(SPACE, seed=1, parents=parents, warm_start_type=kind)
    other = Search(SPACE, seed=1, parents=parents, warm_start_type=kind)
    first = [one.ask().values for _ in range(3)]
    second = []
    for _ in range(3):
        # A second engine that has seen nothing but the history.
        fresh = Search(SPACE, seed=1, parents=parents, warm_start_type=kind)
        for record in other.history.records.values():
            fresh.history.records[record.number] = record
        suggestion = fresh.ask()
        other.history.records[suggestion.number] = fresh.history.records[suggestion.number]
        second.append(suggestion.values)
    assert first == second


def test_identical_parents_are_own_results_and_not_repeated() -> None:
    space = {"a": IntegerParameter(0, 2), "b": IntegerParameter(0, 2)}
    old = Search(space, strategy="Grid")
    tried = []
    for _ in range(5):
        suggestion = old.ask()
        tried.append(tuple(suggestion.values.values()))
        old.tell(suggestion.number, float(sum(map(float, suggestion.values.values()))))
    new = Search(space, seed=0, parents=[old], warm_start_type="IdenticalDataAndAlgorithm")
    fresh = [tuple(new.ask().values.values()) for _ in range(4)]
    assert not set(fresh) & set(tried)
    again = [tuple(new.ask().values.values()) for _ in range(5)]
    assert set(again) == set(tried)
    with pytest.raises(Exhausted):
        new.ask()


def test_a_parent_that_went_on_is_read_again() -> None:
    old = parent(11, 0.1, count=5)
    new = Search(SPACE, seed=1, parents=[old], warm_start_type="IdenticalDataAndAlgorithm")
    cube, starts = Cube(new.history.spec.definitions[0].space), WarmStarts()
    first = starts.of(new.history, cube)
    assert starts.of(new.history, cube) is first, "and not before"
    play(old, 1, 0.1)
    assert len(first.pooled.values) == 5
    assert len(starts.of(new.history, cube).pooled.values) == 6


def test_parents_with_other_ranges_are_read_unclipped() -> None:
    old = Search({"x": ContinuousParameter(0.0, 10.0)}, strategy="Random", seed=0)
    old.add({"x": 8.0}, 1.0)
    old.add({"x": 1.0}, 2.0)
    read = read_parent(
        old.history, Cube(Search({"x": ContinuousParameter(0.0, 2.0)}).history.spec.definitions[0].space), 1
    )
    assert read.rows[:, 0].tolist() == [4.0, 0.5]
    new = Search({"x": ContinuousParameter(0.0, 2.0)}, parents=[old], warm_start_type="IdenticalDataAndAlgorithm")
    for _ in range(6):
        suggestion = new.ask()
        assert 0.0 <= float(suggestion.values["x"]) <= 2.0
        new.tell(suggestion.number, float(suggestion.values["x"]))


def test_values_that_have_no_place_are_left_out() -> None:
    old = Search({"k": CategoricalParameter(["1", "2", "9"])}, strategy="Random", seed=0)
    for text in ("1", "2", "9"):
        old.add({"k": text}, 1.0)
    old.add({"k": "1"}, None)
    cube = Cube(Search({"k": CategoricalParameter([1, 2])}).history.spec.definitions[0].space)
    read = read_parent(old.history, cube, 1)
    assert read.rows[:, 0].tolist() == [0.0, 1.0, 0.0]
    assert np.isnan(read.values).tolist() == [False, False, True]


def test_what_was_static_in_a_parent_is_read_from_there() -> None:
    old = Search({"x": ContinuousParameter(0, 1)}, strategy="Random")
    old.add({"x": 0.5}, 1.0)
    training = old.history.spec.definitions[0]
    object.__setattr__(training, "training", Training(static={"units": "4"}))
    cube = Cube(
        Search({"x": ContinuousParameter(0, 1), "units": IntegerParameter(0, 8)}).history.spec.definitions[0].space
    )
    assert read_parent(old.history, cube, 1).rows.tolist() == [[0.5, 0.5]]


def result(how: str, rng: np.random.Generator) -> float | None:
    """One result of a job that goes in a certain way."""
    return {
        "well": float(rng.random()),
        "never": None,
        "the same": 1.0,
        "now and then": float(rng.random()) if rng.random() < 0.5 else float("nan"),
        "enormous": 1e300 * float(rng.random()),
    }[how]


@pytest.mark.parametrize("pending", [1, 7])
@pytest.mark.parametrize("own", ["well", "never", "the same", "now and then", "enormous"])
def test_whatever_parents_and_job_have_seen_there_is_a_proposal(own: str, pending: int) -> None:
    rng = np.random.default_rng(pending)
    parents = []
    for how, count in (("never", 5), ("the same", 4), ("well", 1), ("now and then", 12), ("enormous", 12)):
        made = Search(SPACE, strategy="Random", seed=count)
        for _ in range(count):
            made.tell(made.ask().number, result(how, rng))
        parents.append(made)
    search = Search(SPACE, seed=1, parents=parents)
    live: list[int] = []
    for _ in range(16):
        suggestion = search.ask()
        assert all(SPACE[name].contains(value) for name, value in suggestion.values.items())
        live.append(suggestion.number)
        if len(live) == pending:
            search.tell(live.pop(int(rng.integers(pending))), result(own, rng))
    points = [tuple(record.point.values()) for record in search.history.records.values()]
    assert len(set(points)) == len(points)


def outside(search: Search, count: int) -> float:
    """The least distance from the optimum at the edge x = .5 of [.5, 1], by a search of that range."""
    for _ in range(count):
        one = search.ask()
        x, y = float(one.values["x"]), float(one.values["y"])
        search.tell(one.number, 2 * x + (y - 0.12) ** 2)
    assert search.best is not None
    return search.best.value - 1.0


def test_better_results_outside_the_ranges_do_not_end_the_search_inside() -> None:
    space = {"x": ContinuousParameter(0.5, 1.0), "y": ContinuousParameter(0.0, 1.0)}
    far = [({"x": k / 60, "y": (7 * k % 30) / 30}, 2 * k / 60 + ((7 * k % 30) / 30 - 0.12) ** 2) for k in range(30)]
    child = Search(space, parents=[far], warm_start_type="IdenticalDataAndAlgorithm", seed=2)
    assert outside(child, 25) < 0.002 and not child.converged
    told = Search(space, seed=2)
    for point, value in far:
        told.add(point, value)
    assert outside(told, 25) < 0.002 and not told.converged


def test_results_told_from_one_corner_leave_the_first_looks_elsewhere() -> None:
    space = {name: ContinuousParameter(0.0, 1.0) for name in "abcd"}
    search = Search(space, seed=1)
    for k in range(8):
        search.add({name: 0.9 + 0.01 * k for name in space}, 1.0 + k)
    first = [search.ask().values for _ in range(4)]
    assert {name: 0.5 for name in space} == first[0]
    assert all(max(abs(float(a[n]) - float(b[n])) for n in space) > 0.1 for a in first for b in first if a is not b)


def test_an_identical_parent_goes_the_same_way() -> None:
    space = {"x": ContinuousParameter(0.0, 1.0)}
    other = Search(space, objective_type="Maximize", seed=1)
    for _ in range(5):
        one = other.ask()
        other.tell(one.number, 1 - float(one.values["x"]))
    with pytest.raises(Invalid, match="parents: one of them has the objective type Maximize"):
        Search(space, parents=[other], warm_start_type="IdenticalDataAndAlgorithm")
    child = Search(space, parents=[other], seed=2)
    assert float(child.ask().values["x"]) < 0.5, "the parent's best is where the child's is"


@pytest.mark.parametrize("space", [{"x": ContinuousParameter(0.0, 1.0)}, {"x": IntegerParameter(1, 10)}])
def test_random_does_not_try_again_what_an_identical_parent_has_tried(space: dict[str, Parameter]) -> None:
    """The SDK's helpers carry the parent's seed over, too."""

    def tried(search: Search, count: int) -> list[object]:
        found = []
        for _ in range(count):
            one = search.ask()
            search.tell(one.number, float(one.values["x"]))
            found.append(one.values["x"])
        return found

    old = Search(space, strategy="Random", seed=42)
    known = tried(old, 4)
    new = Search(space, strategy="Random", seed=42, parents=[old], warm_start_type="IdenticalDataAndAlgorithm")
    own = tried(new, 6)
    assert len(set(own)) == 6 and not set(known) & set(own)
    again = Search(space, strategy="Random", seed=42, parents=[old], warm_start_type="IdenticalDataAndAlgorithm")
    assert [again.ask().values["x"] for _ in range(6)] == own, "at any parallelism"
    if isinstance(space["x"], IntegerParameter):
        assert set(tried(new, 4)) == set(known), "the parent's when no other is left"
    other_data = Search(space, strategy="Random", seed=42, parents=[old])
    assert tried(other_data, 4) == known, "with other data they are worth trying"


@pytest.mark.parametrize("width", [1e7, 1e150, 1e300])
@pytest.mark.parametrize("pooled", [True, False], ids=["told", "parent"])
def test_results_however_far_outside_the_ranges_leave_the_search_at_work(width: float, pooled: bool) -> None:
    space = {"x": ContinuousParameter(0.0, 1.0), "lr": ContinuousParameter(1e-4, 1e-1, "Logarithmic")}
    far = [({"x": width * (1 + k % 5), "lr": 10.0 ** (-4 + 3 * k / 20)}, float(k % 7)) for k in range(20)]
    search = Search(space, seed=1, parents=[] if pooled else [far])
    for point, value in far if pooled else ():
        search.add(point, value)
    for _ in range(20):
        one = search.ask()
        search.tell(one, (float(one.values["x"]) - 0.3) ** 2)
    assert search.best is not None and search.best.value < 0.01
    assert sum(search.importance().values()) == pytest.approx(1.0)


@pytest.mark.parametrize("strategy", ["Random", "Hyperband"])
def test_results_outside_the_ranges_do_not_end_a_search_without_a_model(strategy: str) -> None:
    options = {"max_resource": 9} if strategy == "Hyperband" else {}
    search = Search({"x": ContinuousParameter(0.0, 1.0)}, strategy, seed=1, **options)
    for k in range(200):
        search.add({"x": 5.0}, -1.0)
        if k < 12:
            search.tell(search.ask(), 1.0 / (k + 1))
    search.ask()
    assert not search.converged
