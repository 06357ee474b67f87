"""A store as a busy team's looks: a dozen tuning jobs, most of them small, with thousands of finished training jobs."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from tunewright.assembly import Host, Local
from tunewright.core.events import Event, Exited, Launched, Progressed, Proposal, Proposed, Reported
from tunewright.core.reads import TrialQuery
from tunewright.core.trial import Cursor, Failure, Observation, Phase
from tunewright.settings import Settings

SIZES: list[int] = []
"""Training jobs of each tuning job, once the store is filled."""
BATCH = 50
SHARES = (0.3, 0.2, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.04, 0.03, 0.02, 0.01)
PROGRAM = """\
import argparse, os, time
os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # what is measured may have been given priority
parser = argparse.ArgumentParser()
parser.add_argument("--seconds", type=float)
args, rest = parser.parse_known_args()
for epoch in range(20):
    time.sleep(args.seconds / 20)
    print(f"loss={1 / (epoch + 1)}; accuracy={epoch / 20};", flush=True)
"""


def tuning_request(name: str, jobs: int, seconds: float = 2.0, strategy: str = "Bayesian") -> dict[str, Any]:
    """CreateHyperParameterTuningJob as the SDK sends it: five ranges, two metrics, some static hyperparameters."""
    program = {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": f'"file://{SOURCE[0]}"'}
    static = {"seconds": str(seconds), "sagemaker_container_log_level": "20", "sagemaker_region": '"us-east-1"'}
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": strategy,
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {
                "ContinuousParameterRanges": [
                    {"Name": f"rate_{n}", "MinValue": "0.0001", "MaxValue": "0.5", "ScalingType": "Logarithmic"}
                    for n in range(3)
                ],
                "IntegerParameterRanges": [{"Name": "layers", "MinValue": "1", "MaxValue": "64"}],
                "CategoricalParameterRanges": [{"Name": "optimizer", "Values": ['"sgd"', '"adam"', '"lamb"']}],
            },
            "TrainingJobEarlyStoppingType": "Off",
            "RandomSeed": 1,
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": {**static, **program},
            "AlgorithmSpecification": {
                "TrainingImage": "tunewright/script",
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": metric, "Regex": f"{metric}=(.*?);"} for metric in ("loss", "accuracy")],
            },
            "RoleArn": "arn:aws:iam::000000000000:role/SageMakerRole",
            "OutputDataConfig": {"S3OutputPath": "s3://tunewright/out"},
            "HyperParameterTuningResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 30,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
        },
        "Tags": [{"Key": "team", "Value": "benchmark"}],
    }


SOURCE: list[Path] = []
"""Where the training program lies."""


def fill(home: Path, trials: int) -> list[str]:
    """Finished tuning jobs with so many training jobs in all, in a new store; the training jobs' names."""
    source = home / "source"
    source.mkdir(parents=True)
    (source / "train.py").write_text(PROGRAM)
    SOURCE[:] = [source]
    SIZES[:] = [int(trials * share) for share in SHARES]
    SIZES[0] += trials - sum(SIZES)
    settings = Settings.load({"TUNEWRIGHT_HOME": str(home), "TUNEWRIGHT_QUOTAS": "jobs=1000000,running=1000000"})
    host = Host.open(settings)
    operations = Local(host, strict=False).operations
    rng = random.Random(1)
    for number, size in enumerate(SIZES):
        name = f"filled-{number}"
        operations.call("CreateHyperParameterTuningJob", tuning_request(name, size))
        _finish(host, host.store.find(name, tuning=True), size, rng)
    names = [view.trial.name for view in host.reads.trials(TrialQuery(limit=trials)).items]
    host.store.close()
    return names


def _finish(host: Host, uid: str, size: int, rng: random.Random) -> None:
    for first in range(1, size + 1, BATCH):
        events: list[Event] = []
        for number in range(first, min(size, first + BATCH - 1) + 1):
            events += _life(host.recorder.clock.now(), number, rng)
        host.recorder.record(uid, events)


def _life(now: float, number: int, rng: random.Random) -> list[Event]:
    """A training job from proposal to end; one in twenty fails."""
    point = {f"rate_{n}": rng.uniform(0.0001, 0.5) for n in range(3)}
    proposal = Proposal(number, {**point, "layers": rng.randrange(1, 65), "optimizer": '"adam"'})
    events: list[Event] = [Proposed(now, (proposal,)), Launched(now, number, 1, f"local:{number}")]
    events += [Progressed(now, number, 1, phase) for phase in (Phase.DOWNLOADING, Phase.TRAINING)]
    for epoch in range(3):
        seen = [Observation(metric, rng.random(), now) for metric in ("loss", "accuracy")]
        events.append(Reported(now, number, 1, Cursor(epoch * 100), Cursor(epoch * 100 + 100), tuple(seen)))
    failed = number % 20 == 0
    reason = "AlgorithmError: ExecuteUserScriptError: exit code 1" if failed else ""
    failure = Failure.ALGORITHM if failed else None
    return [*events, Exited(now, number, 1, int(failed), failure, reason, "" if failed else "s3://tunewright/m")]
