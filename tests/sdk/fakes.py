"""A tuning service of a few lines that runs nothing: it checks requests as botocore does and plays a script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.session
from botocore.exceptions import ClientError
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from tunewright.core.errors import NotFound
from tunewright.core.spec import Function
from tunewright.objects.local import LocalObjects
from tunewright.sdk.session import Session
from tunewright.settings import Settings

Shape = dict[str, Any]
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@cache
def service_model() -> ServiceModel:
    return botocore.session.get_session().get_service_model("sagemaker")


def complaints(operation: str, request: Shape) -> str:
    """What botocore says about a request; empty when it would send it."""
    shape = service_model().operation_model(operation).input_shape
    return str(ParamValidator().validate(request, shape).generate_report())


@dataclass
class Played:
    """How one training job ends."""

    status: str = "Completed"
    value: float | None = None
    reason: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    seconds: float = 2.0
    definition: str | None = None

    @property
    def objective_status(self) -> str:
        return "Succeeded" if self.value is not None and self.status != "Failed" else "Failed"


class FakeClient:
    """Remembers requests; each Describe lets one more training job of the script end."""

    exceptions = SimpleNamespace(ClientError=ClientError)

    def __init__(self, script: Iterable[Played] = (), *, final: str = "Completed", reason: str = "") -> None:
        self.script = list(script)
        self.final, self.reason = final, reason
        self.requests: dict[str, Shape] = {}
        self.training: dict[str, Shape] = {}
        self.ended = 0
        self.stopped = 0
        self.on_describe: Callable[[], None] | None = None

    # ---- tuning jobs ----

    def create_hyper_parameter_tuning_job(self, **request: Any) -> Shape:
        assert not (report := complaints("CreateHyperParameterTuningJob", request)), report
        self.requests[request["HyperParameterTuningJobName"]] = request
        return {"HyperParameterTuningJobArn": "arn"}

    def describe_hyper_parameter_tuning_job(self, **request: Any) -> Shape:
        if self.on_describe is not None:
            self.on_describe()
        name = request["HyperParameterTuningJobName"]
        if name not in self.requests:
            raise ClientError({"Error": {"Code": "ResourceNotFound", "Message": name}}, "Describe")
        self.ended = min(self.ended + 1, len(self.script))
        over = self.ended == len(self.script) or self.stopped
        played = self.script[: self.ended]
        status = ("Stopped" if self.stopped else self.final) if over else "InProgress"
        made = self.requests[name]
        shape: Shape = {
            **{key: value for key, value in made.items() if key != "Tags"},
            "HyperParameterTuningJobStatus": status,
            "CreationTime": START,
            "TrainingJobStatusCounters": self._counters(played),
            "ObjectiveStatusCounters": {"Succeeded": 0, "Pending": 0, "Failed": 0},
        }
        if over:
            shape["HyperParameterTuningEndTime"] = START + timedelta(seconds=2 * self.ended)
        if self.reason and over:
            shape["FailureReason"] = self.reason
        if best := self._best(name, made):
            shape["BestTrainingJob"] = best
        return shape

    def stop_hyper_parameter_tuning_job(self, **request: Any) -> Shape:
        self.stopped += 1
        if self.stopped > 1:
            raise ClientError({"Error": {"Code": "ValidationException", "Message": "already"}}, "Stop")
        return {}

    def list_training_jobs_for_hyper_parameter_tuning_job(self, **request: Any) -> Shape:
        return {"TrainingJobSummaries": self.summaries(request["HyperParameterTuningJobName"])}

    def get_paginator(self, operation: str) -> FakeClient:
        assert operation == "list_training_jobs_for_hyper_parameter_tuning_job"
        return self

    def paginate(self, **request: Any) -> Iterator[Shape]:
        request.pop("PaginationConfig", None)
        assert not (report := complaints("ListTrainingJobsForHyperParameterTuningJob", request)), report
        listed = self.summaries(request["HyperParameterTuningJobName"])
        if request.get("StatusEquals"):
            listed = [each for each in listed if each["TrainingJobStatus"] == request["StatusEquals"]]
        if request.get("SortOrder") == "Descending":
            listed.reverse()
        for at in range(0, max(1, len(listed)), 2):
            yield {"TrainingJobSummaries": listed[at : at + 2]}

    # ---- training jobs ----

    def create_training_job(self, **request: Any) -> Shape:
        assert not (report := complaints("CreateTrainingJob", request)), report
        self.training[request["TrainingJobName"]] = request
        return {"TrainingJobArn": "arn"}

    def describe_training_job(self, **request: Any) -> Shape:
        name = request["TrainingJobName"]
        made = self.training.get(name)
        if made is not None:
            failed = {"FailureReason": self.reason} if self.final == "Failed" else {}
            model = {"S3ModelArtifacts": f"{made['OutputDataConfig']['S3OutputPath']}/{name}/output/model.tar.gz"}
            return {**made, "TrainingJobStatus": self.final, "ModelArtifacts": model, **failed}
        job, made = next(iter(self.requests.items()))
        definition = made.get("TrainingJobDefinition") or made["TrainingJobDefinitions"][0]
        summary = next(each for each in self.summaries(job) if each["TrainingJobName"] == name)
        return {
            **definition,
            **summary,
            "HyperParameters": {
                **definition["StaticHyperParameters"],
                **summary["TunedHyperParameters"],
                "_tuning_objective_metric": "acc",
            },
            "ModelArtifacts": {"S3ModelArtifacts": f"file:///models/{name}/output/model.tar.gz"},
        }

    def stop_training_job(self, **request: Any) -> Shape:
        return {}

    # ---- inner ----

    def summaries(self, job: str) -> list[Shape]:
        found = []
        for number, played in enumerate(self.script, start=1):
            over = number <= self.ended
            started = START + timedelta(seconds=number)
            shape: Shape = {
                "TrainingJobName": f"{job}-{number:03d}-0a1b2c3d",
                "TrainingJobStatus": played.status if over else "InProgress",
                "ObjectiveStatus": played.objective_status if over else "Pending",
                "TunedHyperParameters": played.parameters,
                "TrainingStartTime": started,
                "CreationTime": started,
            }
            if over:
                shape["TrainingEndTime"] = started + timedelta(seconds=played.seconds)
            if over and played.value is not None:
                shape["FinalHyperParameterTuningJobObjectiveMetric"] = {"MetricName": "acc", "Value": played.value}
            if over and played.reason:
                shape["FailureReason"] = played.reason
            if played.definition:
                shape["TrainingJobDefinitionName"] = played.definition
            found.append(shape)
        return found

    def _best(self, job: str, made: Shape) -> Shape | None:
        definition = made.get("TrainingJobDefinitions", [{}])[0].get("TuningObjective")
        objective = definition or made["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
        good = [each for each in self.summaries(job) if each["ObjectiveStatus"] == "Succeeded"]
        sign = -1 if objective["Type"] == "Maximize" else 1
        good.sort(key=lambda each: sign * each["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])
        return good[0] if good else None

    def _counters(self, played: list[Played]) -> Shape:
        counts = {word: sum(each.status == word for each in played) for word in ("Completed", "Stopped", "Failed")}
        return {
            "Completed": counts["Completed"],
            "Stopped": counts["Stopped"],
            "NonRetryableError": counts["Failed"],
            "RetryableError": 0,
            "InProgress": len(self.script) - len(played),
        }


class _Reads:
    """Read models of a service that knows nothing beyond the wire."""

    def job(self, name: str, **_: Any) -> Any:
        raise NotFound("tuning job", name)

    trial = job


class FakeLocal:
    """An engine around a FakeClient."""

    def __init__(self, home: Path, client: FakeClient, *, strict: bool = False, log: str = "") -> None:
        self.settings = Settings.load({"TUNEWRIGHT_HOME": str(home)}, home)
        self.client, self.strict, self.log = client, strict, log
        self.reads: Any = _Reads()
        self.objects = LocalObjects(Path(self.settings.objects))
        self.calls: list[str] = []
        self.functions: list[Any] = []
        self.waiting: Callable[[], None] | None = None

    def log_paths(self, training_job: str) -> tuple[Path, Path]:
        place = self.settings.home / "logs" / training_job
        place.mkdir(parents=True, exist_ok=True)
        (place / "stderr").write_text(self.log)
        return place / "stdout", place / "stderr"

    def store_function(self, function: Any) -> Function:
        self.functions.append(function)
        return Function("a" * 64, pickled=True, path=("/somewhere",))

    def start(self) -> None:
        self.calls.append("start")

    def wait(self, name: str, timeout: float, *, tuning: bool = True) -> None:
        if self.waiting is not None:
            self.waiting()

    def detach(self) -> None:
        self.calls.append("detach")

    def hurry(self, name: str) -> None:
        self.calls.append(f"hurry {name}")


def session(home: Path, script: Iterable[Played] = (), *, strict: bool = False, log: str = "", **ends: Any) -> Session:
    """A session on a fake engine."""
    client = FakeClient(script, **ends)
    return Session(strict=strict, local=FakeLocal(home, client, strict=strict, log=log))


def fake(of: Session) -> FakeClient:
    """The fake client behind a session."""
    client = of.client
    assert isinstance(client, FakeClient)
    return client


class Recorder:
    """A display that keeps what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.lived: list[list[str]] = []
        self.closed = threading.Event()

    def say(self, lines: Iterable[str]) -> None:
        self.said += list(lines)

    def live(self, lines: Iterable[str]) -> None:
        self.lived.append(list(lines))

    def close(self) -> None:
        self.closed.set()
