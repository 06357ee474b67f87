"""Early stopping Auto: when it speaks, what it compares, what it says."""

from __future__ import annotations

import math

import pytest

from tunewright.core.history import Appeared, Emitted, Ended, History
from tunewright.core.space import ContinuousParameter, Space
from tunewright.core.spec import Definition, Direction, JobSpec, Objective, Strategy, Training
from tunewright.core.trial import StopCause
from tunewright.search import Engine
from tunewright.search.median import median_of


def history(direction: Direction, *curves: list[float], running: list[float]) -> History:
    """Finished trials with these curves, and a running one with the next number."""
    objective = Objective("m", direction)
    definition = Definition(Space({"x": ContinuousParameter(0, 1)}), objective, Training())
    made = History(JobSpec("j", (definition,), Strategy.RANDOM, early_stopping=True))
    for number, curve in enumerate([*curves, running], start=1):
        made.apply([Appeared(number, 0, {"x": 0.5})])
        made.apply([Emitted(number, epoch, value) for epoch, value in enumerate(curve, start=1)])
        if number <= len(curves):
            value = curve[-1] if math.isfinite(curve[-1]) else None
            made.apply([Ended(number, value, False, value is None, False)])
    return made


FINISHED = ([1.0, 0.8, 0.6], [1.0, 0.9, 0.8], [1.0, 1.0, 1.0])


def test_worse_than_the_median_of_running_averages_is_stopped_and_says_so() -> None:
    verdict = Engine().judge(history(Direction.MINIMIZE, *FINISHED, running=[1.2, 1.1, 0.95]), 4, 3)
    assert verdict.stop
    assert (verdict.value, verdict.threshold) == (0.95, pytest.approx(0.9))
    assert verdict.why == "stopped at epoch 3: 0.95 against the median 0.9 of 3 jobs"
    assert verdict.cause is StopCause.EARLY


@pytest.mark.parametrize(
    ("direction", "value", "stop"),
    [
        (Direction.MINIMIZE, 0.9 - 1e-9, False),
        (Direction.MINIMIZE, 0.9 + 1e-9, True),
        (Direction.MAXIMIZE, 0.9 - 1e-9, True),
        (Direction.MAXIMIZE, 0.9 + 1e-9, False),
    ],
)
def test_only_strictly_worse_is_stopped(direction: Direction, value: float, stop: bool) -> None:
    assert Engine().judge(history(direction, *FINISHED, running=[1.0, 0.9, value]), 4, 3).stop is stop


def test_two_finished_jobs_are_not_enough() -> None:
    assert not Engine().judge(history(Direction.MINIMIZE, *FINISHED[:2], running=[9.0, 9.0, 9.0]), 3, 3).stop


def test_what_is_as_good_as_the_median_goes_on_and_says_so() -> None:
    equal = [1.0, 1.0, 1.0]
    for direction in Direction:
        verdict = Engine().judge(history(direction, equal, equal, equal, running=equal), 4, 3)
        assert (verdict.stop, verdict.why) == (False, "goes on at epoch 3: 1 against the median 1 of 3 jobs")


def test_only_jobs_that_reached_the_epoch_count() -> None:
    curves = [*FINISHED, [1.0], [1.0]]
    assert not Engine().judge(history(Direction.MINIMIZE, *curves[1:], running=[9.0, 9.0]), 5, 2).stop
    assert Engine().judge(history(Direction.MINIMIZE, *curves, running=[9.0, 9.0]), 6, 2).stop


def test_a_program_that_reports_once_is_never_stopped() -> None:
    assert not Engine().judge(history(Direction.MINIMIZE, [0.1], [0.1], [0.1], running=[9.0]), 4, 1).stop


def test_no_verdict_in_the_first_quarter() -> None:
    long = [[1.0] * 20] * 3
    bad = [9.0] * 20
    first = [e for e in range(1, 21) if Engine().judge(history(Direction.MINIMIZE, *long, running=bad[:e]), 4, e).stop]
    assert first == list(range(5, 21))


@pytest.mark.parametrize(
    ("ascending", "expected"), [([3.0], 3.0), ([1.0, 4.0], 2.5), ([1, 2, 9], 2.0), ([1.0, 2.0, 4.0, 9.0], 3.0)]
)
def test_the_median_of_many_and_of_few(ascending: list[float], expected: float) -> None:
    assert median_of(ascending) == expected


@pytest.mark.parametrize("gap", [math.nan, math.inf, -math.inf])
def test_a_gap_neither_stops_nor_enters_medians(gap: float) -> None:
    assert not Engine().judge(history(Direction.MINIMIZE, *FINISHED, running=[1.0, 1.0, gap]), 4, 3).stop
    with_gap = ([1.0, gap, 0.6], [1.0, 0.9, 0.8], [1.0, 1.0, 1.0])
    verdict = Engine().judge(history(Direction.MINIMIZE, *with_gap, running=[1.0, 1.0, 0.95]), 4, 3)
    assert verdict.threshold == pytest.approx(0.9)


def test_diverged_and_failed_jobs_never_enter_medians() -> None:
    curves = [*FINISHED[:2], [0.0, 0.0, math.nan]]
    assert not Engine().judge(history(Direction.MINIMIZE, *curves, running=[9.0, 9.0, 9.0]), 4, 3).stop


def test_what_was_cut_short_from_outside_measures_nobody() -> None:
    made = history(Direction.MINIMIZE, *FINISHED, running=[1.2, 1.1, 0.95])
    assert Engine().judge(made, 4, 3).stop
    made.apply([Ended(3, 1.0, False, False, stopped=True, cut=True)])
    assert not Engine().judge(made, 4, 3).stop


def test_the_answer_is_the_same_after_a_restart_and_while_the_history_grows() -> None:
    grown, engine = history(Direction.MINIMIZE, running=[9.0]), Engine()
    for number in range(2, 12):
        grown.apply([Appeared(number, 0, {"x": number / 12})])
        for epoch in range(1, 5):
            grown.apply([Emitted(number, epoch, 1.0 / (number + epoch))])
            kept, fresh = engine.judge(grown, number, epoch), Engine().judge(grown.snapshot(), number, epoch)
            assert kept == fresh
        grown.apply([Ended(number, 1.0 / (number + 4), False, False, False)])
