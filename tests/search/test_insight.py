"""Convergence and importance: what they say, and when they say nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tunewright.core.history import Appeared, Ended, History
from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Space
from tunewright.core.spec import Definition, Direction, JobSpec, Objective, Strategy, Training
from tunewright.search import Engine, Search
from tunewright.search.convergence import hopeless, stagnant
from tunewright.search.importance import importance, ranks_of

SPACE = {
    "big": ContinuousParameter(0, 1),
    "small": ContinuousParameter(0, 1),
    "none": ContinuousParameter(0, 1),
    "kind": CategoricalParameter(["a", "b"]),
    "fixed": IntegerParameter(3, 3),
}


def sampled(count: int, bad: float | None = None, seed: int = 0) -> Search:
    search = Search(SPACE, strategy="Random", seed=seed)
    for number in range(count):
        v = search.ask()
        value = 4 * float(v.values["big"]) + 0.5 * float(v.values["small"]) + 0.8 * (v.values["kind"] == "a")
        search.tell(v.number, bad if bad is not None and number % 9 == 4 else value)
    return search


@pytest.mark.parametrize("bad", [None, math.inf, math.nan])
def test_what_matters_comes_first_and_shares_sum_to_one(bad: float | None) -> None:
    found = importance(sampled(60, bad).history)
    assert found[0].name == "big" and (bad is not None or found[1].name == "kind")
    assert sum(entry.share for entry in found) == pytest.approx(1.0)
    assert sum(entry.check for entry in found) == pytest.approx(1.0)
    shares = {entry.name: entry.share for entry in found}
    assert shares["big"] > 0.5 and shares["none"] < 0.1 and shares["fixed"] == 0.0
    assert max(found, key=lambda entry: entry.check).name == "big"


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_results_that_are_not_finite_are_left_out(bad: float) -> None:
    with_bad, without = sampled(60, bad), Search(SPACE, strategy="Random")
    for record in with_bad.history.records.values():
        if record.value is not None:
            without.add(record.point, record.value)
    assert with_bad.importance() == without.importance()


def test_few_results_say_nothing() -> None:
    assert set(sampled(4).importance().values()) == {0.0}


def test_constant_results_say_nothing() -> None:
    search = Search(SPACE, strategy="Random")
    for _ in range(20):
        search.tell(search.ask().number, 1.0)
    assert set(search.importance().values()) == {0.0}


def test_all_failed_says_nothing() -> None:
    search = Search(SPACE, strategy="Random")
    for _ in range(20):
        search.tell(search.ask().number, None)
    assert set(search.importance().values()) == {0.0}


def test_importance_is_the_same_twice() -> None:
    assert sampled(30).importance() == sampled(30).importance()


def test_a_solved_problem_converges_and_an_open_one_does_not() -> None:
    space = {"x": ContinuousParameter(0, 1), "y": ContinuousParameter(0, 1)}
    search, when = Search(space, seed=0), None
    for n in range(60):
        v = search.ask()
        search.tell(v.number, 1.0 + (float(v.values["x"]) - 0.3) ** 2 + (float(v.values["y"]) - 0.6) ** 2)
        if search.converged:
            when = n
            break
    assert when is not None and when >= 14
    assert search.best is not None and search.best.value < 1.01


def test_what_parents_found_does_not_make_a_job_converge() -> None:
    space = {"x": ContinuousParameter(0, 1)}
    parent = [({"x": 0.3 + k / 1000}, 1.0 + (k / 1000) ** 2) for k in range(60)]
    child = Search(space, parents=[parent], warm_start_type="IdenticalDataAndAlgorithm", seed=3)
    for _ in range(22):
        one = child.ask()
        assert not child.converged
        child.tell(one.number, 1.0 + (float(one.values["x"]) - 0.3) ** 2)
    for _ in range(20):
        one = child.ask()
        child.tell(one.number, 1.0 + (float(one.values["x"]) - 0.3) ** 2)
    assert child.converged


def test_several_definitions_converge_together() -> None:
    space = Space({"x": ContinuousParameter(0, 1)})
    parts = tuple(Definition(space, Objective("m", Direction.MINIMIZE), Training(), name) for name in ("a", "b"))
    history = History(JobSpec("j", parts, Strategy.RANDOM))
    engine, said = Engine(), []
    for number in range(1, 60):
        answer = engine.propose(history, number, 1)
        said.append(answer.converged)
        one = answer.proposals[0]
        value = 1.0 if number > 10 else 20.0 - number
        history.apply([Appeared(number, one.definition, one.point), Ended(number, value, False, False, False)])
    assert not any(said[:30]) and said[-1]


def test_steady_progress_is_not_convergence() -> None:
    falling = 2.0 ** -np.arange(40.0)
    assert not stagnant(falling, 2, model=True)
    assert stagnant(np.concatenate([falling[:10], np.ones(30)]), 2, model=True)


def test_nothing_is_said_with_few_results() -> None:
    assert not stagnant(np.ones(13), 2, model=True)
    assert not stagnant(np.full(40, math.nan), 2, model=True)


def test_hope_is_measured_in_the_objectives_units() -> None:
    values = np.array([10.0, 11.0, 12.0, math.nan])
    assert hopeless(math.log(0.09), 1.0, values)
    assert not hopeless(math.log(0.11), 1.0, values)
    assert not hopeless(math.log(0.09), 100.0, values)


def test_ranks_share_ties() -> None:
    assert ranks_of(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [2.5, 0.0, 2.5, 1.0]


def test_a_search_whose_results_are_all_equal_converges() -> None:
    search = Search({"x": ContinuousParameter(0, 1)}, seed=0)
    for _ in range(60):
        search.tell(search.ask().number, 0.0)
    assert search.converged
