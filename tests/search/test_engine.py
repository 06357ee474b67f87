"""The engine's door: several definitions, initial points, installed strategies, ask and tell."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections import Counter
from importlib.metadata import EntryPoint, EntryPoints
from itertools import pairwise
from typing import Any

import pytest

from tunewright.core.errors import Invalid
from tunewright.core.events import Proposal
from tunewright.core.history import Appeared, Ended, History
from tunewright.core.ports import Proposals
from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Space
from tunewright.core.spec import Definition, Direction, JobSpec, Objective, Strategy, Training
from tunewright.core.trial import Verdict
from tunewright.search import Engine, Exhausted, Search
from tunewright.search import strategy as strategies

X = {"x": ContinuousParameter(0.0, 1.0)}


# ---- categories, grids and small ranges as users meet them ----


@pytest.mark.parametrize("parallel", [1, 4])
def test_bayesian_over_categories_alone_never_repeats_and_ends_aloud(parallel: int) -> None:
    cells = {name: CategoricalParameter(["a", "b", "c"]) for name in "xyz"}
    search = Search(cells, seed=1)
    tried: list[tuple[object, ...]] = []
    while len(tried) < 27:
        asked = [search.ask() for _ in range(min(parallel, 27 - len(tried)))]
        for suggestion in asked:
            tried.append(tuple(suggestion.values.values()))
            search.tell(suggestion.number, float(sum(map(ord, map(str, tried[-1])))))
        if len(tried) == 20:
            assert len(set(tried)) == 20
    assert len(set(tried)) == 27
    with pytest.raises(Exhausted):
        search.ask()


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_the_same_seed_gives_the_same_run(strategy: str) -> None:
    def run() -> list[dict[str, object]]:
        search, points = Search(X | {"n": IntegerParameter(1, 50)}, strategy=strategy, seed=42), []
        for _ in range(20):
            suggestion = search.ask()
            points.append(dict(suggestion.values))
            search.tell(suggestion.number, float(suggestion.values["x"]) * float(suggestion.values["n"]))
        return points

    assert run() == run()


@pytest.mark.slow
def test_the_number_of_blas_threads_changes_nothing() -> None:
    script = (
        "from tunewright.search import Search\n"
        "from tunewright.core.space import ContinuousParameter\n"
        "s = Search({f'x{i}': ContinuousParameter(0, 1) for i in range(6)}, seed=3)\n"
        "for _ in range(14):\n"
        "    a = s.ask(); s.tell(a.number, sum((v - 0.3) ** 2 for v in a.values.values()))\n"
        "print(s.ask().values)\n"
    )
    answers = set()
    for threads in ("1", "4"):
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        answers.add(done.stdout)
    assert len(answers) == 1


# ---- several definitions ----


def several(strategy: Strategy, count: int = 3) -> History:
    objective = Objective("m", Direction.MINIMIZE)
    spaces = [Space({f"p{i}": ContinuousParameter(0, 1)}) for i in range(count)]
    definitions = tuple(Definition(space, objective, Training(), name=f"d{i}") for i, space in enumerate(spaces))
    return History(JobSpec("several", definitions, strategy, seed=5))


def drive(history: History, trials: int, batch: int = 1) -> list[Proposal]:
    engine, made = Engine(), []
    while len(made) < trials:
        answer = engine.propose(history, len(made) + 1, batch)
        made += answer.proposals
        history.apply([Appeared(p.number, p.definition, p.point) for p in answer.proposals])
        for p in answer.proposals:
            (x,) = p.point.values()
            history.apply([Ended(p.number, (float(x) - 0.5) ** 2 + p.definition, False, False, False)])
    return made


def test_definitions_start_fairly_and_the_better_one_gets_more() -> None:
    made = drive(several(Strategy.BAYESIAN), 60)
    assert Counter(p.definition for p in made[:15]) == {0: 5, 1: 5, 2: 5}
    later = Counter(p.definition for p in made[15:])
    assert later[0] > 25 and set(later) == {0, 1, 2}
    assert all(set(p.point) == {f"p{p.definition}"} for p in made)


def test_random_definitions_take_turns_at_any_parallelism() -> None:
    one, other = drive(several(Strategy.RANDOM), 12), drive(several(Strategy.RANDOM), 12, batch=4)
    assert one == other
    assert [p.definition for p in one] == [0, 1, 2] * 4


def test_definitions_that_are_used_up_leave_the_others_going() -> None:
    objective = Objective("m", Direction.MINIMIZE)
    sizes = (2, 4)
    definitions = tuple(Definition(Space({"n": IntegerParameter(1, s)}), objective, Training()) for s in sizes)
    history = History(JobSpec("several", definitions, Strategy.GRID, seed=5))
    answer = Engine().propose(history, 1, 10)
    assert answer.exhausted
    assert Counter(p.definition for p in answer.proposals) == {0: 2, 1: 4}


# ---- initial points ----


def test_initial_points_come_first_and_partial_ones_are_completed() -> None:
    space = {**X, "kind": CategoricalParameter(["a", "b"])}
    points = [{"x": 0.25, "kind": "b"}, {"x": "0.5"}]
    search = Search(space, seed=1, options={"initial_points": json.dumps(points)})
    first, second, third = (search.ask().values for _ in range(3))
    assert first == {"x": 0.25, "kind": "b"}
    assert second["x"] == 0.5 and second["kind"] in ("a", "b")
    assert third["x"] not in (0.25, 0.5)


def test_bad_initial_points_are_all_named() -> None:
    told = {"initial_points": json.dumps([{"x": 3.0}, {"y": 1}])}
    for arguments in ({"options": told}, {"initial_points": [{"x": 3.0}, {"y": 1}]}):
        with pytest.raises(Invalid) as refused:
            Search(X, **arguments)  # type: ignore[arg-type]  # one of two ways to say it
        assert [p.path for p in refused.value.problems] == ["initial_points[0].x", "initial_points[1].y"]


# ---- installed strategies ----


class Corner:
    """A third party's strategy."""

    def propose(self, history: History, first: int, count: int) -> Proposals:
        return Proposals(tuple(Proposal(n, {"x": 1.0 / n}) for n in range(first, first + count)))

    def judge(self, history: History, number: int, upto: int) -> Verdict:
        return Verdict(upto >= 2, "enough")


def test_an_installed_strategy_proposes_and_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("corner", f"{__name__}:Corner", strategies.GROUP)
    monkeypatch.setattr(strategies, "entry_points", lambda group: EntryPoints([entry]))
    search = Search(X, strategy="corner")
    assert [search.ask().values["x"] for _ in range(3)] == [1.0, 0.5, 1 / 3]
    assert search.report(1, 1, 0.3) and not search.report(1, 2, 0.2)


def test_an_unknown_strategy_is_refused_with_what_there_is() -> None:
    with pytest.raises(Invalid, match="'Beyesian' is not Bayesian, Random, Grid or Hyperband"):
        Search(X, strategy="Beyesian")


# ---- ask and tell ----


def test_best_is_none_until_a_finite_value_was_told() -> None:
    search = Search(X, objective_type="Maximize")
    assert search.best is None
    search.tell(search.ask().number, None)
    search.tell(search.ask().number, math.nan)
    search.tell(search.ask().number, math.inf)
    assert search.best is None
    third = search.ask()
    search.tell(third.number, -3.0)
    search.tell(search.ask().number, -3.0)
    assert search.best is not None
    assert (search.best.number, search.best.values, search.best.value) == (third.number, third.values, -3.0)


def test_results_are_told_once() -> None:
    search = Search(X)
    number = search.ask().number
    search.tell(number, 1.0)
    with pytest.raises(Invalid, match="has been told"):
        search.tell(number, 2.0)
    with pytest.raises(Invalid, match="never suggested"):
        search.tell(99, 2.0)
    with pytest.raises(Invalid, match="not pending"):
        search.report(number, 1, 2.0)


def test_a_stopped_suggestion_keeps_its_last_value_and_may_be_told_another() -> None:
    search = Search(X, strategy="Random", early_stopping=True)
    for _ in range(3):
        number = search.ask().number
        for epoch in (1, 2, 3):
            assert search.report(number, epoch, 1.0 / epoch)
        search.tell(number, 1 / 3)
    number = search.ask().number
    assert search.report(number, 1, 9.0) and not search.report(number, 2, 8.0)
    assert search.history.records[number].value == 8.0
    search.tell(number, 7.0)
    assert search.history.records[number].value == 7.0


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        Search({"x": ContinuousParameter(2, 1)}, strategy="Hyperband", objective_type="Max", seed=-1)
    assert [p.path for p in refused.value.problems] == ["x", "objective_type", "seed", "max_resource"]


def test_a_suggestion_does_not_hand_out_the_history() -> None:
    search = Search(X)
    suggestion = search.ask()
    dict(suggestion.values)["x"] = 5.0
    suggestion.values["x"] = 5.0  # type: ignore[index]
    assert search.history.records[1].point["x"] != 5.0


def test_later_trials_are_numbered_on() -> None:
    search = Search(X)
    numbers = [search.ask().number, search.add({"x": 0.5}, 1.0), search.ask().number]
    assert all(b == a + 1 for a, b in pairwise(numbers))


def test_results_from_elsewhere_are_checked_by_name() -> None:
    search = Search(X | {"n": IntegerParameter(1, 5), "k": CategoricalParameter(["a"])})
    with pytest.raises(Invalid) as refused:
        search.add({"x": "abc", "k": "b", "z": 1}, 1.0)
    assert sorted(p.path for p in refused.value.problems) == ["k", "n", "x", "z"]
    search.add({"k": "a", "n": 3.0, "x": 1}, 1.0)
    assert search.best is not None and search.best.values == {"x": 1.0, "n": 3, "k": "a"}


def test_a_result_told_after_a_stop_is_what_the_model_learns() -> None:
    search = Search(X, early_stopping=True)
    for value in (1.0, 1.0, 1.0):
        number = search.ask().number
        for epoch in (1, 2, 3):
            search.report(number, epoch, value)
        search.tell(number, value)
    stopped = search.ask().number
    assert search.report(stopped, 1, 9.0) and not search.report(stopped, 2, 9.0)
    other = search.ask().number
    search.tell(stopped, -50.0)
    search.tell(other, 1.0)
    fresh = Engine().propose(search.history, other + 1, 1).proposals[0]
    assert search.ask().values == fresh.point


@pytest.mark.parametrize("value", [2.7, math.inf, math.nan, 10**400, None, "many"])
def test_a_result_from_elsewhere_is_taken_as_it_is_or_not_at_all(value: Any) -> None:
    search = Search({"i": IntegerParameter(0, 9)})
    with pytest.raises(Invalid, match=r"^i: "):
        search.add({"i": value}, 1.0)
    assert search.add({"i": 3.0}, 1.0) == 1 and search.history.records[1].point == {"i": 3}


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_a_range_of_two_neighbouring_numbers_is_searched(strategy: str) -> None:
    low, high = 1e308, math.nextafter(1e308, math.inf)
    search = Search({"x": ContinuousParameter(low, high)}, strategy=strategy)
    for _ in range(4):
        one = search.ask()
        assert one.values["x"] in (low, high)
        search.tell(one.number, 1.0)
