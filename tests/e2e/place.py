"""A place of its own for each test: a home, scripts, a client answered in process, and real training programs."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunewright.assembly import Host, Local
from tunewright.core.job import Job
from tunewright.core.trial import Trial
from tunewright.settings import Settings

ROLE = "arn:aws:iam::000000000000:role/tunewright"
PATIENCE = 120.0

UNIT = {"ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0", "MaxValue": "1"}]}


class Place:
    """Runs tuning jobs of small scripts to their end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.code = folder / "code"
        self.code.mkdir()
        self.settings = Settings.load({"TUNEWRIGHT_HOME": str(folder / "home"), "TUNEWRIGHT_SLOTS": "8"}, folder)
        self.host = Host.open(self.settings)
        self.local = Local(self.host, strict=False)

    def close(self) -> None:
        self.host.background.stop()
        self.host.store.close()

    def script(self, text: str, name: str = "train.py") -> str:
        (self.code / name).write_text(textwrap.dedent(text))
        return name

    def request(self, name: str, script: str, **changes: Any) -> dict[str, Any]:
        """A request; `changes` name what differs: ranges, metric, jobs, parallel, strategy, static, metrics, seed."""
        metric = changes.get("metric", "acc")
        regex = changes.get("regex", "acc=(.*?);")
        limits = {"MaxParallelTrainingJobs": changes.get("parallel", 1)}
        if changes.get("jobs", 4):
            limits["MaxNumberOfTrainingJobs"] = changes.get("jobs", 4)
        return {
            "HyperParameterTuningJobName": name,
            "HyperParameterTuningJobConfig": {
                "Strategy": changes.get("strategy", "Random"),
                "HyperParameterTuningJobObjective": {"Type": changes.get("type", "Maximize"), "MetricName": metric},
                "ResourceLimits": limits,
                "ParameterRanges": changes.get("ranges", UNIT),
                "RandomSeed": changes.get("seed", 1),
                **changes.get("config", {}),
            },
            "TrainingJobDefinition": {
                "StaticHyperParameters": {
                    "sagemaker_program": script,
                    "sagemaker_submit_directory": f"file://{self.code}",
                    **changes.get("static", {}),
                },
                "AlgorithmSpecification": {
                    "TrainingImage": "tunewright/script",
                    "TrainingInputMode": "File",
                    "MetricDefinitions": changes.get("metrics", [{"Name": metric, "Regex": regex}]),
                },
                "RoleArn": ROLE,
                "OutputDataConfig": {"S3OutputPath": f"file://{self.settings.home / 'output'}"},
                "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
                "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
                **changes.get("training", {}),
            },
        }

    def start(self, name: str, script: str, **changes: Any) -> None:
        self.local.client.create_hyper_parameter_tuning_job(**self.request(name, script, **changes))

    def end(self, name: str) -> Job:
        for _ in range(int(PATIENCE * 4)):
            job = self.host.reads.job(name).job
            if job.status.terminal:
                return job
            self.local.wait(name, 0.25)
        raise AssertionError(f"{name} did not end: {self.host.reads.job(name).job}")

    def run(self, name: str, script: str, **changes: Any) -> Job:
        self.start(name, script, **changes)
        return self.end(name)

    def trials(self, job: Job) -> list[Trial]:
        return [view.trial for view in self.host.reads.all_trials(job.uid)]

    def describe(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.local.client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        return found

    def lines(self, file: str) -> list[str]:
        path = self.folder / file
        return path.read_text().splitlines() if path.exists() else []


def categories(**values: Sequence[str]) -> Mapping[str, Any]:
    return {"CategoricalParameterRanges": [{"Name": n, "Values": list(v)} for n, v in values.items()]}


def integers(**bounds: tuple[int, int]) -> Mapping[str, Any]:
    return {
        "IntegerParameterRanges": [{"Name": n, "MinValue": str(a), "MaxValue": str(b)} for n, (a, b) in bounds.items()]
    }


def extension(**values: object) -> dict[str, str]:
    return {"_tunewright": json.dumps(values)}


PYTHON = sys.executable
