"""Killed controllers and jobs with more to remember: Hyperband, warm start, several definitions.

An uninterrupted run with the same seed, one training job at a time, says which configurations must come.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from tunewright.core.events import Event, Exited, Judged, Proposed
from tunewright.core.history import History
from tunewright.core.job import Job, JobStatus
from tunewright.core.machine import step
from tunewright.core.trial import StopCause, TrialStatus
from tunewright.search.advisor import Engine
from tunewright.search.allocate import allocate

from .site import METRIC, RANGES, Site

HYPERBAND = {
    "Strategy": "Hyperband",
    "StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 6}},
}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def moments(site: Site, name: str = "kill") -> list[tuple[Job | None, History, Event]]:
    """Every event with the job and a copy of the history before it."""
    uid = site.job(name).uid
    spec = site.job(name).spec
    warm = spec.warm_start.parents if spec.warm_start is not None else ()
    store = site.host.store
    history = History(spec, tuple(store.history(store.find(parent, tuning=True)) for parent in warm))
    found: list[tuple[Job | None, History, Event]] = []
    job: Job | None = None
    for event in store.journal(uid):
        found.append((job, history.snapshot(), event))
        change = step(job, event)
        job = change.job
        history.apply(change.facts)
    return found


def verdicts_are_the_rules(site: Site) -> int:
    """Every verdict follows from the values recorded before it; how many stopped a training job."""
    rule = Engine()
    stops = 0
    for _, history, event in moments(site):
        if isinstance(event, Judged):
            assert rule.judge(history, event.number, event.upto) == event.verdict
            stops += event.verdict.stop
    return stops


def completed_only_where_the_program_was_done(site: Site) -> None:
    """A training job that was told to stop is Stopped, or its program had ended by itself before it could be."""
    journal = [event for _, _, event in moments(site)]
    for trial in site.trials():
        told = [e for e in journal if isinstance(e, Judged) and e.number == trial.number and e.verdict.stop]
        [exited] = [e for e in journal if isinstance(e, Exited) and e.number == trial.number]
        if trial.status is TrialStatus.STOPPED:
            assert len(told) == 1 and exited.killed
            assert trial.cause in (StopCause.EARLY, StopCause.MAX_RESOURCE)
        else:
            assert trial.status is TrialStatus.COMPLETED and exited.exit_code == 0 and not exited.killed
            assert len(told) <= 1


def each_started_once(site: Site, jobs: int, name: str = "kill") -> None:
    starts = Counter(training for word, training, _ in site.lines() if word == "start" and training.startswith(name))
    assert set(starts) == {trial.name for trial in site.trials(name)}
    assert set(starts.values()) == {1}, "a training job ran twice"
    assert len(starts) == jobs
    site.refolds(name)


def configurations(site: Site) -> list[tuple[int, dict[str, object]]]:
    return [(trial.definition, dict(trial.point)) for trial in site.trials()]


def test_hyperband(tmp_path: Path) -> None:
    killed, calm = Site(tmp_path / "killed"), Site(tmp_path / "calm")
    for site, parallel in ((killed, 3), (calm, 1)):
        # The programs know nothing of MaxResource: those that are let go on pass it.
        site.create("kill", HYPERBAND, site.training(2.0, rounds=9), jobs=10, parallel=parallel)
    assert killed.kill_controllers(6, random.Random(4)) >= 4
    for site in (killed, calm):
        job = site.finish()
        assert job.status is JobStatus.COMPLETED and job.counters.succeeded == 10
        each_started_once(site, 10)
        assert verdicts_are_the_rules(site) >= 3
        completed_only_where_the_program_was_done(site)
    assert configurations(killed) == configurations(calm)


def test_warm_start(tmp_path: Path) -> None:
    """By the model, one at a time: the same results lead to the same configurations, whoever was killed between."""
    warm = {
        "WarmStartConfig": {
            "WarmStartType": "IdenticalDataAndAlgorithm",
            "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "before"}],
        }
    }
    killed, calm = Site(tmp_path / "killed"), Site(tmp_path / "calm")
    for site in (killed, calm):
        site.create("before", {}, site.training(0.1), jobs=4, parallel=2)
        assert site.finish(name="before").counters.succeeded == 4
        bayesian = {"Strategy": "Bayesian", "TrainingJobEarlyStoppingType": "Auto"}
        site.create("kill", bayesian, site.training(1.0, rounds=4), jobs=6, parallel=1, **warm)
    assert killed.kill_controllers(4, random.Random(5)) >= 3
    for site in (killed, calm):
        assert site.finish().status is JobStatus.COMPLETED
        each_started_once(site, 6)
        verdicts_are_the_rules(site)
        completed_only_where_the_program_was_done(site)
    assert configurations(killed) == configurations(calm)


def test_two_definitions(tmp_path: Path) -> None:
    """Past the fair start the allocator draws: by the number of the trial, and by what had ended when it was asked."""
    killed, calm = Site(tmp_path / "killed"), Site(tmp_path / "calm")
    for site in (killed, calm):
        ranges = {"HyperParameterRanges": RANGES, "TuningObjective": METRIC}
        slow, quick = (
            site.training(seconds, DefinitionName=name, **ranges) for name, seconds in (("slow", 0.5), ("quick", 0.2))
        )
        site.create("kill", {"Strategy": "Bayesian"}, slow, quick, jobs=12, parallel=1)
    assert killed.kill_controllers(5, random.Random(6)) >= 3
    for site in (killed, calm):
        job = site.finish()
        assert job.status is JobStatus.COMPLETED and job.counters.succeeded == 12
        each_started_once(site, 12)
        for before, history, event in moments(site):
            if isinstance(event, Proposed) and event.proposals:
                assert before is not None
                [proposal] = event.proposals
                drawn = allocate(before.spec, history.records, proposal.number, [0, 1])
                assert proposal.definition == drawn
    assert configurations(killed) == configurations(calm)
