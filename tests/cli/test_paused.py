"""Paused training jobs in words: counted apart, told once with the numbers compared, and never as ended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tunewright.cli.portrait import portrait
from tunewright.cli.ranking import columns
from tunewright.cli.story import Story, Watched, moved_line, running_of, stopped_text
from tunewright.core.events import (
    Created,
    Event,
    Exited,
    Judged,
    Launched,
    Promoted,
    Promotion,
    Proposal,
    Proposed,
    Reported,
)
from tunewright.core.job import Job
from tunewright.core.machine import step
from tunewright.core.reads import JobView, TrialView
from tunewright.core.space import ContinuousParameter, Space
from tunewright.core.spec import Definition, Direction, Hyperband, JobSpec, Limits, Objective, Strategy, Training
from tunewright.core.trial import Cursor, Observation, StopCause, Trial, Verdict

AT = 1000.0
WHY = "paused at epoch 1: 0.5 at rung 1 is number 2 of 3 jobs, the best 1 go on (up to 0.4)"
FIT = "resumed after epoch 1: 0.5 at rung 1 is number 1 of 6 jobs, the best 2 go on (up to 0.6)"


def spec() -> JobSpec:
    definition = Definition(
        Space({"x": ContinuousParameter(0.0, 1.0)}), Objective("loss", Direction.MINIMIZE), Training()
    )
    promotion = {"hyperband_mode": '"promotion"'}
    limits = Limits(max_parallel=2, max_jobs=3)
    return JobSpec("job", (definition,), Strategy.HYPERBAND, limits, hyperband=Hyperband(1, 9), options=promotion)


def told(job: Job | None, rows: dict[int, Trial], *events: Event) -> Job:
    for event in events:
        change = step(job, event)
        job = change.job
        rows |= {trial.number: trial for trial in change.trials}
    assert job is not None
    return job


@pytest.fixture
def rows() -> dict[int, Trial]:
    return {}


@pytest.fixture
def job(rows: dict[int, Trial]) -> Job:
    """Training job 1 is paused, 2 runs."""
    return told(
        None,
        rows,
        Created(AT, "uid", spec()),
        Proposed(AT, (Proposal(1, {"x": 0.1}), Proposal(2, {"x": 0.2}))),
        Launched(AT, 1, 1, "one"),
        Launched(AT, 2, 1, "two"),
        Reported(AT + 5, 1, 1, Cursor(), Cursor(9), (Observation("loss", 0.5, AT + 5),)),
        Judged(AT + 5, 1, 1, 1, Verdict(True, WHY, 0.5, 0.4, StopCause.PAUSED)),
        Exited(AT + 6, 1, 1, -15, killed=True),
    )


def test_it_is_counted_apart(job: Job) -> None:
    story = Story(job, lambda _: None, lambda _: "")
    assert story.region(job, AT + 10)[0].endswith("1 running, 1 paused")
    assert [one.name for one in running_of(job)] == [job.live[2].name]
    lines = portrait(JobView(job, 1), charge=True, now=AT + 10)
    assert any(line.endswith("0 of 3 ended (1 running, 1 paused)") for line in lines)
    assert any("1 to 9 values, pauses and resumes training jobs" in line for line in lines)


def test_it_is_told_once_and_not_as_ended(job: Job, rows: dict[int, Trial]) -> None:
    watched = Watched()
    assert watched.ended(job) == []
    lines = [moved_line(job, trial, began) for trial, began in watched.moved(job)]
    assert lines[0] == f"{job.paused[1].name}  {WHY}"
    assert watched.moved(job) == []
    view = TrialView(rows[1], "uid", "job", job.spec, AT)
    assert columns(view, [])[2:4] == ["InProgress", "0.5"]
    assert columns(view, [])[5].startswith("paused at epoch 1: 0.5 at rung 1")


def test_its_time_is_what_its_program_ran(job: Job, rows: dict[int, Trial]) -> None:
    later = told(
        job,
        rows,
        Exited(AT + 90, 2, 1, 0),
        Promoted(AT + 90, job.news + 1, (Promotion(1, Verdict(False, FIT, 0.5, 0.6)),)),
        Launched(AT + 100, 1, 2, "one again"),
        Exited(AT + 104, 1, 2, 0),
    )
    assert not later.unfinished
    view = TrialView(rows[1], "uid", "job", later.spec, AT)
    assert (rows[1].attempt, columns(view, [])[4]) == (2, "10 s")


def test_in_the_end_it_is_stopped_early_with_the_numbers_compared(job: Job, rows: dict[int, Trial]) -> None:
    ending = told(job, rows, Exited(AT + 90, 2, 1, 0))
    ending = replace(ending, exhausted=True)
    told(ending, rows, Promoted(AT + 90, ending.news))
    assert stopped_text(rows[1]) == f"stopped early ({WHY})"
