"""Steps, conditions and forbidden combinations under every strategy: whatever the rules are, proposals keep them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tunewright.core.errors import Invalid
from tunewright.core.history import Appeared, Ended, History
from tunewright.core.space import (
    CategoricalParameter,
    ContinuousParameter,
    IntegerParameter,
    Parameter,
    Space,
)
from tunewright.core.spec import Definition, Direction, Hyperband, JobSpec, Objective, Strategy, Training
from tunewright.search.advisor import Engine
from tunewright.search.encode import Cube
from tunewright.testing.strategy_suite import RULED, RULED_FINITE, bowl, key

STRATEGIES = [(Strategy.RANDOM, {}), (Strategy.BAYESIAN, {}), (Strategy.HYPERBAND, {}), (Strategy.GRID, {})]
STRICT_HYPERBAND = {"hyperband_proposals": '"random"'}


def spec(space: Space, strategy: Strategy, seed: int = 0, **options: str) -> JobSpec:
    definition = Definition(space, Objective("loss", Direction.MINIMIZE), Training())
    hyperband = Hyperband(1, 9) if strategy is Strategy.HYPERBAND else None
    return JobSpec("job", (definition,), strategy, hyperband=hyperband, seed=seed, options=options)


def run(told: JobSpec, count: int, batch: int) -> list[dict[str, object]]:
    """The points of `count` trials that end in batches."""
    engine, history = Engine(), History(told)
    points: list[dict[str, object]] = []
    while len(points) < count:
        answer = engine.propose(history, len(points) + 1, min(batch, count - len(points)))
        for one in answer.proposals:
            history.apply([Appeared(one.number, 0, one.point), Ended(one.number, bowl(one.point), False, False, False)])
            points.append(dict(one.point))
        if answer.exhausted:
            break
    return points


@st.composite
def steps_within(draw: st.DrawFn) -> Parameter:
    kind = draw(st.sampled_from(["integer", "real", "log", "free", "log step"]))
    match kind:
        case "integer":
            low, step = draw(st.integers(-5, 5)), draw(st.integers(1, 3))
            return IntegerParameter(low, low + step * draw(st.integers(0, 4)), step=step)
        case "real":
            return ContinuousParameter(0.0, draw(st.sampled_from([0.3, 1.0])), step=0.1)
        case "log":
            return ContinuousParameter(1e-4, 1.0, "Logarithmic")
        case "log step":
            return ContinuousParameter(0.01, 1.0, "Logarithmic", step=0.01)
    return ContinuousParameter(-1.0, 1.0)


RULES = ["k == a", "k != b", "k in [a, c]", "n > 0", "n <= 2", "r >= 0.2", "r == 0.1", "not (k == a and n > 0)"]


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    parameters: dict[str, Parameter] = {
        "p": draw(steps_within()),
        "q": draw(steps_within()),
        "r": ContinuousParameter(0.0, 0.5, step=0.1),
        "n": IntegerParameter(0, 4, step=draw(st.sampled_from([1, 2]))),
        "k": CategoricalParameter(["a", "b", "c"]),
        "j": CategoricalParameter(["x", "y"]),
    }
    conditions = draw(st.dictionaries(st.sampled_from(["p", "q", "j", "n"]), st.sampled_from(RULES), max_size=3))
    forbidden = draw(st.lists(st.sampled_from([f"{a} and {b}" for a in RULES for b in RULES]), max_size=2))
    space = Space(parameters, conditions, tuple(forbidden))
    assume(not space.problems(strict=False))
    return space


@pytest.mark.parametrize("strategy", [Strategy.RANDOM, Strategy.BAYESIAN, Strategy.HYPERBAND, Strategy.GRID])
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(space=spaces(), seed=st.integers(0, 9), batch=st.integers(1, 4))
def test_every_proposal_keeps_the_rules(strategy: Strategy, space: Space, seed: int, batch: int) -> None:
    try:
        points = run(spec(space, strategy, seed), 14, batch)
    except Invalid:
        assert strategy is Strategy.GRID and space.size() is None
        return
    assert all(space.contains(point) for point in points), points  # type: ignore[arg-type]  # values are native
    size = space.size()
    assert len({key(point) for point in points}) == len(points) == (14 if size is None else min(14, size))  # type: ignore[arg-type]  # values are native


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(space=spaces(), seed=st.integers(0, 2**32 - 1))
def test_points_are_encoded_without_loss(space: Space, seed: int) -> None:
    cube = Cube(space)
    rng = np.random.default_rng(seed)
    rows = cube.draw(rng.random((20, cube.d)))
    active, allowed = cube.activity.active(rows), cube.allowed(rows)
    for row, mine, lawful in zip(rows, active, allowed, strict=True):
        point = cube.decode(row)
        assert set(point) == {name for name, yes in zip(cube.names, mine, strict=True) if yes}
        assert space.contains(point) == bool(lawful)
        assert space.cast(space.texts(point)) == point
        again = cube.encode(point)
        assert cube.key(again) == cube.key(row)
        for back in (cube.decode(again), cube.decode(cube.snap(again[None])[0])):
            assert list(back) == list(point)
            for name, value in point.items():
                free = isinstance(parameter := space.parameters[name], ContinuousParameter) and not parameter.lattice()
                assert back[name] == (pytest.approx(value, rel=1e-9) if free else value)


@pytest.mark.parametrize("space", [RULED, RULED_FINITE], ids=["endless", "finite"])
@pytest.mark.parametrize("options", [{}, STRICT_HYPERBAND], ids=["Random", "Hyperband"])
def test_the_sequence_follows_from_the_seed_at_any_parallelism(space: Space, options: dict[str, str]) -> None:
    strategy = Strategy.HYPERBAND if options else Strategy.RANDOM
    one = run(spec(space, strategy, 3, **options), 16, 1)
    assert one == run(spec(space, strategy, 3, **options), 16, 5)
    assert one != run(spec(space, strategy, 4, **options), 16, 5)


def test_the_grid_lists_every_point_once() -> None:
    points = run(spec(RULED_FINITE, Strategy.GRID), 40, 3)
    assert len(points) == len({key(p) for p in points}) == 17  # type: ignore[arg-type]  # values are native
    stepped = Space({"b": IntegerParameter(16, 64, step=16), "d": ContinuousParameter(0.0, 0.3, step=0.1)})
    assert [tuple(p.values()) for p in run(spec(stepped, Strategy.GRID), 40, 4)][:5] == [
        (16, 0.0),
        (16, 0.1),
        (16, 0.2),
        (16, 0.3),
        (32, 0.0),
    ]


def test_a_grid_with_endless_ranges_says_which() -> None:
    with pytest.raises(Invalid, match=r"lr, momentum, beta1: Grid needs a finite number of values; give a step"):
        run(spec(RULED, Strategy.GRID), 1, 1)


RARE = Space(
    {name: ContinuousParameter(0.0, 1.0) for name in "abcd"} | {"k": CategoricalParameter(list("pqrstuvw"))},
    forbidden=("a > 0.01", "b < 0.99", "c >= 0.02 or c < 0.01", "k != t"),
)


@pytest.mark.parametrize("strategy", [Strategy.RANDOM, Strategy.BAYESIAN])
def test_rare_points_are_found(strategy: Strategy) -> None:
    """One point in sixteen million is allowed."""
    points = run(spec(RARE, strategy, 1), 12, 2)
    assert len({key(p) for p in points}) == 12  # type: ignore[arg-type]  # values are native
    assert all(RARE.contains(point) for point in points)  # type: ignore[arg-type]  # values are native


def test_draws_of_a_stepped_logarithmic_range_follow_its_scaling() -> None:
    cube = Cube(Space({"x": ContinuousParameter(0.01, 1.0, "Logarithmic", step=0.01)}))
    drawn = cube.draw((np.arange(4000)[:, None] + 0.5) / 4000)[:, 0]
    values = np.array([cube.decode(np.array([unit]))["x"] for unit in drawn], dtype=float)
    assert 0.4 < float(np.mean(values <= 0.1)) < 0.6
    assert set(np.round(values * 100).astype(int)) >= set(range(1, 60))


def best_after(told: JobSpec, count: int, loss: Callable[[dict[str, object]], float]) -> float:
    engine, history, found = Engine(), History(told), []
    for number in range(1, count + 1):
        point = dict(engine.propose(history, number, 1).proposals[0].point)
        found.append(loss(point))
        history.apply([Appeared(number, 0, point), Ended(number, found[-1], False, False, False)])  # type: ignore[arg-type]  # values are native
    return min(found)


def test_the_model_learns_in_branches() -> None:
    """A branch with one parameter of its own, another with two: the better one and its place are found."""
    space = Space(
        {
            "x": ContinuousParameter(0.0, 1.0),
            "u": ContinuousParameter(0.0, 1.0),
            "v": ContinuousParameter(0.0, 1.0),
            "k": CategoricalParameter(["one", "two"]),
        },
        conditions={"x": "k == one", "u": "k == two", "v": "k == two"},
    )

    def loss(point: dict[str, object]) -> float:
        if point["k"] == "one":
            return 0.3 + (float(str(point["x"])) - 0.2) ** 2
        return (float(str(point["u"])) - 0.7) ** 2 + (float(str(point["v"])) - 0.9) ** 2

    by_model = [best_after(spec(space, Strategy.BAYESIAN, seed), 25, loss) for seed in range(4)]
    at_random = [best_after(spec(space, Strategy.RANDOM, seed), 25, loss) for seed in range(4)]
    assert max(by_model) < 0.01
    assert float(np.median(by_model)) < 0.2 * float(np.median(at_random))
