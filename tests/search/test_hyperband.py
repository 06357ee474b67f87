"""Successive halving: rungs, thirds, the maximum resource."""

from __future__ import annotations

import json
import math

import pytest

from tunewright.core.history import Emitted
from tunewright.core.space import ContinuousParameter
from tunewright.core.spec import Hyperband
from tunewright.core.trial import StopCause
from tunewright.search import Engine, Search
from tunewright.search.hyperband import rungs

SPACE = {"x": ContinuousParameter(0, 1)}


def search(**settings: int) -> Search:
    return Search(SPACE, strategy="Hyperband", seed=1, **settings)


def advance(one: Search, number: int, epochs: int, value: float) -> int:
    """Report until stopped; how many epochs ran."""
    for epoch in range(1, epochs + 1):
        if not one.report(number, epoch, value):
            return epoch
    return epochs


@pytest.mark.parametrize(
    ("least", "most", "upto", "expected"),
    [(1, 27, 26, [1, 3, 9]), (1, 27, 2, [1]), (2, 18, 18, [2, 6]), (5, 5, 5, []), (1, None, 30, [1, 3, 9, 27])],
)
def test_rungs(least: int, most: int | None, upto: int, expected: list[int]) -> None:
    assert rungs(Hyperband(least, most), upto) == expected


@pytest.mark.parametrize(
    ("proposals", "expected"),
    [("random", [9, 9, 9, 1, 1, 9]), ("model", [9, 9, 9, 1, 9, 9])],
    ids=["three are needed to compare", "by model, the fifth is a long one"],
)
def test_the_best_third_goes_on_and_the_full_resource_is_the_end(proposals: str, expected: list[int]) -> None:
    options = {"hyperband_proposals": json.dumps(proposals)}
    one = Search(SPACE, strategy="Hyperband", seed=1, min_resource=1, max_resource=9, options=options)
    ran = [advance(one, one.ask().number, 9, value) for value in (0.5, 0.6, 0.1, 0.7, 0.8, 0.05)]
    assert ran == expected


def test_reaching_the_maximum_says_why() -> None:
    one = search(min_resource=1, max_resource=3)
    number = one.ask().number
    assert one.report(number, 1, 0.5) and one.report(number, 2, 0.4)
    assert not one.report(number, 3, 0.3)
    assert one.best is not None and one.best.value == 0.3
    verdict = Engine().judge(one.history, number, 3)
    assert verdict.cause is StopCause.MAX_RESOURCE and "maximum resource 3" in verdict.why


def test_epochs_that_arrive_together_pass_their_rungs() -> None:
    one = search(min_resource=1, max_resource=27)
    for value in (0.1, 0.2, 0.3):
        advance(one, one.ask().number, 5, value)
    late = one.ask().number
    assert not one.report(late, 4, 0.9)


def test_a_gap_at_a_rung_is_bridged_by_the_value_before_it() -> None:
    one = search(min_resource=1, max_resource=9)
    for value in (0.5, 0.6, 0.7):
        advance(one, one.ask().number, 9, value)
    number = one.ask().number
    assert one.report(number, 1, 0.1) and one.report(number, 2, 0.1) and one.report(number, 3, math.nan)
    verdict = Engine().judge(one.history, number, 3)
    assert verdict.value == 0.1 and verdict.why.startswith("goes on at epoch 3: 0.1 at rung 3 is number 1 of 3 jobs")


def test_the_verdict_shows_what_was_compared() -> None:
    one = search(min_resource=1, max_resource=9)
    asked = [one.ask().number for _ in range(3)]
    assert one.report(asked[0], 1, 0.3) and one.report(asked[1], 1, 0.2)
    one.history.apply([Emitted(asked[2], 1, 0.9)])
    verdict = Engine().judge(one.history, asked[2], 1)
    assert verdict.stop
    assert (verdict.value, verdict.threshold) == (0.9, 0.2)
    assert verdict.why == ("stopped at epoch 1: 0.9 at rung 1 is number 3 of 3 jobs, the best 1 go on (up to 0.2)")


def test_a_training_without_a_finite_value_is_behind_all_others() -> None:
    options = {"hyperband_proposals": json.dumps("random")}
    one = Search(SPACE, strategy="Hyperband", seed=1, min_resource=1, max_resource=9, options=options)
    assert [advance(one, one.ask().number, 9, value) for value in (math.nan, 0.5, 0.6)] == [9, 9, 9]
    number = one.ask().number
    assert not one.report(number, 1, math.nan)
    assert Engine().judge(one.history, number, 1).why.startswith("stopped at epoch 1: no finite value up to rung 1")


def test_a_training_without_a_finite_value_is_behind_others_that_still_run_too() -> None:
    options = {"hyperband_proposals": json.dumps("random")}
    one = Search(SPACE, strategy="Hyperband", seed=1, min_resource=1, max_resource=9, options=options)
    numbers = [one.ask().number for _ in range(3)]
    assert one.report(numbers[0], 1, 0.5) and one.report(numbers[1], 1, 0.4)
    assert not one.report(numbers[2], 1, math.nan)
