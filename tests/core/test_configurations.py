"""Configurations with several training jobs: the mean decides, and the books count training jobs."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import replace

import pytest
from drive import Drive, spec
from hypothesis import given
from hypothesis import strategies as st

from tunewright.core.job import JobStatus
from tunewright.core.machine import step
from tunewright.core.replicates import (
    budget_problem,
    configuration_of,
    configurations,
    mean_and_spread,
    replicate_of,
)
from tunewright.core.spec import Completion, Direction, JobSpec, Objective


def several(replicates: int = 3, **options: object) -> JobSpec:
    return replace(spec(**options), options={"replicates": json.dumps(replicates)})  # type: ignore[arg-type]  # as `spec` takes them


def played(of: JobSpec, values: list[float | None]) -> Drive:
    """Training jobs that end in order, one after the other; None fails."""
    drive = Drive(of)
    for value in values:
        if drive.job.status.terminal or not drive.job.room():
            break
        [number] = drive.start()
        if value is None:
            drive.exit(number, 1)
        else:
            drive.report(number, value)
            drive.exit(number)
    return drive


def test_the_best_is_the_best_mean_known_by_its_best_training_job() -> None:
    drive = played(several(3, max_jobs=6), [5.0, 1.0, 6.0, 3.0, 3.2, 2.8])
    assert drive.job.status is JobStatus.COMPLETED
    best = drive.job.best
    assert best is not None and (best.number, best.runs) == (6, 3)
    assert best.value == pytest.approx(3.0) and best.spread == pytest.approx(0.2)
    assert drive.job.counters.ended == drive.job.launched == 6 and not drive.job.groups


def test_a_configuration_counts_when_all_of_it_has_ended() -> None:
    drive = played(several(3, max_jobs=6), [1.0, 1.0])
    assert drive.job.best is None and list(drive.job.groups) == [1]
    [third] = drive.start()
    drive.report(third, 4.0)
    assert drive.job.best is None
    drive.exit(third)
    assert drive.job.best is not None and drive.job.best.value == 2.0


def test_more_than_half_must_have_an_objective() -> None:
    drive = played(several(3, max_jobs=9), [None, None, 0.1, None, 2.0, 2.0, 3.0, 3.0, 3.0])
    best = drive.job.best
    assert best is not None and (best.number, best.value, best.runs) == (5, 2.0, 2)


def test_a_single_lucky_run_neither_wins_nor_reaches_the_target() -> None:
    of = several(2, max_jobs=6, completion=Completion(target=0.5))
    drive = played(of, [0.1, 1.9, 0.6, 0.3])
    assert drive.job.status is JobStatus.COMPLETED and drive.job.launched == 4
    assert drive.job.ending is not None
    assert "the mean of 2 training jobs is 0.44" in drive.job.ending.why


def test_no_improvement_counts_training_jobs() -> None:
    drive = played(several(2, max_jobs=20, completion=Completion(not_improving=4)), [1.0] * 20)
    assert drive.job.launched == 6 and drive.job.status is JobStatus.COMPLETED
    assert drive.job.not_improving == 4


def test_a_stop_within_the_first_configuration_leaves_what_there_is() -> None:
    drive = played(several(3, max_jobs=6), [2.0, 4.0])
    drive.stop()
    assert drive.job.status is JobStatus.STOPPED
    assert drive.job.best is not None and (drive.job.best.value, drive.job.best.runs) == (3.0, 2)
    later = played(several(2, max_jobs=6), [2.0, 4.0, 0.0])
    later.stop()
    assert later.job.best is not None and later.job.best.value == 3.0, "an unfinished configuration has not won"


def test_a_repeated_end_counts_once() -> None:
    drive = played(several(2, max_jobs=4), [1.0])
    again = step(drive.job, drive.events[-1])
    assert again.job is drive.job


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=24), st.integers(2, 4))
def test_the_books_agree_with_the_rows(values: list[float | None], count: int) -> None:
    of = several(count, max_jobs=24 // count * count, direction=Direction.MAXIMIZE)
    drive = played(of, values)
    found = configurations(drive.trials.values(), count, Objective("loss", Direction.MAXIMIZE))
    whole = [each.result for each in found if each.counts and each.result is not None]
    assert (drive.job.best.value if drive.job.best else None) == max((r.value for r in whole), default=None) or (
        not whole and drive.job.status.terminal
    )
    assert set(drive.job.groups) == {each.number for each in found if each.trials and len(each.trials) < count}


@given(st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=9))
def test_mean_and_spread(values: list[float]) -> None:
    mean, spread = mean_and_spread(values)
    assert math.isclose(
        mean, statistics.fmean([v / 4 for v in values]) * 4, rel_tol=1e-9, abs_tol=max(map(abs, values)) * 1e-9
    )
    assert spread is None or math.isclose(
        spread / 1e150,
        statistics.stdev([v / 1e150 for v in values]),
        rel_tol=1e-6,
        abs_tol=max(map(abs, values)) / 1e158,
    )


def test_numbers_of_configurations() -> None:
    assert [(configuration_of(n, 3), replicate_of(n, 3)) for n in (1, 2, 3, 4, 7)] == [
        (1, 1),
        (1, 2),
        (1, 3),
        (2, 1),
        (3, 1),
    ]
    assert budget_problem(9, 3) is None and budget_problem(None, 3) is None
    assert "use 9 or 12" in (budget_problem(10, 3) or "") and (budget_problem(2, 3) or "").endswith("use 3.")


def test_equal_values_have_no_spread() -> None:
    assert mean_and_spread([0.48940911568940076] * 3) == (0.48940911568940076, 0.0)
