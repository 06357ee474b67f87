"""A home in which real programs train while the controller is killed, and what is read from it afterwards."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tunewright.assembly import Host, Local
from tunewright.core.job import Job
from tunewright.core.machine import step
from tunewright.core.trial import Trial
from tunewright.settings import Settings

PROGRAM = """
import argparse, os, time
parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float)
parser.add_argument("--ledger")
parser.add_argument("--seconds", type=float)
parser.add_argument("--rounds", type=int, default=1)
args, _ = parser.parse_known_args()

def write(word):
    with open(args.ledger, "a") as ledger:
        ledger.write(f"{word} {os.environ['TRAINING_JOB_NAME']} {os.getpid()}\\n")

write("start")
for left in reversed(range(args.rounds)):
    time.sleep(args.seconds * (0.3 + args.rate) / args.rounds)
    print(f"loss={(args.rate - 0.3) ** 2 + left / args.rounds};", flush=True)
write("end")
"""
METRIC = {"Type": "Minimize", "MetricName": "loss"}
RANGES = {"ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0", "MaxValue": "1"}]}

Wire = dict[str, Any]


class Site:
    """A home, a ledger that its training programs write, and the tuning jobs that are created in it."""

    def __init__(self, place: Path, program: str = PROGRAM) -> None:
        place.mkdir(exist_ok=True)
        self.ledger = place / "ledger.txt"
        self.settings = Settings.load({"TUNEWRIGHT_HOME": str(place / "home"), "TUNEWRIGHT_SLOTS": "8"}, place)
        self.host = Host.open(self.settings)
        self.environment = self.host.environment()
        (place / "train.py").write_text(program)
        archive = self.host.objects.path("s3://code/sourcedir.tar.gz")
        archive.parent.mkdir(parents=True)
        with tarfile.open(archive, "w:gz") as packed:
            packed.add(place / "train.py", "train.py")

    # ---- requests ----

    def training(self, seconds: float, rounds: int = 1, retries: int = 0, **more: Any) -> Wire:
        return {
            "StaticHyperParameters": {
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": "s3://code/sourcedir.tar.gz",
                "ledger": str(self.ledger),
                "seconds": str(seconds),
                "rounds": str(rounds),
            },
            "AlgorithmSpecification": {
                "TrainingImage": "tunewright/script",
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}],
            },
            "RoleArn": "arn:aws:iam::000000000000:role/tunewright",
            "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            **({"RetryStrategy": {"MaximumRetryAttempts": retries}} if retries else {}),
            **more,
        }

    def create(
        self,
        name: str,
        config: Mapping[str, Any],
        *training: Wire,
        jobs: int,
        parallel: int,
        strict: bool = True,
        **top: Any,
    ) -> None:
        """Create a tuning job with one definition, or with several in the list form."""
        limits = {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": parallel}
        whole: Wire = {"Strategy": "Random", "ResourceLimits": limits, "RandomSeed": 5, **config}
        definitions: Wire = {"TrainingJobDefinitions": list(training)}
        if len(training) == 1:
            whole = {**whole, "HyperParameterTuningJobObjective": METRIC, "ParameterRanges": RANGES}
            definitions = {"TrainingJobDefinition": training[0]}
        request = {"HyperParameterTuningJobName": name, "HyperParameterTuningJobConfig": whole, **definitions, **top}
        operations = Local(self.host, strict=strict).operations
        status, _, body = operations.handle("CreateHyperParameterTuningJob", json.dumps(request).encode())
        assert status == 200, body

    # ---- controllers ----

    def controller(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "tunewright.assembly"], env=self.environment)

    def kill_controllers(
        self, kills: int, dice: random.Random, name: str = "kill", lives: tuple[float, float] = (0.4, 1.6)
    ) -> int:
        """Start a controller and kill it, again and again while the job goes on; how often it was killed at work."""
        for killed in range(kills):
            if self.job(name).status.terminal:
                return killed
            process = self.controller()
            wait(process, dice.uniform(*lives))
            process.kill()
            process.wait()
        return kills

    def finish(self, seconds: float = 120.0, name: str = "kill") -> Job:
        """Run one more controller until the job is over."""
        process = self.controller()
        try:
            for _ in range(int(seconds * 10)):
                if self.job(name).status.terminal:
                    return self.job(name)
                wait(process, 0.1)
            raise AssertionError(f"not over after {seconds} s: {self.job(name)}")
        finally:
            process.kill()
            process.wait()

    # ---- what is left ----

    def job(self, name: str = "kill") -> Job:
        return self.host.reads.job(name).job

    def trials(self, name: str = "kill") -> list[Trial]:
        return [view.trial for view in self.host.reads.all_trials(self.job(name).uid)]

    def lines(self) -> list[tuple[str, str, int]]:
        rows = [line.split() for line in self.ledger.read_text().splitlines()] if self.ledger.exists() else []
        return [(word, name, int(pid)) for word, name, pid in rows]

    def refolds(self, name: str = "kill") -> None:
        """The journal folds to the rows."""
        folded: Job | None = None
        uid = self.job(name).uid
        for event in self.host.store.journal(uid):
            folded = step(folded, event).job
        assert folded == self.host.store.load(uid).job


def wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Let time pass while a controller runs; it must not end by itself."""
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
