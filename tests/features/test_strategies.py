"""Rows 19 to 29: strategies, parallelism and finite spaces."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from scipy import stats

from tunewright import ContinuousParameter, Search
from tunewright.core.ports import Task
from tunewright.core.trial import StopCause

from .ground import Sim, Wire, categories, continuous, integers, prints, x_of

CURVE = tuple(range(1, 28))


def learns(task: Task) -> object:
    """27 epochs that approach `x`."""
    return prints(*(x_of(task) * (1 - 0.9**epoch) for epoch in CURVE), seconds=28.0)


def hyperband(**more: int) -> Wire:
    return {"StrategyConfig": {"HyperbandStrategyConfig": more}}


def test_row_19_random(sim: Sim) -> None:
    sim.run(sim.request("job", jobs=12, parallel=5))
    points = [point["x"] for point in sim.points("job")]
    assert len(points) == len(set(points)) == 12
    assert sim.most == 5
    sim.run(sim.request("many", jobs=200, parallel=10))
    drawn = [float(point["x"]) for point in sim.points("many")]
    for apart in (1, 2, 10):
        assert stats.spearmanr(drawn[apart:], drawn[:-apart]).pvalue > 0.01, "a draw tells nothing of later ones"


def branin(x: float, y: float) -> float:
    valley = y - 5.1 * x**2 / (4 * math.pi**2) + 5 * x / math.pi - 6
    return valley**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


BRANIN = {"x": ContinuousParameter(-5, 10), "y": ContinuousParameter(0, 15)}


def best_of(strategy: str, seed: int, jobs: int) -> float:
    search = Search(BRANIN, strategy, "Minimize", seed)
    for _ in range(jobs):
        asked = search.ask()
        search.tell(asked.number, branin(float(asked.values["x"]), float(asked.values["y"])))
    assert search.best is not None
    return search.best.value


@pytest.mark.slow
def test_row_20_bayesian_beats_random_on_branin() -> None:
    modelled = [best_of("Bayesian", seed, 60) for seed in range(10)]
    drawn = [best_of("Random", seed, 60) for seed in range(10)]
    assert stats.mannwhitneyu(modelled, drawn, alternative="less").pvalue < 0.05
    assert sorted(modelled)[5] < sorted(drawn)[5]


def test_row_21_grid(simulate: Callable[..., Sim]) -> None:
    sim = simulate(lambda _: prints(1))
    ranges = categories(a=["1", "2", "3"], b=["u", "v"])
    described = sim.run(sim.request("grid", strategy="Grid", ranges=ranges, jobs=None))
    points = {(point["a"], point["b"]) for point in sim.points("grid")}
    assert len(points) == described["TrainingJobStatusCounters"]["Completed"] == 6
    five = sim.refused(sim.request("five", strategy="Grid", ranges=ranges, jobs=5))
    assert "number of distinct combinations, 6, got 5" in five
    numbers = sim.refused(sim.request("numbers", strategy="Grid", ranges=continuous(), jobs=None))
    assert "Grid takes categorical ranges only" in numbers


def test_row_22_hyperband_stops_the_weak(simulate: Callable[..., Sim]) -> None:
    sim = simulate(learns)
    described = sim.run(sim.request("band", strategy="Hyperband", jobs=20, parallel=4, **hyperband(MaxResource=27)))
    children = sim.children("band")
    used = {child["TrainingJobName"]: len(sim.reads.curve(child["TrainingJobName"], "acc")) for child in children}
    weak = [child for child in children if used[child["TrainingJobName"]] < 27]
    assert len(weak) >= 10
    assert all(child["TrainingJobStatus"] == "Stopped" for child in weak)
    assert used[described["BestTrainingJob"]["TrainingJobName"]] == 27
    assert sum(used.values()) < 0.6 * 20 * 27


def test_row_23_hyperband_infers_the_maximum_resource(simulate: Callable[..., Sim]) -> None:
    sim = simulate(learns)
    for place, key in enumerate(("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")):
        name, static = f"band-{place}", {"StaticHyperParameters": {key: "9"}}
        sim.run(sim.request(name, strategy="Hyperband", jobs=1, training=static))
        [child] = sim.children(name)
        assert len(sim.reads.curve(child["TrainingJobName"], "acc")) == 9
    message = sim.refused(sim.request("none", strategy="Hyperband"))
    assert "MaxResource parameter is not provided and could not be inferred from provided static" in message
    assert "hyperparameters of TrainingJobDefinition." in message


def test_row_24_hyperband_needs_early_stopping_off(sim: Sim) -> None:
    asked = {"strategy": "Hyperband", **hyperband(MaxResource=9)}
    sim.create(sim.request("off", TrainingJobEarlyStoppingType="Off", **asked))
    assert "Hyperband" in sim.refused(sim.request("auto", TrainingJobEarlyStoppingType="Auto", **asked))


def test_row_25_hyperband_minimum_and_maximum_resource(simulate: Callable[..., Sim]) -> None:
    sim = simulate(learns)
    band = hyperband(MinResource=4, MaxResource=20)
    sim.run(sim.request("band", strategy="Hyperband", jobs=15, parallel=3, **band))
    causes = set()
    for child in sim.children("band"):
        trial = sim.reads.trial(child["TrainingJobName"]).trial
        epochs = len(sim.reads.curve(trial.name, "acc"))
        assert 4 <= epochs <= 20
        assert (epochs == 20) == (trial.cause is StopCause.MAX_RESOURCE)
        causes.add(trial.cause)
    assert causes == {StopCause.EARLY, StopCause.MAX_RESOURCE}


@pytest.mark.parametrize("strategy", ["Random", "Grid", "Hyperband"])
def test_row_26_the_same_seed_gives_the_same_configurations(simulate: Callable[..., Sim], strategy: str) -> None:
    ranges = categories(a=["1", "2", "3", "4"], b=["u", "v"])
    ranges = ranges if strategy == "Grid" else {**ranges, **continuous()}
    sim = simulate(lambda task: prints(0.1, 0.2, float(task.hyperparameters["a"])))
    for name, parallel in (("one", 1), ("two", 3)):
        sim.run(
            sim.request(
                name, strategy=strategy, ranges=ranges, jobs=8, parallel=parallel, seed=7, **hyperband(MaxResource=9)
            )
        )
    assert sim.points("one") == sim.points("two")
    assert len(sim.points("one")) == 8


def test_row_27_a_free_slot_is_filled_while_others_run(simulate: Callable[..., Sim]) -> None:
    """One program lasts as long as all the others together: they take turns beside it."""
    seconds = iter([100.0] + [10.0] * 8)
    sim = simulate(lambda task: prints(x_of(task), seconds=next(seconds)))
    sim.run(sim.request("job", jobs=9, parallel=2))
    first, *others = [sim.child(child["TrainingJobName"]) for child in sim.children("job")]
    assert sim.most == 2
    assert all(first["CreationTime"] <= other["CreationTime"] < first["TrainingEndTime"] for other in others)


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_row_28_no_configuration_twice_in_a_finite_space(simulate: Callable[..., Sim], strategy: str) -> None:
    sim = simulate(lambda task: prints(float(task.hyperparameters["n"])))
    ranges = {**integers(n=(1, 4)), **categories(c=["a", "b", "c"])}
    sim.run(sim.request("job", strategy=strategy, ranges=ranges, jobs=12, parallel=3))
    assert len({(point["n"], point["c"]) for point in sim.points("job")}) == 12


def test_row_29_fewer_combinations_than_training_jobs(sim: Sim) -> None:
    message = sim.refused(sim.request("job", ranges=integers(n=(1, 3)), jobs=10))
    assert (
        "You don't have enough combinations of hyperparameter ranges. The total number of combinations for the provided"
        " ranges [3.0] must be equal or greater than the value of MaxNumberOfJobs, [10]. Provide additional ranges."
    ) in message
