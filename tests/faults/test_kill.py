"""The controller is killed at random moments while real programs train: counts come from what they wrote."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tunewright.assembly import Host, Local
from tunewright.core.job import Job, JobStatus
from tunewright.core.machine import step
from tunewright.core.ports import TrialQuery
from tunewright.settings import Settings

PROGRAM = """
import argparse, os, time
parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float)
parser.add_argument("--ledger")
parser.add_argument("--seconds", type=float)
args = parser.parse_args()

def write(word):
    with open(args.ledger, "a") as ledger:
        ledger.write(f"{word} {os.environ['TRAINING_JOB_NAME']} {os.getpid()}\\n")

write("start")
time.sleep(args.seconds * (0.3 + args.rate))
print(f"loss={(args.rate - 0.3) ** 2};", flush=True)
write("end")
"""


class Site:
    """A home with one job, and a ledger that its training programs write."""

    def __init__(self, place: Path, *, jobs: int, parallel: int, seconds: float, retries: int = 0) -> None:
        self.ledger = place / "ledger.txt"
        self.settings = Settings.load({"TUNEWRIGHT_HOME": str(place / "home"), "TUNEWRIGHT_SLOTS": "8"}, place)
        self.host = Host.open(self.settings)
        self.environment = self.host.environment()
        source = place / "code"
        source.mkdir()
        (source / "train.py").write_text(PROGRAM)
        self.create(source, jobs, parallel, seconds, retries)

    def create(self, source: Path, jobs: int, parallel: int, seconds: float, retries: int) -> None:
        request = {
            "HyperParameterTuningJobName": "kill",
            "HyperParameterTuningJobConfig": {
                "Strategy": "Random",
                "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
                "ResourceLimits": {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": parallel},
                "ParameterRanges": {"ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0", "MaxValue": "1"}]},
                "RandomSeed": 5,
            },
            "TrainingJobDefinition": {
                "StaticHyperParameters": {
                    "sagemaker_program": "train.py",
                    "sagemaker_submit_directory": f"file://{source}",
                    "ledger": str(self.ledger),
                    "seconds": str(seconds),
                },
                "AlgorithmSpecification": {
                    "TrainingImage": "tunewright/script",
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}],
                },
                "RoleArn": "arn:aws:iam::000000000000:role/tunewright",
                "OutputDataConfig": {"S3OutputPath": f"file://{self.settings.home / 'output'}"},
                "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
                "StoppingCondition": {"MaxRuntimeInSeconds": 600},
                **({"RetryStrategy": {"MaximumRetryAttempts": retries}} if retries else {}),
            },
        }
        operations = Local(self.host, strict=False).operations
        status, _, body = operations.handle("CreateHyperParameterTuningJob", json.dumps(request).encode())
        assert status == 200, body

    def controller(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "tunewright.assembly"], env=self.environment)

    def job(self) -> Job:
        return self.host.reads.job("kill").job

    def finish(self, seconds: float = 120.0) -> Job:
        """Run one more controller until the job is over."""
        process = self.controller()
        try:
            for _ in range(int(seconds * 10)):
                if self.job().status.terminal:
                    return self.job()
                wait(process, 0.1)
            raise AssertionError(f"not over after {seconds} s: {self.job()}")
        finally:
            process.kill()
            process.wait()

    def lines(self) -> list[tuple[str, str, int]]:
        rows = [line.split() for line in self.ledger.read_text().splitlines()] if self.ledger.exists() else []
        return [(word, name, int(pid)) for word, name, pid in rows]

    def refolds(self) -> None:
        """The journal folds to the rows."""
        folded: Job | None = None
        uid = self.job().uid
        for event in self.host.store.journal(uid):
            folded = step(folded, event).job
        assert folded == self.host.store.load(uid).job


def wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Let time pass while a controller runs; it must not end by itself."""
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)


def kill_the_controller(site: Site, kills: int, dice: random.Random) -> None:
    for _ in range(kills):
        process = site.controller()
        wait(process, dice.uniform(0.4, 1.6))
        process.kill()
        process.wait()


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
    site = Site(tmp_path, jobs=6, parallel=3, seconds=1.5)
    kill_the_controller(site, 5, random.Random(1))
    job = site.finish()
    assert job.status is JobStatus.COMPLETED and job.counters.succeeded == 6
    each_ran_once(site, 6)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_kills_of_the_controller(tmp_path: Path) -> None:
    site = Site(tmp_path, jobs=20, parallel=3, seconds=10.0)
    kill_the_controller(site, 50, random.Random(2))
    job = site.finish(300.0)
    assert job.status is JobStatus.COMPLETED and job.counters.succeeded == 20
    each_ran_once(site, 20)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_training_programs_are_failures_or_retries_but_never_lost(tmp_path: Path) -> None:
    """Programs are killed like by the system's out-of-memory killer: those jobs fail, the others succeed."""
    site = Site(tmp_path, jobs=12, parallel=3, seconds=2.0)
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
    site = Site(tmp_path, jobs=1, parallel=1, seconds=0.1)
    assert site.settings.home.stat().st_mode & 0o077 == 0
    assert site.host.reads.trials(TrialQuery()).items == ()
