"""Two grounds to try AMT's features on, both strict: real programs, and a simulated world whose clock is ours.

Both are spoken to through botocore's client alone, as a user of AMT would.
"""

from __future__ import annotations

import json
import random
import tarfile
import textwrap
from collections.abc import Callable, Mapping
from concurrent.futures import wait
from dataclasses import replace
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tunewright.assembly import Host, Local
from tunewright.aws.inprocess import make_client
from tunewright.aws.sagemaker.operations import Operations
from tunewright.control.loop import Loop
from tunewright.control.options import LoopOptions
from tunewright.control.recorder import Recorder
from tunewright.core.ports import Owner, Task
from tunewright.objects.local import LocalObjects
from tunewright.search.advisor import Engine
from tunewright.settings import Settings
from tunewright.store.queries import SqlReads
from tunewright.store.store import open_store
from tunewright.testing.world import Disk, FakeClock, Hostility, Program, SimulatedExecutor

ROLE = "arn:aws:iam::123456789012:role/tunewright"
PATIENCE = 120.0
ENDED = ("Completed", "Stopped", "Failed")
METRIC = {"Name": "acc", "Regex": "acc=(.*?);"}

Wire = dict[str, Any]


class Refused(AssertionError):
    """Nothing was refused."""


class Ground:
    """Requests and answers; `client` is a strict SageMaker client."""

    client: Any
    service: Operations
    objects: LocalObjects

    # ---- requests ----

    def training(self, **changes: Any) -> Wire:
        """A HyperParameterTrainingJobDefinition."""
        return {
            "AlgorithmSpecification": {
                "TrainingImage": "tunewright/script",
                "TrainingInputMode": "File",
                "MetricDefinitions": [METRIC],
            },
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
            **changes,
        }

    def request(self, name: str, **changes: Any) -> Wire:
        """A tuning request; `training` changes the definition, `top` the request, all else the config."""
        limits: Wire = {"MaxParallelTrainingJobs": changes.pop("parallel", 1)}
        jobs = changes.pop("jobs", 4)
        if jobs is not None:
            limits["MaxNumberOfTrainingJobs"] = jobs
        training, top = changes.pop("training", {}), changes.pop("top", {})
        config = {
            "Strategy": changes.pop("strategy", "Random"),
            "HyperParameterTuningJobObjective": {"Type": changes.pop("type", "Maximize"), "MetricName": "acc"},
            "ResourceLimits": {**limits, **changes.pop("limits", {})},
            "ParameterRanges": changes.pop("ranges", UNIT),
            "RandomSeed": changes.pop("seed", 1),
            **changes,
        }
        return {
            "HyperParameterTuningJobName": name,
            "HyperParameterTuningJobConfig": config,
            "TrainingJobDefinition": self.training(**training),
            **top,
        }

    def several(self, name: str, *definitions: Wire, **changes: Any) -> Wire:
        """A tuning request in the list form."""
        request = self.request(name, **changes)
        del request["TrainingJobDefinition"]
        for key in ("HyperParameterTuningJobObjective", "ParameterRanges"):
            del request["HyperParameterTuningJobConfig"][key]
        return {**request, "TrainingJobDefinitions": list(definitions)}

    def definition(self, name: str, **changes: Any) -> Wire:
        """One definition of the list form."""
        objective = {"Type": changes.pop("type", "Maximize"), "MetricName": "acc"}
        ranges = changes.pop("ranges", UNIT)
        body = {"DefinitionName": name, "TuningObjective": objective, "HyperParameterRanges": ranges}
        return {**self.training(**changes), **body}

    def put(self, uri: str, text: str) -> str:
        """Store a text as an object; its URI."""
        path = self.objects.path(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return uri

    # ---- calls ----

    def create(self, request: Mapping[str, Any]) -> str:
        """The ARN of a created tuning job."""
        arn: str = self.client.create_hyper_parameter_tuning_job(**request)["HyperParameterTuningJobArn"]
        return arn

    def refused(self, request: Mapping[str, Any], code: str = "ValidationException") -> str:
        """The message with which the service refuses a tuning request; botocore's own checks are left out."""
        status, _, answer = self.service.handle("CreateHyperParameterTuningJob", json.dumps(request).encode())
        assert status == 400, "it was accepted"
        body = json.loads(answer)
        assert body["__type"] == code, body
        message: str = body["message"]
        return message

    def describe(self, name: str) -> Wire:
        found: Wire = self.client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        return found

    def child(self, name: str) -> Wire:
        """DescribeTrainingJob."""
        found: Wire = self.client.describe_training_job(TrainingJobName=name)
        return found

    def children(self, name: str, **more: Any) -> list[Wire]:
        """The summaries of a tuning job's training jobs in launch order, or as asked for."""
        pages = self.client.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
        asked = {"HyperParameterTuningJobName": name, **more}
        return [summary for page in pages.paginate(**asked) for summary in page["TrainingJobSummaries"]]

    def points(self, name: str) -> list[Wire]:
        """The configurations in launch order."""
        return [summary["TunedHyperParameters"] for summary in self.children(name)]

    def statuses(self, name: str) -> list[str]:
        return [summary["TrainingJobStatus"] for summary in self.children(name)]

    def run(self, request: Mapping[str, Any]) -> Wire:
        """What Describe says of a tuning job once it has ended."""
        self.create(request)
        return self.end(request["HyperParameterTuningJobName"])

    def end(self, name: str) -> Wire:
        raise NotImplementedError


class Real(Ground):
    """Real training programs, run by the loop in this process."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        variables = {"TUNEWRIGHT_HOME": str(folder / "home"), "TUNEWRIGHT_SLOTS": "8", **settings}
        self.settings = Settings.load(variables, folder)
        self.host = Host.open(self.settings)
        self.objects = self.host.objects
        self.local = Local(self.host, strict=True)
        self.service = self.local.operations
        self.client = self.local.client

    def close(self) -> None:
        self.host.background.stop()
        self.host.store.close()

    def script(self, text: str, **static: str) -> dict[str, str]:
        """The static hyperparameters that name a script, packed and stored as SageMaker's SDK does it."""
        source = self.folder / "train.py"
        source.write_text(textwrap.dedent(text), encoding="utf-8")
        uri = f"s3://code/{len(list(self.folder.iterdir()))}-{abs(hash(text))}/sourcedir.tar.gz"
        path = self.objects.path(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w:gz") as archive:
            archive.add(source, "train.py")
        return {"sagemaker_program": "train.py", "sagemaker_submit_directory": uri, **static}

    def tune(self, name: str, script: str, **changes: Any) -> Wire:
        """A tuning request for a script."""
        training = changes.pop("training", {})
        static = self.script(script, **changes.pop("static", {}))
        return self.request(name, training={"StaticHyperParameters": static, **training}, **changes)

    def plain(self, name: str, script: str = "", **changes: Any) -> Wire:
        """A CreateTrainingJob request for a script."""
        static = self.script(script) if script else {}
        return {"TrainingJobName": name, "HyperParameters": static, **self.training(), **changes}

    def train(self, request: Mapping[str, Any]) -> Wire:
        """What DescribeTrainingJob says of a plain training job once it has ended."""
        self.client.create_training_job(**request)
        return self.trained(request["TrainingJobName"])

    def trained(self, name: str) -> Wire:
        return self._until(lambda: self.child(name), lambda found: found["TrainingJobStatus"] in ENDED, name, False)

    def end(self, name: str) -> Wire:
        ended = lambda found: found["HyperParameterTuningJobStatus"] in ENDED  # noqa: E731
        return self._until(lambda: self.describe(name), ended, name, True)

    def until(self, look: Callable[[], Any], name: str, *, tuning: bool = True) -> Any:
        """What `look` gives once that is true; it is asked whenever the job has changed."""
        return self._until(look, bool, name, tuning)

    def _until(self, look: Callable[[], Any], good: Callable[[Any], bool], name: str, tuning: bool) -> Any:
        for _ in range(int(PATIENCE * 10)):
            found = look()
            if good(found):
                return found
            self.local.wait(name, 0.1, tuning=tuning)
        raise AssertionError(f"{name}: waited in vain: {found}")

    def log(self, name: str) -> str:
        """What a training job printed."""
        stdout, _ = self.local.log_paths(name)
        return stdout.read_text(encoding="utf-8") if stdout.exists() else ""


class Sim(Ground):
    """Programs that exist in words alone, on a clock that jumps from one happening to the next.

    Args:
        program: what a task's program prints and how it ends.
    """

    def __init__(self, folder: Path, program: Callable[[Task], Program], **settings: str) -> None:
        variables = {"TUNEWRIGHT_HOME": str(folder / "sim"), **settings}
        self.settings = Settings.load(variables, folder)
        self.settings.home.mkdir(exist_ok=True)
        self.clock = FakeClock()
        self.store = open_store(self.settings.store)
        self.reads = SqlReads(self.store.engine)
        self.recorder = Recorder(self.store, self.clock, lambda _: None)
        self.objects = LocalObjects(Path(self.settings.objects))
        self.disk = Disk(program)
        self.most = 0
        self.service = self.operations(self.settings)
        self.client = make_client(self.service.handle, self.settings.region)
        self.loop = self.controller()

    def operations(self, settings: Settings) -> Operations:
        return Operations(
            self.recorder, self.store, self.reads, self.objects, settings, strict=True, wake=lambda _: None
        )

    def controller(self, hostility: Hostility | None = None) -> Loop:
        """A new controller; the one before counts as dead."""
        executor = SimulatedExecutor(self.disk, self.clock, random.Random(1), hostility or Hostility())
        options = LoopOptions(arn=lambda name: name, dead=lambda _: True)
        self.loop = Loop(self.recorder, executor, Engine(), Owner("sim", "boot", 1, 0.0), options)
        return self.loop

    def turn(self) -> None:
        """One round of the loop, and on to the next happening."""
        self.loop.tick()
        thinking = [held.proposing for held in self.loop.held.values() if held.proposing is not None]
        if thinking:
            wait(thinking)
            self.loop.tick()
        self.most = max(self.most, self.disk.live(self.clock.now()))
        self.loop.wait()

    def until(self, good: Callable[[], bool]) -> None:
        for _ in range(50_000):
            if good():
                return
            self.loop.wake()
            self.turn()
        raise AssertionError("waited in vain")

    def end(self, name: str) -> Wire:
        uid = self.store.find(name, tuning=True)
        self.until(lambda: self.store.load(uid).job.status.terminal)
        return self.describe(name)

    def changed(self, **settings: Any) -> Any:
        """A client of a service with other settings on the same store."""
        return make_client(self.operations(replace(self.settings, **settings)).handle, self.settings.region)


def refusal(call: Callable[[], object], code: str = "ValidationException") -> str:
    """The message of the error that a call ends in."""
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        message: str = error.response["Error"]["Message"]
        return message
    raise Refused("it was accepted")


def prints(*values: float | str, seconds: float = 10.0, code: int = 0) -> Program:
    """A program that emits its objective evenly over its time."""
    step = seconds / (len(values) + 1)
    return Program(tuple((step * k, f"acc={value};") for k, value in enumerate(values, 1)), seconds, code)


def x_of(task: Task) -> float:
    return float(task.hyperparameters["x"])


def continuous(name: str = "x", low: str = "0", high: str = "1", **more: str) -> Wire:
    return {"ContinuousParameterRanges": [{"Name": name, "MinValue": low, "MaxValue": high, **more}]}


def integers(**bounds: tuple[int, int]) -> Wire:
    ranges = [{"Name": name, "MinValue": str(low), "MaxValue": str(high)} for name, (low, high) in bounds.items()]
    return {"IntegerParameterRanges": ranges}


def categories(**values: list[str]) -> Wire:
    return {"CategoricalParameterRanges": [{"Name": name, "Values": listed} for name, listed in values.items()]}


UNIT = continuous()
