"""Rows 38 and 39: early stopping by the median rule."""

from __future__ import annotations

from collections.abc import Callable

from tunewright.core.ports import Task
from tunewright.testing.world import Program

from .ground import Sim, prints

AUTO = {"TrainingJobEarlyStoppingType": "Auto"}


def level(task: Task) -> Program:
    """Four finished jobs at levels 1 to 4 (their median is 2.5), then one below it and one above it."""
    value = {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0, 5: 2.4, 6: 2.6}.get(task.number, 5.0)
    return prints(*[value] * 8, seconds=9.0)


def descending(task: Task) -> Program:
    """The current value counts, not the best so far: it starts high and falls below the others' averages."""
    return prints(*([9.0, 9.0, 9.0, 0.1] + [0.1] * 4), seconds=9.0) if task.number == 4 else prints(*[1.0] * 8)


def test_row_38_the_median_rule(simulate: Callable[..., Sim]) -> None:
    # The first three run side by side: there are no finished ones to compare with.
    sim = simulate(lambda task: level(task))
    sim.run(sim.request("auto", jobs=6, parallel=4, **AUTO))
    assert sim.statuses("auto") == ["Completed"] * 4 + ["Stopped", "Completed"]
    sim.run(sim.request("off", jobs=6, parallel=4, TrainingJobEarlyStoppingType="Off"))
    assert sim.statuses("off") == ["Completed"] * 6
    falling = simulate(descending)
    falling.run(falling.request("falling", jobs=4, parallel=3, **AUTO))
    assert falling.statuses("falling") == ["Completed"] * 3 + ["Stopped"]
    single = simulate(lambda task: prints(float(-task.number)))
    single.run(single.request("single", jobs=8, **AUTO))
    assert single.statuses("single") == ["Completed"] * 8


def test_row_39_a_stopped_job_counts_and_is_replaced(simulate: Callable[..., Sim]) -> None:
    sim = simulate(lambda task: prints(*[10.0 - task.number] * 8, seconds=9.0))
    described = sim.run(sim.request("job", jobs=9, parallel=3, **AUTO))
    assert sim.statuses("job") == ["Completed"] * 3 + ["Stopped"] * 6
    assert sum(described["TrainingJobStatusCounters"].values()) == 9
    children = [sim.child(child["TrainingJobName"]) for child in sim.children("job")]
    for stopped, later in zip(children[3:], children[6:], strict=False):
        assert later["CreationTime"] >= stopped["TrainingEndTime"], "a new one starts in its place"
