"""`Search` with steps, conditions, forbidden combinations and points to begin with."""

from __future__ import annotations

from typing import Any

import pytest

from tunewright import CategoricalParameter, ContinuousParameter, IntegerParameter, Search
from tunewright.core.errors import Invalid
from tunewright.core.history import Appeared, History
from tunewright.core.space import Space
from tunewright.core.spec import Definition, Direction, JobSpec, Objective, Strategy, Training
from tunewright.search.advisor import Engine
from tunewright.search.asktell import Exhausted

SPACE = {
    "lr": ContinuousParameter(1e-4, 1.0, "Logarithmic"),
    "batch": IntegerParameter(16, 64),
    "opt": CategoricalParameter(["adam", "sgd"]),
    "beta1": ContinuousParameter(0.8, 0.99),
}
RULES: dict[str, Any] = {
    "conditions": {"beta1": "opt == adam"},
    "steps": {"batch": 16},
    "forbidden": ["opt == sgd and lr > 0.1"],
}
POINTS = [{"lr": 0.05, "batch": 32, "opt": "sgd"}, {"beta1": 0.9}, {"lr": 0.5}, {"opt": "sgd", "batch": 48}]


@pytest.mark.parametrize("strategy", ["Bayesian", "Random", "Hyperband"])
@pytest.mark.parametrize("seed", [0, 1])
def test_points_to_begin_with_are_completed_by_the_rules(strategy: str, seed: int) -> None:
    search = Search(SPACE, strategy, seed=seed, max_resource=9, initial_points=POINTS, **RULES)
    space = search.history.spec.definitions[0].space
    asked = [dict(search.ask().values) for _ in range(8)]
    assert all(space.contains(point) for point in asked)
    assert asked[0] == POINTS[0]
    assert asked[1]["beta1"] == 0.9 and asked[1]["opt"] == "adam"
    assert asked[2]["lr"] == 0.5 and asked[2]["opt"] == "adam"
    assert (asked[3]["opt"], asked[3]["batch"]) == ("sgd", 48)
    assert len({str(sorted(point.items())) for point in asked}) == 8


def test_points_to_begin_with_are_part_of_a_grid() -> None:
    grid = {"batch": IntegerParameter(16, 64), "opt": CategoricalParameter(["adam", "sgd"])}
    search = Search(grid, "Grid", initial_points=[{"batch": 48}, {"opt": "sgd", "batch": 64}], steps={"batch": 16})
    asked = [tuple(search.ask().values.values()) for _ in range(8)]
    assert (asked[0][0], asked[1]) == (48, (64, "sgd"))
    assert len(set(asked)) == 8
    with pytest.raises(Exhausted):
        search.ask()


def test_points_tried_already_are_not_tried_again() -> None:
    search = Search(SPACE, "Random", initial_points=[POINTS[0], {"lr": 0.02}], **RULES)
    search.add(POINTS[0], 1.0)
    assert search.ask().values["lr"] == 0.02
    assert search.ask().values["lr"] not in (0.02, 0.05)


def test_what_is_no_range_is_told_with_the_remedy() -> None:
    with pytest.raises(Invalid, match=r"x: \(0, 1\) is not a range. Use ContinuousParameter\(low, high\)"):
        Search({"x": (0, 1)})  # type: ignore[dict-item]
    with pytest.raises(Invalid, match=r"space: .* is not a dictionary of names to ranges"):
        Search([ContinuousParameter(0, 1)])  # type: ignore[arg-type]


def test_a_suggestion_stands_for_its_number() -> None:
    search = Search(SPACE, "Random")
    one, two = search.ask(), search.ask()
    assert search.report(one, 1, 0.5)
    search.tell(one, 0.5)
    search.tell(two.number, 0.7)
    assert search.best is not None and search.best.number == 1
    with pytest.raises(Invalid, match="number: 'x' is neither a suggestion nor its number; use what ask"):
        search.tell("x", 0.5)  # type: ignore[arg-type]


def test_each_definition_begins_with_its_own_points() -> None:
    objective = Objective("loss", Direction.MINIMIZE)
    sizes: tuple[tuple[dict[str, int], ...], ...] = (({"n": 3}, {"n": 7}), ({"n": 5},))
    definitions = tuple(
        Definition(Space({"n": IntegerParameter(1, 9)}), objective, Training(), initial=points) for points in sizes
    )
    history, engine = History(JobSpec("several", definitions, Strategy.RANDOM, seed=5)), Engine()
    for number in range(1, 7):
        [one] = engine.propose(history, number, 1).proposals
        history.apply([Appeared(number, one.definition, one.point)])
    begun = [[r.point["n"] for r in history.records.values() if r.definition == place] for place in (0, 1)]
    assert begun[0][:2] == [3, 7] and begun[1][0] == 5
    assert len(set(begun[0])) == len(set(begun[1])) == 3


def test_results_from_elsewhere_may_leave_out_what_is_not_active() -> None:
    search = Search(SPACE, **RULES)
    search.add({"lr": 0.1, "batch": 16, "opt": "sgd"}, 1.0)
    search.add({"lr": 0.1, "batch": 16, "opt": "sgd", "beta1": 0.9}, 2.0)
    assert ["beta1" in record.point for record in search.history.records.values()] == [False, False]
    with pytest.raises(Invalid, match="beta1: has no value"):
        search.add({"lr": 0.1, "batch": 16, "opt": "adam"}, 1.0)


def test_importance_knows_conditional_parameters() -> None:
    search = Search(SPACE, seed=3, **RULES)
    for _ in range(14):
        asked = search.ask()
        loss = abs(float(asked.values["lr"]) - 0.01) + (0.0 if asked.values["opt"] == "sgd" else 0.5)
        search.tell(asked.number, loss)
    shares = search.importance()
    assert set(shares) == set(SPACE) and sum(shares.values()) == pytest.approx(1.0)


def test_everything_wrong_is_named_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        Search({**SPACE, "n": IntegerParameter(0, 3, step=5)}, conditions={"beta": "x > 1"}, steps={"lrr": 1}, seed=-1)
    assert [p.path for p in refused.value.problems] == ["steps.lrr", "n", "conditions.beta", "conditions.beta", "seed"]
