"""Hyperband's two brackets in extended mode: who is long, what is compared with what, and who learns from whom."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from tunewright.core.history import Appeared, Emitted, Ended, History
from tunewright.core.space import ContinuousParameter, IntegerParameter, Space, Value
from tunewright.core.spec import Definition, Direction, Hyperband, JobSpec, Objective, Strategy, Training
from tunewright.core.trial import StopCause, Verdict
from tunewright.search import Engine, Exhausted, Search
from tunewright.search.hyperband import ETA, LONG_SHARE, expected_epochs, is_long, long_interval, rungs

SPACE = {"x": ContinuousParameter(0, 1), "y": ContinuousParameter(0, 1)}
MOST = 9
STEP = long_interval(Hyperband(1, MOST))


def search(seed: int = 3, **settings: int) -> Search:
    return Search(SPACE, strategy="Hyperband", seed=seed, **{"max_resource": MOST, **settings})


def late_bloomer(values: dict[str, object], epoch: int) -> float:
    """The smaller x, the slower and the better in the end."""
    x, y = float(str(values["x"])), float(str(values["y"]))
    return 0.2 + 0.6 * x + 0.1 * y + (1.0 - x) * math.exp(-epoch / (1.0 + 8.0 * (1.0 - x)))


def play(one: Search, count: int) -> int:
    """Epochs spent on so many trials."""
    spent = 0
    for _ in range(count):
        suggestion = one.ask()
        epoch = 1
        while one.report(suggestion.number, epoch, late_bloomer(dict(suggestion.values), epoch)):
            epoch += 1
        spent += epoch
    return spent


def put(one: Search, number: int, values: list[float], *, ended: bool = True) -> Verdict:
    """A trial that showed these values; the verdict on it at the last of them."""
    one.history.apply([Appeared(number, 0, {"x": number / 100, "y": 0.5})])
    one.history.apply([Emitted(number, epoch, value) for epoch, value in enumerate(values, start=1)])
    verdict = Engine().judge(one.history, number, len(values))
    if ended:
        one.history.apply([Ended(number, values[-1], failed=False, stopped=verdict.stop, diverged=False)])
    return verdict


@pytest.mark.parametrize(("least", "most"), [(1, 2), (1, 3), (1, 9), (1, 27), (1, 81), (3, 27), (2, 50), (1, 1000)])
def test_both_brackets_get_as_many_epochs(least: int, most: int) -> None:
    settings = Hyperband(least, most)
    # Of ETA^k trials that begin, so many pass from one rung to the next.
    ends, alive, spent, before = [*rungs(settings, most - 1), most], 1.0, 0.0, 0
    for end in ends:
        spent += alive * (end - before)
        alive, before = alive / ETA, end
    assert expected_epochs(settings, most) == pytest.approx(spent)
    short = long_interval(settings) - 1
    share = LONG_SHARE * most / (LONG_SHARE * most + short * spent)
    assert 1 / 3 < share < 2 / 3 or short == 1


@pytest.mark.parametrize("settings", [Hyperband(1, None), Hyperband(5, 5)])
def test_without_rungs_below_a_known_end_there_is_one_bracket(settings: Hyperband) -> None:
    assert long_interval(settings) == 0
    history = History(replace(search().history.spec, hyperband=settings))
    assert not any(is_long(history, number) for number in range(1, 9))


def test_long_trials_are_compared_with_long_ones_by_the_median() -> None:
    one = search()
    assert STEP == 4
    for number, level in ((1, 0.5), (5, 0.6), (9, 0.7)):
        assert put(one, number, [level] * MOST).cause is StopCause.MAX_RESOURCE
    for number in (2, 3, 4, 6, 7, 8):
        put(one, number, [0.1])
    goes_on = put(one, 13, [9.0, 9.0, 0.55], ended=False)
    assert not goes_on.stop and "median 0.6 of 3 jobs" in goes_on.why
    stopped = put(one, 17, [9.0, 9.0, 0.65], ended=False)
    assert stopped.stop and "median 0.6 of 3 jobs" in stopped.why
    short = put(one, 18, [0.2])
    assert short.stop and "rung 1" in short.why


def test_no_long_trial_is_stopped_before_the_minimum_resource() -> None:
    one = search(min_resource=4, max_resource=27)
    step = long_interval(Hyperband(4, 27))
    for place in range(3):
        put(one, 1 + place * step, [0.5] * 27)
    verdicts = [put(one, 1 + (3 + n) * step, [9.0] * n, ended=False).stop for n in (3, 6, 7)]
    assert verdicts == [False, False, True], "and not in the first quarter of the usual epochs"


def test_the_verdict_follows_from_the_history() -> None:
    one = search()
    for _ in range(14):
        suggestion = one.ask()
        for epoch in range(1, MOST + 1):
            value = late_bloomer(dict(suggestion.values), epoch)
            one.history.apply([Emitted(suggestion.number, epoch, value)])
            verdict = Engine().judge(one.history, suggestion.number, epoch)
            assert one._engine.judge(one.history, suggestion.number, epoch) == verdict
            if verdict.stop:
                break
        one.tell(suggestion.number, value)


def test_early_values_do_not_mislead_the_long_trials() -> None:
    proposals = []
    for factor in (1.0, -50.0):
        one = search(seed=5)
        rng = np.random.default_rng(0)
        for number in range(1, 8 * STEP + 1):
            point = {"x": float(rng.random()), "y": float(rng.random())}
            one.history.apply([Appeared(number, 0, point)])
            if number % STEP == 1:
                one.history.apply([Emitted(number, epoch, late_bloomer(point, epoch)) for epoch in range(1, MOST + 1)])
                one.history.apply(
                    [Ended(number, late_bloomer(point, MOST), failed=False, stopped=True, diverged=False)]
                )
            else:
                value = factor * late_bloomer(point, 1)
                one.history.apply(
                    [Emitted(number, 1, value), Ended(number, value, failed=False, stopped=True, diverged=False)]
                )
        following = Engine().propose(one.history, 8 * STEP + 1, 2).proposals
        proposals.append([following[0].point, following[1].point])
    assert proposals[0][0] == proposals[1][0], "a long trial knows of full trainings alone"
    assert proposals[0][1] != proposals[1][1], "a short one of everything"


@pytest.mark.parametrize("end", ["failed", "diverged", "done"])
def test_long_trials_learn_from_short_ones_that_came_to_their_own_end(end: str) -> None:
    points = []
    for told in (False, True):
        one = search(seed=5)
        for number in range(1, 8 * STEP + 1):
            point = {"x": number / 40, "y": 0.5}
            one.history.apply([Appeared(number, 0, point)])
            if number % STEP == 1:
                one.history.apply([Emitted(number, epoch, late_bloomer(point, epoch)) for epoch in range(1, MOST + 1)])
                one.history.apply(
                    [Ended(number, late_bloomer(point, MOST), failed=False, stopped=True, diverged=False)]
                )
            elif told:
                value = 0.1 if end == "done" else None
                one.history.apply([Ended(number, value, end == "failed", end == "diverged", end == "diverged")])
            else:
                one.history.apply([Emitted(number, 1, 0.1), Ended(number, 0.1, False, False, stopped=True)])
        points.append(Engine().propose(one.history, 8 * STEP + 1, 1).proposals[0].point)
    assert points[0] != points[1]


def test_slow_starters_are_found_where_curves_cross() -> None:
    best = []
    for proposals in ("model", "random"):
        found = []
        for seed in range(3):
            options = {"hyperband_proposals": json.dumps(proposals)}
            one = Search(SPACE, strategy="Hyperband", seed=seed, max_resource=27, options=options)
            play(one, 60)
            found.append(min(r.value for r in one.history.records.values() if 27 in r.curve and r.value is not None))
        best.append(float(np.mean(found)))
    assert best[0] < best[1]
    assert best[0] < 0.34


def test_most_epochs_are_saved() -> None:
    assert play(search(max_resource=27), 40) < 0.5 * 40 * 27


def test_no_point_is_tried_twice_and_all_are() -> None:
    space = {"x": IntegerParameter(0, 4), "y": IntegerParameter(0, 4)}
    one = Search(space, strategy="Hyperband", seed=0, max_resource=MOST)
    seen = set()
    for _ in range(25):
        suggestion = one.ask()
        seen.add(tuple(suggestion.values.values()))
        for epoch in range(1, MOST + 1):
            if not one.report(suggestion.number, epoch, float(str(suggestion.values["x"])) + 1 / epoch):
                break
    assert len(seen) == 25
    with pytest.raises(Exhausted):
        one.ask()


def several(count: int = 2, **options: str) -> History:
    objective = Objective("m", Direction.MINIMIZE)
    definitions = tuple(Definition(Space(SPACE), objective, Training(), name=f"d{i}") for i in range(count))
    of = JobSpec("job", definitions, Strategy.HYPERBAND, seed=5, hyperband=Hyperband(1, MOST), options=options)
    return History(of)


def shown(history: History, number: int, point: dict[str, Value], values: list[float]) -> Verdict:
    """A trial that is proposed to be this one, and shows these values; it ends where a verdict stops it."""
    history.apply([Appeared(number, (number - 1) % len(history.spec.definitions), point)])
    for epoch, value in enumerate(values, start=1):
        history.apply([Emitted(number, epoch, value)])
        verdict = Engine().judge(history, number, epoch)
        if verdict.stop:
            break
    history.apply([Ended(number, value, failed=False, diverged=False, stopped=verdict.stop)])
    return verdict


def test_each_definition_has_long_trials_of_its_own() -> None:
    history, engine = several(3), Engine()
    ends: dict[int, list[str]] = {0: [], 1: [], 2: []}
    for number in range(1, 3 * 4 * STEP + 1):
        (proposal,) = engine.propose(history, number, 1).proposals
        verdict = shown(history, number, dict(proposal.point), [float(number)] * MOST)
        word = "long" if "median" in verdict.why or verdict.cause is StopCause.MAX_RESOURCE else "short"
        ends[proposal.definition].append(word if "rung" not in verdict.why else "short")
    # The first shorts meet nobody at their rungs.
    for mine in ends.values():
        assert [place for place, word in enumerate(mine) if word == "long" and place > 2] == [STEP, 2 * STEP, 3 * STEP]
        assert mine[0] == "long"


@pytest.mark.parametrize("definition", [0, 1])
def test_the_long_trials_of_every_definition_are_proposed_from_full_trainings(definition: int) -> None:
    proposals = []
    for factor in (1.0, -50.0):
        history = several()
        rng = np.random.default_rng(0)
        for number in range(1, 2 * 8 * STEP + 1):
            point: dict[str, Value] = {"x": float(rng.random()), "y": float(rng.random())}
            long = (number - 1) // 2 % STEP == 0
            values = [late_bloomer(point, epoch) for epoch in range(1, MOST + 1)] if long else [factor * point["x"]]  # type: ignore[operator,list-item]  # a float
            history.apply([Appeared(number, (number - 1) % 2, point)])
            history.apply([Emitted(number, epoch, value) for epoch, value in enumerate(values, start=1)])
            history.apply([Ended(number, values[-1], failed=False, diverged=False, stopped=True)])
        following = Engine().propose(history, 2 * 8 * STEP + 1, 4).proposals
        mine = [one.point for one in following if one.definition == definition]
        proposals.append(mine)
    assert proposals[0][0] == proposals[1][0], "a long trial knows of full trainings alone"
    assert proposals[0][1] != proposals[1][1], "a short one of everything"


def test_long_trials_of_no_definition_are_paused() -> None:
    history = several(hyperband_mode='"promotion"')
    for number in range(1, 13):
        history.apply([Appeared(number, (number - 1) % 2, {"x": number / 100, "y": 0.5})])
    paused = set()
    for number in range(1, 13):
        history.apply([Emitted(number, 1, float(number))])
        if Engine().judge(history, number, 1).cause is StopCause.PAUSED:
            paused.add(number)
    assert paused == {3, 4, 5, 6, 7, 8, 11, 12}
