"""The controller is killed at random moments while real programs train: counts come from what they wrote."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from tunewright.core.job import JobStatus
from tunewright.core.reads import TrialQuery

from .site import Site, wait


def one(place: Path, *, jobs: int, parallel: int, seconds: float) -> Site:
    """A site with a Random job."""
    site = Site(place)
    site.create("kill", {}, site.training(seconds), jobs=jobs, parallel=parallel)
    return site


def each_ran_once(site: Site, jobs: int) -> None:
    counts = Counter((word, name) for word, name, _ in site.lines())
    started = {name for word, name in counts if word == "start"}
    assert len(started) == jobs
    assert set(counts.values()) == {1}, "a training job ran twice"
    assert {name for word, name in counts if word == "end"} == started, "a training job was lost"
    views = site.host.reads.all_trials(site.job().uid)
    assert {view.trial.name for view in views} == started
    assert all(view.trial.value is not None for view in views)
    site.refolds()


def test_a_killed_controller_loses_nothing_and_runs_nothing_twice(tmp_path: Path) -> None:
    site = one(tmp_path, jobs=6, parallel=3, seconds=1.5)
    site.kill_controllers(5, random.Random(1))
    job = site.finish()
    assert job.status is JobStatus.COMPLETED and job.counters.succeeded == 6
    each_ran_once(site, 6)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_kills_of_the_controller(tmp_path: Path) -> None:
    site = one(tmp_path, jobs=20, parallel=3, seconds=10.0)
    site.kill_controllers(50, random.Random(2))
    job = site.finish(300.0)
    assert job.status is JobStatus.COMPLETED and job.counters.succeeded == 20
    each_ran_once(site, 20)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_training_programs_are_failures_or_retries_but_never_lost(tmp_path: Path) -> None:
    """Programs are killed like by the system's out-of-memory killer: those jobs fail, the others succeed."""
    site = one(tmp_path, jobs=12, parallel=3, seconds=2.0)
    process = site.controller()
    dice = random.Random(3)
    killed: set[str] = set()
    try:
        for _ in range(600):
            wait(process, 0.1)
            ended = {name for word, name, _ in site.lines() if word == "end"}
            running = [(n, pid) for w, n, pid in site.lines() if w == "start" and n not in ended | killed]
            if running and len(killed) < 3 and dice.random() < 0.2:
                name, pid = dice.choice(running)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(name)
            if site.job().status.terminal:
                break
    finally:
        process.kill()
        process.wait()
    job = site.job()
    assert job.status is JobStatus.COMPLETED
    assert len({name for word, name, _ in site.lines() if word == "start"}) == 12
    failed = {v.trial.name: v.trial.reason for v in site.host.reads.all_trials(job.uid) if v.trial.failure}
    assert set(failed) == killed
    assert all("killed" in reason for reason in failed.values())
    site.refolds()


def test_the_home_of_a_job_is_for_its_owner_alone(tmp_path: Path) -> None:
    site = one(tmp_path, jobs=1, parallel=1, seconds=0.1)
    assert site.settings.home.stat().st_mode & 0o077 == 0
    assert site.host.reads.trials(TrialQuery()).items == ()
