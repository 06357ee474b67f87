"""Recorded tuning jobs, replayed: the same rows from the journal, the same opinions from the history.

Random, Grid and Hyperband draw by trial number, so their configurations must come out as they were recorded. A
model's configurations are the outcome of long sums and of an optimiser: another machine's last digit, or a better
search, moves them. For those it is checked that the same history and seed give the same answer, and that every
recorded answer keeps the rules that hold for any answer.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from tunewright.cli.supposing import rule_of
from tunewright.control.whatif import what_if
from tunewright.core.events import Judged, Promoted, Proposal, Proposed
from tunewright.core.history import History, Record
from tunewright.core.job import Job
from tunewright.core.machine import step, todo
from tunewright.core.spec import Strategy
from tunewright.core.trial import Trial, TrialStatus
from tunewright.search.advisor import Engine, proposals_by_model
from tunewright.search.allocate import allocate

from .record import HERE, Recording, names, read

every = pytest.mark.parametrize("name", names())


def by_number(recording: Recording) -> bool:
    """Whether configurations follow from the seed and the trial's number (and, in finite spaces, what was tried)."""
    spec = recording.spec
    model = spec.strategy is Strategy.BAYESIAN or (spec.strategy is Strategy.HYPERBAND and proposals_by_model(spec))
    return not model


def asked(recording: Recording) -> Iterator[tuple[Job, History, Proposed]]:
    """Every answer that made training jobs, with the job and the history that it was given to."""
    for moment in recording.moments():
        if isinstance(moment.event, Proposed) and moment.event.proposals:
            assert moment.job is not None and moment.history is not None
            yield moment.job, moment.history, moment.event


def plain(proposal: Proposal) -> tuple[int, int, dict[str, object]]:
    point = {name: pytest.approx(v, rel=1e-9) if isinstance(v, float) else v for name, v in proposal.point.items()}
    return proposal.number, proposal.definition, point


def test_every_strategy_is_recorded_with_all_that_it_allows() -> None:
    recordings = [read(name) for name in names()]
    early = {r.spec.strategy for r in recordings if r.spec.early_stopping}
    warm = {r.spec.strategy for r in recordings if r.spec.warm_start}
    several = {r.spec.strategy for r in recordings if len(r.spec.definitions) > 1}
    assert early == {Strategy.RANDOM, Strategy.GRID, Strategy.BAYESIAN}
    assert warm == {Strategy.RANDOM, Strategy.BAYESIAN}, "others refuse it"
    assert several == set(Strategy)
    statuses = Counter(trial.status for r in recordings for trial in r.trials)
    assert set(statuses) == {TrialStatus.COMPLETED, TrialStatus.STOPPED, TrialStatus.FAILED}
    assert any(trial.attempt > 1 for r in recordings for trial in r.trials)


@every
def test_the_journal_gives_the_rows(name: str) -> None:
    recording = read(name)
    job: Job | None = None
    trials: dict[int, Trial] = {}
    curves: dict[int, dict[int, float]] = {}
    for event in recording.journal:
        change = step(job, event)
        job = change.job
        for trial in change.trials:
            if trial.number not in trials or trials[trial.number].origin != trial.origin:
                curves[trial.number] = {}
            trials[trial.number] = trial
        for point in change.points:
            assert point.objective and point.epoch is not None
            curves[point.number][point.epoch] = point.value
        assert step(job, event).job == job, f"{event} is told twice and changes more"
    assert job == recording.job and todo(job) == []
    assert tuple(trials.values()) == recording.trials
    assert {n: sorted(points.items()) for n, points in curves.items()} == recording.curves


@every
def test_the_files_are_strict_json(name: str) -> None:
    json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)


@every
def test_every_verdict_is_the_rules(name: str) -> None:
    recording = read(name)
    rule = Engine()
    given = 0
    for moment in recording.moments():
        if isinstance(moment.event, Judged):
            assert moment.history is not None
            event = moment.event
            assert rule.judge(moment.history, event.number, event.upto) == event.verdict, event
            given += 1
    judged = recording.spec.judged
    assert (given > 0) is judged
    if judged:
        assert any(trial.verdict is not None and trial.verdict.stop for trial in recording.trials)


@pytest.mark.parametrize("name", [name for name in names() if read(name).spec.promotes])
def test_every_promotion_is_the_rules(name: str) -> None:
    rule = Engine()
    resumed = 0
    for moment in read(name).moments():
        if isinstance(moment.event, Promoted):
            assert moment.job is not None and moment.history is not None
            assert moment.event.news == moment.job.news
            assert rule.promote(moment.history, moment.job.places()) == moment.event.promotions
            resumed += len(moment.event.promotions)
    assert resumed == sum(trial.resumptions for trial in read(name).trials) > 0


@pytest.mark.parametrize("name", [name for name in names() if by_number(read(name))])
def test_configurations_by_number_come_out_as_recorded(name: str) -> None:
    recording = read(name)
    engine = Engine()
    for _, history, event in asked(recording):
        again = engine.propose(history, event.proposals[0].number, len(event.proposals))
        assert [plain(p) for p in again.proposals] == [plain(p) for p in event.proposals]
        assert (again.exhausted, again.converged) == (event.exhausted, event.converged)


@every
def test_the_same_history_gives_the_same_configurations(name: str) -> None:
    """Whatever was asked before: an engine that saw all of the job, and one that sees this moment alone."""
    recording = read(name)
    engine = Engine()
    for place, (_, history, event) in enumerate(asked(recording)):
        first, count = event.proposals[0].number, len(event.proposals)
        answer = engine.propose(history.snapshot(), first, count)
        assert [p.number for p in answer.proposals] == list(range(first, first + count))
        if place % 3 == 0:
            assert Engine().propose(history.snapshot(), first, count) == answer


@every
def test_recorded_configurations_keep_the_rules(name: str) -> None:
    recording = read(name)
    seen: set[str] = set()
    for job, history, event in asked(recording):
        assert event.proposals[0].number == job.next_number == len(history.records) + 1
        assert len(event.proposals) <= job.room()
        for proposal in event.proposals:
            space = recording.spec.definitions[proposal.definition].space
            assert space.contains(proposal.point)
            key = f"{proposal.definition} {sorted(proposal.point.items())}"
            assert key not in seen, "proposed twice while others were left"
            seen.add(key)
    assert len(seen) == len(recording.trials)


@pytest.mark.parametrize("name", [name for name in names() if len(read(name).spec.definitions) > 1])
def test_the_allocator_draws_by_trial_number(name: str) -> None:
    """The draw rests on the seed, the number and what had ended; nothing of it is remembered."""
    recording = read(name)
    spec = recording.spec
    seen = Counter[int]()
    for _, history, event in asked(recording):
        records = dict(history.records)
        for proposal in event.proposals:
            everyone = list(range(len(spec.definitions)))
            drawn = allocate(spec, records, proposal.number, everyone)
            free = spec.definitions[drawn].space.size()
            used_up = free is not None and seen[drawn] >= free
            assert proposal.definition == drawn or used_up
            seen[proposal.definition] += 1
            records[proposal.number] = Record(proposal.number, proposal.definition, proposal.point)
    assert set(seen) == set(range(len(spec.definitions)))


@pytest.mark.parametrize("name", [name for name in names() if read(name).spec.judged and not read(name).spec.promotes])
def test_under_its_own_rule_the_same_training_jobs_stop(name: str) -> None:
    recording = read(name)
    found = what_if(recording.journal, recording.spec, Engine())
    in_truth = {n: (c.epoch, c.verdict) for n, c in found.recorded.items() if c.verdict is not None}
    supposed = {c.number: (c.epoch, c.verdict) for c in found.stopped}
    assert in_truth and {n: supposed.get(n) for n in in_truth} == in_truth


def test_training_jobs_that_were_resumed_may_be_supposed_under_a_rule_that_stops() -> None:
    recording = read("hyperband-promotion")
    found = what_if(recording.journal, rule_of("hyperband", recording.spec), Engine())
    assert found.stopped and all(course.verdict is not None for course in found.stopped)
    assert all(course.epoch <= found.recorded[course.number].epoch for course in found.stopped)
    assert sum(course.seconds for course in found.recorded.values()) == sum(trial.ran for trial in recording.trials)
