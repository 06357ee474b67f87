"""Replicates under every strategy: the same configurations, each several times, and a model that learns means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tunewright import CategoricalParameter, ContinuousParameter, IntegerParameter, Search
from tunewright.core.errors import Invalid
from tunewright.core.history import Appeared, Ended, History
from tunewright.core.space import Space
from tunewright.core.spec import Definition, Direction, Hyperband, JobSpec, Objective, Strategy, Training
from tunewright.search.advisor import Engine
from tunewright.search.asktell import Exhausted

SPACE = Space({"x": ContinuousParameter(0.0, 1.0), "k": CategoricalParameter(["a", "b"])})
SMALL = Space({"n": IntegerParameter(1, 3), "k": CategoricalParameter(["a", "b"])})


def spec(space: Space, strategy: Strategy, replicates: int, **changes: Any) -> JobSpec:
    definition = Definition(space, Objective("loss", Direction.MINIMIZE), Training())
    hyperband = Hyperband(1, 9) if strategy is Strategy.HYPERBAND else None
    options = {"replicates": json.dumps(replicates)} if replicates > 1 else {}
    return JobSpec("job", (definition,), strategy, hyperband=hyperband, seed=4, options=options, **changes)


def points(told: JobSpec, batches: list[int]) -> list[tuple[object, ...]]:
    """The points of training jobs that end in batches; their noise depends on the number."""
    engine, history = Engine(), History(told)
    for size in batches:
        answer = engine.propose(history, len(history.records) + 1, size)
        again = Engine().propose(history, len(history.records) + 1, size)
        assert again == answer, "a fresh engine differs"
        for one in answer.proposals:
            value = float(one.number % 2) + len(str(one.point))
            history.apply(
                [Appeared(one.number, one.definition, one.point), Ended(one.number, value, False, False, False)]
            )
        if answer.exhausted:
            break
    return [tuple(record.point.values()) for record in history.records.values()]


@pytest.mark.parametrize("strategy", list(Strategy))
@pytest.mark.parametrize("batches", [[1] * 12, [2] * 6, [5, 4, 3]], ids=["one", "two", "many"])
def test_each_configuration_comes_three_times_in_a_row(strategy: Strategy, batches: list[int]) -> None:
    space = SMALL if strategy is Strategy.GRID else SPACE
    found = points(spec(space, strategy, 3), batches)
    groups = [set(found[at : at + 3]) for at in range(0, 12, 3)]
    assert [len(group) for group in groups] == [1] * 4
    assert len(set(found)) == 4


@pytest.mark.parametrize("strategy", [Strategy.RANDOM, Strategy.GRID])
def test_they_are_the_configurations_of_a_job_without_replicates(strategy: Strategy) -> None:
    single = points(spec(SMALL, strategy, 1), [1] * 5)
    assert points(spec(SMALL, strategy, 2), [3, 2, 4, 1])[::2] == single


def test_a_used_up_space_gives_every_point_its_share() -> None:
    found = points(spec(SMALL, Strategy.GRID, 2), [5] * 9)
    assert len(found) == 12 and len(set(found)) == 6
    engine, history = Engine(), History(spec(SMALL, Strategy.GRID, 2))
    history.apply([Appeared(n, 0, {"n": (n - 1) // 2 % 3 + 1, "k": "ab"[n > 6]}) for n in range(1, 12)])
    assert not engine.propose(history, 11, 1).exhausted or len(history.records) == 12
    last = engine.propose(history, 12, 1)
    assert len(last.proposals) == 1 and not last.exhausted
    history.apply([Appeared(12, 0, last.proposals[0].point)])
    end = engine.propose(history, 13, 2)
    assert end.exhausted and not end.proposals


def test_several_definitions_take_turns_by_configuration() -> None:
    one = spec(SMALL, Strategy.RANDOM, 2)
    told = JobSpec("job", one.definitions * 2, Strategy.RANDOM, seed=4, options=one.options)
    engine, history = Engine(), History(told)
    for number in range(1, 9):
        [proposal] = engine.propose(history, number, 1).proposals
        history.apply([Appeared(number, proposal.definition, proposal.point)])
    assert [record.definition for record in history.records.values()] == [0, 0, 1, 1, 0, 0, 1, 1]


def test_search_learns_means() -> None:
    search = Search({"x": ContinuousParameter(0.0, 1.0)}, "Random", seed=2, replicates=2)
    one, two = search.ask(), search.ask()
    assert one.values == two.values and (one.number, two.number) == (1, 2)
    search.tell(1, 0.0)
    assert search.best is None
    search.tell(2, 4.0)
    three, _ = search.ask(), search.ask()
    search.tell(3, 1.0)
    search.tell(4, 1.5)
    assert search.best is not None and (search.best.number, search.best.value) == (3, 1.25)
    assert search.best.values == three.values != one.values
    with pytest.raises(Invalid, match="replicates: results from elsewhere"):
        search.add({"x": 0.5}, 1.0)
    with pytest.raises(Invalid, match="replicates: 0 is not a whole number >= 1"):
        Search({"x": ContinuousParameter(0.0, 1.0)}, replicates=0)


def test_search_with_points_to_begin_with_and_an_end() -> None:
    space = {"n": IntegerParameter(1, 2)}
    search = Search(space, "Grid", replicates=2, initial_points=[{"n": 2}])
    assert [search.ask().values["n"] for _ in range(4)] == [2, 2, 1, 1]
    with pytest.raises(Exhausted):
        search.ask()
