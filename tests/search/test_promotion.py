"""Halving by promotion: who is paused, who goes on, and that nobody is asked twice at a rung."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.core.errors import Invalid
from tunewright.core.history import Appeared, Emitted, Ended, History, Weighed
from tunewright.core.space import ContinuousParameter, Space
from tunewright.core.spec import Definition, Direction, Hyperband, JobSpec, Objective, Strategy, Training
from tunewright.core.trial import StopCause
from tunewright.search import Engine, Search
from tunewright.search.hyperband import ETA, rungs
from tunewright.search.promotion import PromotionRule

SPACE = {"x": ContinuousParameter(0, 1)}
OPTIONS = {"hyperband_mode": '"promotion"', "hyperband_proposals": '"random"'}


def spec(direction: Direction = Direction.MINIMIZE, most: int | None = 9, definitions: int = 1) -> JobSpec:
    one = Definition(Space(SPACE), Objective("loss", direction), Training())
    return JobSpec("job", (one,) * definitions, Strategy.HYPERBAND, hyperband=Hyperband(1, most), options=OPTIONS)


def told(of: JobSpec, *curves: tuple[float, ...], paused: tuple[int, ...] = ()) -> History:
    """A history of trials with these curves; those in `paused` were paused after their last epoch."""
    history = History(of)
    for number, curve in enumerate(curves, start=1):
        history.apply([Appeared(number, (number - 1) % len(of.definitions), {"x": number / 100})])
        history.apply([Emitted(number, epoch, value) for epoch, value in enumerate(curve, start=1)])
        if number in paused:
            history.apply([Weighed(number, len(curve), paused=True)])
    return history


def promoted(history: History, places: int = 9) -> list[int]:
    return [promotion.number for promotion in PromotionRule().promote(history, places)]


# ---- verdicts ----


def test_the_first_ones_wait_for_others() -> None:
    verdict = PromotionRule().judge(told(spec(), (0.5,)), 1, 1)
    assert (verdict.stop, verdict.cause) == (True, StopCause.PAUSED)
    assert verdict.why == "paused at epoch 1: 0.5 at rung 1 is number 1 of 1 jobs, 3 are needed"
    assert (verdict.value, verdict.threshold) == (0.5, None)


@pytest.mark.parametrize(("last", "stops"), [(0.3, False), (0.5, True), (0.6, True)])
def test_the_best_third_goes_on_at_once(last: float, stops: bool) -> None:
    verdict = PromotionRule().judge(told(spec(), (0.5,), (0.7,), (last,), paused=(1, 2)), 3, 1)
    assert verdict.stop is stops
    assert verdict.threshold == min(0.5, last)


def test_of_equals_the_earlier_goes_on() -> None:
    history = told(spec(), (0.5,), (0.5,), (0.5,), paused=(2, 3))
    assert not PromotionRule().judge(history, 1, 1).stop
    assert PromotionRule().judge(told(spec(), (0.5,), (0.5,), (0.5,), paused=(1, 2)), 3, 1).stop
    assert promoted(told(spec(), (0.5,), (0.5,), (0.5,), paused=(1, 2, 3))) == [1]


def test_more_is_better_where_it_is_maximised() -> None:
    of = spec(Direction.MAXIMIZE)
    assert promoted(told(of, (0.5,), (0.7,), (0.6,), paused=(1, 2, 3))) == [2]
    verdict = PromotionRule().judge(told(of, (0.5,), (0.7,), (0.6,), paused=(1, 2)), 3, 1)
    assert verdict.stop and verdict.threshold == 0.7


def test_between_rungs_and_past_them_nobody_is_asked() -> None:
    history = told(spec(), (0.9, 0.8), (0.1,), (0.2,), paused=(2, 3))
    rule = PromotionRule()
    assert rule.judge(history, 1, 2).stop, "it passed rung 1 unasked"
    history.apply([Weighed(1, 1)])
    assert not rule.judge(history, 1, 2).stop
    history.apply([Emitted(1, 3, 0.7)])
    verdict = rule.judge(history, 1, 3)
    assert verdict.stop and "rung 3 is number 1 of 1" in verdict.why


def test_the_maximum_is_the_end_and_no_pause() -> None:
    verdict = PromotionRule().judge(told(spec(most=3), (0.9, 0.8, 0.7)), 1, 3)
    assert (verdict.stop, verdict.cause, verdict.value) == (True, StopCause.MAX_RESOURCE, 0.7)


def test_a_trial_without_a_finite_value_is_behind_all_others_and_takes_no_place() -> None:
    history = told(spec(), (math.nan,), (0.5,), (0.4,), (0.3,), paused=(2, 3, 4))
    verdict = PromotionRule().judge(history, 1, 1)
    assert verdict.stop and verdict.cause is StopCause.EARLY
    assert verdict.why == "stopped at epoch 1: no finite value up to rung 1, which 3 jobs passed"
    assert promoted(history) == [4]
    assert not PromotionRule().judge(told(spec(), (math.nan,), (0.5,), paused=(2,)), 1, 1).stop


def test_a_gap_at_a_rung_is_bridged_by_the_value_before_it() -> None:
    history = told(spec(), (0.9, 0.8, 0.5), (0.9, 0.8, 0.4), (0.9, 0.1, math.nan), paused=(1, 2))
    verdict = PromotionRule().judge(history, 3, 3)
    assert (verdict.stop, verdict.value) == (False, 0.1)


# ---- promotions ----


def test_a_promotion_says_what_was_compared() -> None:
    history = told(spec(), (0.5, 0.45), (0.7,), (0.6,), paused=(1, 2, 3))
    [promotion] = PromotionRule().promote(history, 9)
    verdict = promotion.verdict
    assert (promotion.number, verdict.stop, verdict.value, verdict.threshold) == (1, False, 0.5, 0.5)
    assert verdict.why == ("resumed after epoch 2: 0.5 at rung 1 is number 1 of 3 jobs, the best 1 go on (up to 0.5)")


def test_what_counts_is_the_value_at_the_jobs_own_rungs() -> None:
    of = replace(spec(), hyperband=Hyperband(2, 18))
    assert promoted(told(of, (0.1, 0.9), (0.5, 0.5), (0.9, 0.1), paused=(1, 2, 3))) == [3]


def test_failed_ones_make_no_third() -> None:
    history = told(spec(), (0.5,), (0.4,), (0.3,), paused=(1, 2))
    history.apply([Ended(3, None, failed=True, diverged=False, stopped=False)])
    assert promoted(history) == []
    history.apply([Appeared(4, 0, {"x": 0.9}), Emitted(4, 1, 0.6)])
    assert promoted(history) == [2], "one that runs counts as soon as it passed the rung"


def test_the_highest_rung_comes_first_and_the_best_there() -> None:
    low = [(0.5,), (0.45,), *[(0.6 + place / 100,) for place in range(7)]]
    high = [(0.3, 0.2, 0.12), (0.3, 0.2, 0.11), (0.3, 0.2, 0.13)]
    history = told(spec(), *low, *high, paused=tuple(range(1, 13)))
    assert promoted(history) == [11, 2], "four of twelve at rung 1, three of which are past it; one of three at rung 3"
    assert promoted(history, 1) == [11]
    more = told(spec(), *low, *high, *[(0.7,)] * 3, paused=tuple(range(1, 16)))
    assert promoted(more) == [11, 2, 1], "there the best"


def test_definitions_are_compared_apart() -> None:
    of = spec(definitions=2)
    history = told(of, (0.5,), (0.1,), (0.6,), (0.2,), (0.7,), (0.3,), paused=tuple(range(1, 7)))
    assert promoted(history) == [1, 2]


def test_one_that_ran_past_the_next_rung_while_it_was_stopped_waits_there() -> None:
    history = told(spec(), (0.5, 0.5, 0.4), (0.6,), (0.7,), paused=(2, 3))
    history.apply([Weighed(1, 1, paused=True)])
    assert promoted(history) == [], "it is the first at rung 3"


def test_other_jobs_promote_nobody() -> None:
    stopping = JobSpec("job", spec().definitions, Strategy.HYPERBAND, hyperband=Hyperband(1, 9))
    history = told(stopping, (0.5,), (0.6,), (0.7,))
    assert Engine().promote(history, 3) == ()
    assert Engine().judge(told(spec(), (0.5,)), 1, 1).cause is StopCause.PAUSED


# ---- ask and tell ----


def asking(seed: int = 0, proposals: str = "random") -> Search:
    options = {**OPTIONS, "hyperband_proposals": json.dumps(proposals)}
    return Search(SPACE, strategy="Hyperband", seed=seed, max_resource=9, options=options)


def test_ask_resumes_before_it_suggests() -> None:
    search = asking()
    numbers = [search.ask().number for _ in range(3)]
    assert [search.report(n, 1, value) for n, value in zip(numbers, (0.5, 0.4, 0.6), strict=True)] == [False] * 3
    again = search.ask()
    assert (again.number, again.epoch) == (2, 1)
    assert again.values == search.history.records[2].point
    assert search.report(2, 2, 0.3) and not search.report(2, 3, 0.2)
    assert search.ask().number == 4, "alone at rung 3, it waits"
    with pytest.raises(Invalid, match="suggestion 2 is paused; report when ask"):
        search.report(2, 4, 0.1)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), workers=st.integers(1, 6))
def test_nobody_is_promoted_twice_past_a_rung_and_only_the_best_third_is(seed: int, workers: int) -> None:
    dice = random.Random(seed)
    search = asking(seed)
    worth = {number: dice.choice([dice.random(), 0.5]) for number in range(1, 400)}
    running: dict[int, int] = {}
    past: dict[tuple[int, int], int] = {}
    for _ in range(150):
        while len(running) < workers:
            before = search.history.snapshot()
            suggestion = search.ask()
            assert suggestion.number not in running
            running[suggestion.number] = suggestion.epoch
            if suggestion.epoch:
                fair(before, suggestion.number, past)
            else:
                assert not Engine().promote(before, 1), "one was fit to go on"
        number = dice.choice(list(running))
        running[number] += 1
        before_rungs = rungs(Hyperband(1, 9), running[number])
        goes_on = search.report(number, running[number], worth[number] + 1 / running[number])
        if running[number] in before_rungs and goes_on:
            past[number, running[number]] = past.get((number, running[number]), 0) + 1
        if not goes_on:
            del running[number]
    assert all(times == 1 for times in past.values()), "promoted twice past one rung"
    assert any(record.ended for record in search.history.records.values()), "some reached the maximum"


def fair(history: History, number: int, past: dict[tuple[int, int], int]) -> None:
    """A resumed trial is among the best third of those with a value at its rung."""
    rung = rungs(Hyperband(1, 9), max(history.records[number].curve))[-1]
    past[number, rung] = past.get((number, rung), 0) + 1
    values = sorted((r.curve[rung], r.number) for r in history.records.values() if rung in r.curve)
    place = values.index((history.records[number].curve[rung], number)) + 1
    assert place <= len(values) // ETA


def test_the_model_proposes_while_others_are_paused() -> None:
    """What paused trials have shown teaches the model; nothing of theirs is pending."""
    late: list[float] = []
    for seed in range(3):
        search = asking(seed, proposals="model")
        for _ in range(40):
            one = search.ask()
            for epoch in range(one.epoch + 1, 10):
                if not search.report(one.number, epoch, (float(str(one.values["x"])) - 0.3) ** 2 + 1 / epoch):
                    break
        late += [float(str(r.point["x"])) for r in search.history.records.values() if r.number > 20]
    assert np.mean(np.abs(np.array(late) - 0.3) < 0.15) > 0.5
    assert search.best is not None
