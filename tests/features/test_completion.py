"""Rows 40 to 45: when a tuning job ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tunewright.core.ports import Task

from .ground import Sim, Wire, prints, x_of


def criteria(**more: Any) -> Wire:
    return {"TuningJobCompletionCriteria": more}


def test_row_40_the_number_of_training_jobs(sim: Sim) -> None:
    described = sim.run(sim.request("job", jobs=7, parallel=3))
    assert len(sim.children("job")) == len(sim.disk.starts) == described["TrainingJobStatusCounters"]["Completed"] == 7


def test_row_41_the_run_time(simulate: Callable[..., Sim]) -> None:
    sim = simulate(lambda task: prints(x_of(task), seconds=50.0))
    described = sim.run(sim.request("job", jobs=100, parallel=2, limits={"MaxRuntimeInSeconds": 120}))
    assert described["HyperParameterTuningJobStatus"] == "Completed"
    lasted = described["HyperParameterTuningEndTime"] - described["CreationTime"]
    assert 120 <= lasted.total_seconds() <= 125
    assert 120 <= described["ConsumedResources"]["RuntimeInSeconds"] <= 125
    short = sim.refused(sim.request("short", limits={"MaxRuntimeInSeconds": 119}))
    assert "maxRuntimeInSeconds" in short and "greater than or equal to 120" in short


@pytest.mark.parametrize(("direction", "target"), [("Maximize", 5.0), ("Minimize", -5.0)])
def test_row_42_target_ends_the_job(simulate: Callable[..., Sim], direction: str, target: float) -> None:
    sign = 1 if direction == "Maximize" else -1
    sim = simulate(lambda task: prints(sign * float(task.number)))
    asked = criteria(TargetObjectiveMetricValue=target)
    described = sim.run(sim.request("job", jobs=20, type=direction, **asked))
    assert described["HyperParameterTuningJobStatus"] == "Completed"
    assert len(sim.children("job")) == 5
    sim.run(sim.request("budget", jobs=3, type=direction, **asked))
    assert len(sim.children("budget")) == 3, "the budget came first"
    both = criteria(
        TargetObjectiveMetricValue=sign * 50.0,
        BestObjectiveNotImproving={"MaxNumberOfTrainingJobsNotImproving": 3},
    )
    flat = simulate(lambda task: prints(sign * 1.0))
    flat.run(flat.request("flat", jobs=20, type=direction, **both))
    assert len(flat.children("flat")) == 4, "no improvement came first"


def test_row_43_no_improvement(simulate: Callable[..., Sim]) -> None:
    def asked(count: int) -> Wire:
        return criteria(BestObjectiveNotImproving={"MaxNumberOfTrainingJobsNotImproving": count})

    sim = simulate(lambda _: prints(1.0))
    described = sim.run(sim.request("job", jobs=20, **asked(3)))
    assert described["HyperParameterTuningJobStatus"] == "Completed"
    assert len(sim.children("job")) == 1 + 3
    two = sim.refused(sim.request("two", **asked(2)))
    assert "maxNumberOfTrainingJobsNotImproving" in two and "greater than or equal to 3" in two


def flat(task: Task) -> Any:
    return prints(1.0, seconds=1.0)


def test_row_44_convergence(simulate: Callable[..., Sim]) -> None:
    sim = simulate(flat)
    for name, switch in (("enabled", "Enabled"), ("disabled", "Disabled")):
        asked = criteria(ConvergenceDetected={"CompleteOnConvergence": switch})
        described = sim.run(sim.request(name, jobs=60, **asked))
        assert described["HyperParameterTuningJobStatus"] == "Completed"
        assert "ConvergenceDetectedTime" in described["TuningJobCompletionDetails"]
    assert len(sim.children("enabled")) < 60
    assert len(sim.children("disabled")) == 60


def test_row_45_details_and_resources_without_criteria(simulate: Callable[..., Sim]) -> None:
    sim = simulate(lambda _: prints(1.0))
    sim.create(sim.request("job", jobs=3))
    seen = []
    for _ in range(30):
        sim.turn()
        described = sim.describe("job")
        if described["HyperParameterTuningJobStatus"] == "InProgress":
            seen.append(described["ConsumedResources"]["RuntimeInSeconds"])
    assert seen == sorted(seen) and seen[0] < seen[-1]
    described = sim.end("job")
    assert described["TuningJobCompletionDetails"]["NumberOfTrainingJobsObjectiveNotImproving"] == 2
    consumed = described["ConsumedResources"]["RuntimeInSeconds"]
    assert consumed >= seen[-1]
    sim.clock.at += 1000
    assert sim.describe("job")["ConsumedResources"]["RuntimeInSeconds"] == consumed
