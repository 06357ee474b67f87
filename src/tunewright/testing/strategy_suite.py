"""The rules that every strategy keeps, as tests.

    class TestMine(StrategySuite):
        name = "mine"                       # what users call it
        def make(self) -> Strategy:
            return Mine()

The suite drives a strategy through histories as a controller would: proposals are numbered, appear in the
history before anything runs, and end in any order. It needs pytest to collect it and nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import pytest

from tunewright.core.errors import Invalid
from tunewright.core.events import Proposal
from tunewright.core.history import Appeared, Ended, Fact, History
from tunewright.core.space import (
    CategoricalParameter,
    ContinuousParameter,
    IntegerParameter,
    Parameter,
    Point,
    Space,
)
from tunewright.core.spec import Definition, Direction, Hyperband, JobSpec, Objective, Strategy, Training
from tunewright.search.strategy import Strategy as Proposer

MIXED: Mapping[str, Parameter] = {
    "rate": ContinuousParameter(1e-5, 1.0, "Logarithmic"),
    "momentum": ContinuousParameter(0.0, 0.99, "ReverseLogarithmic"),
    "shift": ContinuousParameter(-3.0, 2.0, "Linear"),
    "units": IntegerParameter(1, 512),
    "big": IntegerParameter(-(10**9), 10**9),
    "only": IntegerParameter(7, 7),
    "kind": CategoricalParameter(["a", "b", 3, False]),
}

FINITE: Mapping[str, Parameter] = {
    "a": CategoricalParameter(["x", "y", "z"]),
    "b": CategoricalParameter([1, 2, 3]),
    "c": IntegerParameter(0, 2),
}

RULED = Space(
    {
        "lr": ContinuousParameter(1e-5, 1.0, "Logarithmic"),
        "batch": IntegerParameter(16, 256, step=16),
        "drop": ContinuousParameter(0.0, 0.5, step=0.05),
        "momentum": ContinuousParameter(0.0, 0.99),
        "nesterov": CategoricalParameter([True, False]),
        "beta1": ContinuousParameter(0.8, 0.99),
        "only": CategoricalParameter(["one"]),
        "opt": CategoricalParameter(["adam", "sgd", "lion"]),
    },
    conditions={"beta1": "opt == 'adam'", "momentum": "opt = sgd", "nesterov": "momentum >= 0.3"},
    forbidden=("opt == 'sgd' and lr > 0.1", "batch >= 128 and drop == 0 or batch < 32"),
)

RULED_FINITE = Space(
    {
        "y": ContinuousParameter(0.0, 1.0, step=0.5),
        "x": IntegerParameter(0, 6, step=3),
        "opt": CategoricalParameter(["a", "b", "c"]),
        "z": CategoricalParameter([1, 2]),
    },
    conditions={"x": "opt == 'a'", "y": "x > 0"},
    forbidden=("opt == b and z == 1",),
)
"""17 points: 14 with opt a, of which 2 have no y; 1 with b; 2 with c."""


def bowl(point: Point) -> float:
    """An objective over any space, deterministic, with different values at different points."""
    total = 0.0
    for place, value in enumerate(point.values(), start=1):
        number = float(value) if not isinstance(value, str) else float(sum(map(ord, value)))
        total += math.atan(number / place) ** 2 + 0.01 * math.sin(number)
    return total


def in_turns(results: Sequence[float | None]) -> Callable[[Proposal], float | None]:
    """What a proposal's number picks of some results."""
    return lambda proposal: results[proposal.number % len(results)]


class StrategySuite:
    """Subclass it as `Test...`, name the strategy and make it."""

    name = "Random"
    """AMT's name, or that of an installed strategy."""

    finite_only = False
    """Whether the strategy cannot work on continuous ranges (it then raises Invalid)."""

    by_number_only = False
    """Whether the k-th configuration follows from seed and k alone, whatever the results."""

    ends = True
    """Whether the strategy says `exhausted` when a finite space is used up, without repeating a point."""

    def make(self) -> Proposer:
        """A new strategy, as a process that just started would make it."""
        raise NotImplementedError("return the strategy under test")

    # ---- help ----

    def spec(self, space: Mapping[str, Parameter] | Space, *, seed: int = 0, maximise: bool = False) -> JobSpec:
        direction = Direction.MAXIMIZE if maximise else Direction.MINIMIZE
        whole = space if isinstance(space, Space) else Space(space)
        definition = Definition(whole, Objective("objective", direction), Training())
        known = self.name in set(Strategy)
        return JobSpec(
            name="suite",
            definitions=(definition,),
            strategy=Strategy(self.name) if known else Strategy.BAYESIAN,
            hyperband=Hyperband(1, 9) if self.name == Strategy.HYPERBAND else None,
            seed=seed,
            options={} if known else {"strategy": json.dumps(self.name)},
        )

    def space(self) -> Mapping[str, Parameter]:
        """A space with parameters of every kind that the strategy can work on."""
        return FINITE if self.finite_only else MIXED

    def play(
        self,
        history: History,
        batches: Iterable[int],
        result: Callable[[Proposal], float | None] = lambda proposal: bowl(proposal.point),
        strategy: Proposer | None = None,
    ) -> list[Proposal]:
        """Propose batches, each of which ends, last first, before the next one is asked for."""
        played: list[Proposal] = []
        one = strategy or self.make()
        for size in batches:
            answer = one.propose(history, len(history.records) + 1, size)
            history.apply([Appeared(p.number, p.definition, p.point) for p in answer.proposals])
            history.apply([ended(p.number, result(p)) for p in reversed(answer.proposals)])
            played += answer.proposals
            if answer.exhausted:
                break
        return played

    # ---- the rules ----

    def test_proposals_are_numbered_legal_and_native(self) -> None:
        history = History(self.spec(self.space()))
        played = self.play(history, [1, 3, 4, 2, 5])
        assert [p.number for p in played] == list(range(1, 16))
        for proposal in played:
            assert history.spec.definitions[0].space.contains(proposal.point), proposal
            assert list(proposal.point) == list(self.space())
            for name, value in proposal.point.items():
                parameter = self.space()[name]
                whole, real = isinstance(parameter, IntegerParameter), isinstance(parameter, ContinuousParameter)
                assert type(value) is int if whole else type(value) is float if real else True, (name, value)

    def test_no_configuration_comes_twice_while_others_remain(self) -> None:
        for batch in (1, 4):
            played = self.play(History(self.spec(FINITE, seed=batch)), [batch] * 5)
            assert len({key(p.point) for p in played}) == len(played) == 5 * batch

    def test_many_pending_trials_are_all_different(self) -> None:
        history = History(self.spec(self.space()))
        first = self.play(history, [10])
        asked = self.make().propose(history, 11, 15).proposals
        assert len({key(p.point) for p in [*first, *asked]}) == 25

    def test_a_finite_space_ends_aloud(self) -> None:
        if not self.ends:
            pytest.skip("this strategy says nothing at the end of a space")
        history = History(self.spec(FINITE))
        played = self.play(history, [4] * 20)
        assert len({key(p.point) for p in played}) == len(played) == 27
        again = self.make().propose(history, 28, 3)
        assert again.exhausted and not again.proposals

    def test_continuous_ranges_work_or_are_refused(self) -> None:
        try:
            answer = self.make().propose(History(self.spec(MIXED)), 1, 1)
        except Invalid as refused:
            assert self.finite_only and refused.problems
        else:
            assert len(answer.proposals) == 1 and not answer.exhausted

    def test_a_restart_changes_nothing(self) -> None:
        kept = self.make()
        history = History(self.spec(self.space(), seed=5))
        for batch in (2, 4, 5, 2, 2):
            number = len(history.records) + 1
            answer = kept.propose(history, number, batch)
            assert self.make().propose(rebuilt(history), number, batch) == answer, "a fresh strategy differs"
            assert kept.propose(history, number, batch) == answer, "asking again differs"
            facts: list[Fact] = [Appeared(p.number, 0, p.point) for p in answer.proposals]
            history.apply([*facts, ended(number, bowl(answer.proposals[0].point))])

    def test_asking_changes_nothing(self) -> None:
        history = History(self.spec(self.space()))
        self.play(history, [3, 3])
        before = repr(history.records)
        self.make().propose(history, 7, 2)
        assert repr(history.records) == before

    def test_seeds_differ(self) -> None:
        if self.finite_only:
            pytest.skip("this strategy draws nothing")
        one = self.play(History(self.spec(MIXED, seed=1)), [8])
        other = self.play(History(self.spec(MIXED, seed=2)), [8])
        assert [p.point for p in one] != [p.point for p in other]

    def test_the_kth_configuration_follows_from_the_seed(self) -> None:
        if not self.by_number_only:
            pytest.skip("this strategy goes by results too")
        one = self.play(History(self.spec(self.space(), seed=42)), [1] * 20)
        other = self.play(History(self.spec(self.space(), seed=42)), [4, 3, 7, 6], lambda p: -bowl(p.point))
        assert [p.point for p in one] == [p.point for p in other]

    def ruled(self) -> Space:
        """A space with steps, conditions and forbidden combinations that the strategy can work on."""
        return RULED_FINITE if self.finite_only else RULED

    def test_rules_of_the_space_are_kept(self) -> None:
        for seed in range(3):
            history = History(self.spec(self.ruled(), seed=seed))
            for proposal in self.play(history, [1, 3, 4, 1, 1, 5]):
                assert self.ruled().contains(proposal.point), proposal
                assert list(proposal.point) == [name for name in self.ruled().parameters if name in proposal.point]

    def test_a_ruled_finite_space_is_used_up_without_repeating(self) -> None:
        for batch in (1, 4):
            history = History(self.spec(RULED_FINITE, seed=batch))
            played = self.play(history, [batch] * (16 // batch))
            assert all(RULED_FINITE.contains(p.point) for p in played)
            assert len({key(p.point) for p in played}) == len(played) == 16
        if self.ends:
            last = self.make().propose(history, 17, 3)
            assert (
                last.exhausted and len(last.proposals) == 1 and last.proposals[0].point not in [p.point for p in played]
            )

    def test_a_restart_changes_nothing_where_there_are_rules(self) -> None:
        kept, history = self.make(), History(self.spec(self.ruled(), seed=5))
        for batch in (2, 4, 3, 2):
            number = len(history.records) + 1
            answer = kept.propose(history, number, batch)
            assert self.make().propose(rebuilt(history), number, batch) == answer, "a fresh strategy differs"
            facts: list[Fact] = [Appeared(p.number, 0, p.point) for p in answer.proposals]
            history.apply([*facts, ended(number, bowl(answer.proposals[0].point))])

    def test_the_kth_configuration_follows_from_the_seed_where_there_are_rules(self) -> None:
        if not self.by_number_only:
            pytest.skip("this strategy goes by results too")
        one = self.play(History(self.spec(self.ruled(), seed=42)), [1] * 15)
        other = self.play(History(self.spec(self.ruled(), seed=42)), [4, 3, 7, 1], lambda p: -bowl(p.point))
        assert [p.point for p in one] == [p.point for p in other]

    def test_failures_and_divergence_are_survived(self) -> None:
        outcomes: Sequence[float | None] = (None, math.nan, math.inf, -math.inf, 1e300, -1e300, 0.0)
        for some in (outcomes, outcomes[:4], (None,), (0.0,)):
            history = History(self.spec(self.space()))
            played = self.play(history, [2] * 8, in_turns(some))
            assert len(played) == 16
            assert len({key(p.point) for p in played}) == 16

    def test_directions_are_mirrors(self) -> None:
        down = self.play(History(self.spec(self.space(), seed=3)), [2] * 7)
        up = self.play(History(self.spec(self.space(), seed=3, maximise=True)), [2] * 7, lambda p: -bowl(p.point))
        assert [p.point for p in down] == [p.point for p in up]

    def test_points_of_other_origin_are_learnt_or_ignored(self) -> None:
        history = History(self.spec(self.space()))
        for number, proposal in enumerate(self.play(History(self.spec(self.space(), seed=9)), [6]), start=1):
            outside = {n: v * 2 if type(v) is float and abs(v) < 0.4 else v for n, v in proposal.point.items()}
            history.apply([Appeared(number, 0, outside), ended(number, bowl(outside))])
        answer = self.make().propose(history, 7, 3)
        assert len(answer.proposals) == 3
        assert all(history.spec.definitions[0].space.contains(p.point) for p in answer.proposals)


def ended(number: int, value: float | None) -> Ended:
    """The end of a trial: None failed, not finite diverged."""
    finite = value is not None and math.isfinite(value)
    return Ended(number, value if finite else None, value is None, value is not None and not finite, False)


def rebuilt(history: History) -> History:
    """The same history as a controller that just started reads it from its store."""
    fresh = History(replace(history.spec), history.parents)
    for record in history.records.values():
        fresh.apply([Appeared(record.number, record.definition, dict(record.point))])
        if record.ended is not None:
            fresh.apply([record.ended])
    return fresh


def key(point: Point) -> tuple[object, ...]:
    """A point as something to count."""
    return tuple((name, type(value), value) for name, value in point.items())
