"""Kept models: the best few stay, never without the best, and what goes is owed until it is gone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from drive import Drive, spec
from hypothesis import given
from hypothesis import strategies as st

from tunewright.core.effects import Discard
from tunewright.core.events import Discarded, Exited
from tunewright.core.job import JobStatus
from tunewright.core.spec import Direction, JobSpec


def keeping(best: int, replicates: int = 1, **options: object) -> JobSpec:
    told = {"keep_best": json.dumps(best), "replicates": json.dumps(replicates)}
    return replace(spec(**options), options=told)  # type: ignore[arg-type]  # as `spec` takes them


def ended(drive: Drive, value: float | None) -> int:
    [number] = drive.start()
    if value is not None:
        drive.report(number, value)
    drive.tell(Exited(drive.now, number, 1, 0, None, "", f"file:///out/{number}/model.tar.gz"))
    return number


def owed(drive: Drive) -> list[int]:
    return [effect.number for effect in drive.todo() if isinstance(effect, Discard)]


def test_what_is_not_among_the_best_is_removed() -> None:
    drive = Drive(keeping(2))
    for value in (3.0, 1.0):
        ended(drive, value)
    assert owed(drive) == []
    ended(drive, 2.0)
    assert owed(drive) == [1]
    drive.tell(Discarded(drive.now, 1))
    assert owed(drive) == [] and drive.trials[1].discarded and drive.trials[1].artifacts == ""
    assert drive.trials[1].model == "file:///out/1/model.tar.gz"
    ended(drive, 5.0)
    assert owed(drive) == [4]


def test_models_without_an_objective_go() -> None:
    drive = Drive(keeping(3))
    ended(drive, 1.0)
    ended(drive, None)
    ended(drive, float("nan"))
    assert owed(drive) == [2, 3]


def test_without_a_model_there_is_nothing_to_remove() -> None:
    drive = Drive(keeping(1))
    ended(drive, 1.0)
    [number] = drive.start()
    drive.exit(number, 1)
    assert owed(drive) == []


def test_the_job_ends_when_everything_is_removed() -> None:
    drive = Drive(keeping(1, max_jobs=2))
    ended(drive, 1.0)
    ended(drive, 2.0)
    assert drive.job.status is JobStatus.IN_PROGRESS and owed(drive) == [2]
    drive.tell(Discarded(drive.now, 2))
    assert drive.job.status is JobStatus.COMPLETED and not drive.todo()


def test_what_cannot_be_removed_does_not_hold_the_job_up() -> None:
    drive = Drive(keeping(1, max_jobs=2))
    ended(drive, 1.0)
    ended(drive, 2.0)
    drive.tell(Discarded(drive.now, 2, done=False))
    assert drive.job.status is JobStatus.COMPLETED
    assert not drive.trials[2].discarded and drive.trials[2].artifacts


def test_a_repeated_removal_changes_nothing() -> None:
    drive = Drive(keeping(1))
    ended(drive, 1.0)
    ended(drive, 2.0)
    drive.tell(Discarded(drive.now, 2))
    before = drive.job
    drive.tell(Discarded(drive.now, 2))
    drive.tell(Discarded(drive.now, 1))
    assert drive.job is before


def test_open_configurations_and_the_best_mean_are_spared() -> None:
    drive = Drive(keeping(1, replicates=2, max_jobs=6))
    ended(drive, 3.0)
    ended(drive, 3.2)
    assert owed(drive) == [2], "the best of the only configuration stays"
    drive.tell(Discarded(drive.now, 2))
    ended(drive, 0.1)
    assert owed(drive) == [], "it may be known as the best one day, and number 1 still is"
    ended(drive, 9.0)
    assert drive.job.best is not None and drive.job.best.number == 1
    assert owed(drive) == [4], "the best training job of all stays beside the best configuration's"


@given(st.lists(st.one_of(st.none(), st.floats(-10, 10)), min_size=1, max_size=12), st.integers(1, 4), st.booleans())
def test_the_best_always_stays(values: list[float | None], best: int, maximise: bool) -> None:
    direction = Direction.MAXIMIZE if maximise else Direction.MINIMIZE
    drive = Drive(keeping(best, max_jobs=12, direction=direction))
    for value in values:
        ended(drive, value)
        for number in owed(drive):
            drive.tell(Discarded(drive.now, number))
        there = {number for number, trial in drive.trials.items() if trial.artifacts}
        found = sorted(
            (trial.value * (-1 if maximise else 1), number)
            for number, trial in drive.trials.items()
            if trial.value is not None
        )
        assert there == {number for _, number in found[:best]}
        if drive.job.status.terminal:
            break


@pytest.mark.parametrize("best", [1, 3])
def test_a_stopped_job_removes_what_is_left(best: int) -> None:
    drive = Drive(keeping(best, replicates=3, max_jobs=9))
    for value in (3.0, 2.0):
        ended(drive, value)
    drive.stop()
    if best == 1:
        assert owed(drive) == [1]
        drive.tell(Discarded(drive.now, 1))
    assert drive.job.status is JobStatus.STOPPED
    assert drive.job.best is not None and drive.job.best.number == 2
