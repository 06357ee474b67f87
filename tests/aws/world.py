"""A service on a real SQLite store whose jobs are driven by recording events; nothing runs."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunewright.aws.inprocess import make_client
from tunewright.aws.sagemaker.operations import Operations
from tunewright.control.recorder import Recorder
from tunewright.core.events import Exited, Launched, Progressed, Proposal, Proposed, Reported
from tunewright.core.job import Job
from tunewright.core.space import Value
from tunewright.core.trial import Cursor, Failure, Observation, Phase
from tunewright.objects.local import LocalObjects
from tunewright.settings import Settings
from tunewright.store.queries import SqlReads
from tunewright.store.store import open_store

START = 1_700_000_000.0
ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"


class Clock:
    """Moves only when told."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        return self.time

    def at_least(self, at: float) -> None:
        self.time = max(self.time, at)


class World:
    """Strict and extended services on one store."""

    def __init__(self, home: Path) -> None:
        self.clock = Clock()
        self.store = open_store(f"sqlite:///{home / 'tunewright.db'}")
        self.reads = SqlReads(self.store.engine)
        self.objects = LocalObjects(home / "objects")
        self.recorder = Recorder(self.store, self.clock, lambda _: None)
        self.woken: list[str] = []
        self.settings = Settings(home=home, store="")
        self.seeds: Iterator[int] = itertools.count(1000)
        self.strict, self.extended = self.service(strict=True), self.service(strict=False)

    def service(self, *, strict: bool, **more: Any) -> Operations:
        return Operations(
            self.recorder,
            self.store,
            self.reads,
            self.objects,
            self.settings,
            strict,
            self.woken.append,
            lambda: next(self.seeds),
            **more,
        )

    def client(self, *, strict: bool = True) -> Any:
        return make_client((self.strict if strict else self.extended).handle, "us-east-1")

    def call(self, operation: str, request: Mapping[str, Any], *, strict: bool = True) -> tuple[int, dict[str, Any]]:
        """Status and the body as strict JSON."""
        service = self.strict if strict else self.extended
        status, headers, body = service.handle(operation, json.dumps(request).encode())
        assert headers["x-amzn-RequestId"]
        return status, json.loads(body or b"{}", parse_constant=_no_constant)

    def ok(self, operation: str, request: Mapping[str, Any], *, strict: bool = True) -> dict[str, Any]:
        status, body = self.call(operation, request, strict=strict)
        assert status == 200, body
        return body

    def refused(self, operation: str, request: Mapping[str, Any], *, strict: bool = True) -> tuple[str, str]:
        """Code and message of an error."""
        status, body = self.call(operation, request, strict=strict)
        assert status == 400, body
        return body["__type"], body["message"]

    def create(self, request: Mapping[str, Any], *, strict: bool = True) -> str:
        """The uid of a created tuning job."""
        self.ok("CreateHyperParameterTuningJob", request, strict=strict)
        return self.store.find(request["HyperParameterTuningJobName"], tuning=True)

    def describe(self, name: str, *, strict: bool = True) -> dict[str, Any]:
        return self.ok("DescribeHyperParameterTuningJob", {"HyperParameterTuningJobName": name}, strict=strict)

    # ---- driving ----

    def job(self, uid: str) -> Job:
        return self.store.load(uid).job

    def tick(self, seconds: float = 1.0) -> float:
        self.clock.time += seconds
        return self.clock.time

    def propose(self, uid: str, *points: Mapping[str, Value], definition: int = 0) -> None:
        first = self.job(uid).next_number
        proposals = tuple(Proposal(first + i, point, definition) for i, point in enumerate(points))
        self.recorder.record(uid, [Proposed(self.tick(), proposals)])

    def launch(self, uid: str, number: int) -> None:
        self.recorder.record(uid, [Launched(self.tick(), number, 1, f"h{number}")])
        for phase in (Phase.DOWNLOADING, Phase.TRAINING):
            self.recorder.record(uid, [Progressed(self.tick(), number, 1, phase)])

    def report(self, uid: str, number: int, metric: str, *values: float) -> None:
        cursor = self.job(uid).live[number].cursor
        at = self.tick()
        seen = tuple(Observation(metric, value, at) for value in values)
        after = Cursor(cursor.stdout + 10 * len(values))
        self.recorder.record(uid, [Reported(at, number, 1, cursor, after, seen)])

    def exit(self, uid: str, number: int, code: int = 0, *, killed: bool = False, reason: str = "") -> None:
        failure = Failure.ALGORITHM if code and not killed else None
        name = self.job(uid).live[number].name
        model = f"s3://bucket/out/{name}/output/model.tar.gz" if not code else ""
        self.recorder.record(uid, [Progressed(self.tick(), number, 1, Phase.UPLOADING)])
        event = Exited(self.tick(), number, 1, code, failure, reason or f"Exit Code: {code}", model, killed)
        self.recorder.record(uid, [event])

    def run(self, uid: str, point: Mapping[str, Value], metric: str, *values: float, code: int = 0) -> int:
        """One training job from proposal to end; its number."""
        number = self.job(uid).next_number
        self.propose(uid, point)
        self.launch(uid, number)
        if values:
            self.report(uid, number, metric, *values)
        self.exit(uid, number, code)
        return number


def _no_constant(name: str) -> float:
    raise AssertionError(f"{name} in an answer")


def definition(**changes: Any) -> dict[str, Any]:
    """A HyperParameterTrainingJobDefinition."""
    return {
        "StaticHyperParameters": {"epochs": "3"},
        "AlgorithmSpecification": {
            "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
        },
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        **changes,
    }


def ranges() -> dict[str, Any]:
    return {
        "ContinuousParameterRanges": [{"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1"}],
        "IntegerParameterRanges": [],
        "CategoricalParameterRanges": [],
    }


def tuning(name: str = "job", **config: Any) -> dict[str, Any]:
    """A CreateHyperParameterTuningJob request; `config` changes its HyperParameterTuningJobConfig."""
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": ranges(),
            **config,
        },
        "TrainingJobDefinition": definition(),
    }


def training(name: str = "plain", **changes: Any) -> dict[str, Any]:
    """A CreateTrainingJob request."""
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        **changes,
    }


def changed(request: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with the member at a dotted path (numbers index lists) replaced, or dropped when `value` is None."""
    copied = copy.deepcopy(dict(request))
    target: Any = copied
    *way, last = path.split(".")
    for step in way:
        target = target[int(step)] if step.isdigit() else target.setdefault(step, {})
    if value is None:
        del target[last]
    else:
        target[last] = value
    return copied
