"""A tuning file into AMT's CreateHyperParameterTuningJob request, whole and exactly.

In extended mode local names become `file://` and what AMT has no field for travels in the static
hyperparameter `_tunewright`. In strict mode local names are put under `s3://` by the `Shelf` that is handed in,
and nothing of ours is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from tunewright.aws.sagemaker.extension import pack
from tunewright.cli.names import job_name
from tunewright.cli.tunefile.document import Document, Plain, read
from tunewright.cli.tunefile.places import Places, interpreter_of, missing_files
from tunewright.cli.tunefile.rules import EXTENSIONS, Finding, Sound, space, table
from tunewright.cli.tunefile.schema_check import findings
from tunewright.cli.tunefile.shelf import Shelf
from tunewright.core.space import Value, encode_value
from tunewright.sdk.estimators import ROLE
from tunewright.sdk.functions import FUNCTION_IMAGE
from tunewright.sdk.scripts import SCRIPT_IMAGE
from tunewright.sdk.values import encode_hyperparameter, ranges_shape

Request: TypeAlias = dict[str, Any]
"""AMT's request as botocore takes it."""

DAY = 86_400


@dataclass(frozen=True, slots=True)
class TuningFile:
    """A tuning file that broke no rule.

    Args:
        path: the file; relative names in it begin at its directory.
        data: its fields, of the schema's shape.
        name: the tuning job's name.
        strict: AMT to the letter, or extended.
    """

    path: Path
    data: Mapping[str, Plain]
    name: str
    strict: bool

    @property
    def training(self) -> Mapping[str, Plain]:
        return table(self.data, "training")

    @property
    def base(self) -> Path:
        return self.path.absolute().parent

    def request(self, shelf: Shelf) -> Request:
        """The AMT request; `shelf` makes addresses of local names."""
        places = Places(self.base, self.training, self.name, shelf)
        request: Request = {
            "HyperParameterTuningJobName": self.name,
            "HyperParameterTuningJobConfig": _config(self.data),
            "TrainingJobDefinition": _definition(self, places),
        }
        warm = table(self.data, "warm_start")
        if warm:
            parents = warm["parents"]
            assert isinstance(parents, list)
            request["WarmStartConfig"] = {
                "WarmStartType": warm["type"],
                "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": parent} for parent in parents],
            }
        if tags := table(self.data, "tags"):
            request["Tags"] = [{"Key": key, "Value": _text(value)} for key, value in tags.items()]
        return request


@dataclass(frozen=True, slots=True)
class Draft:
    """A tuning file that was looked at, whatever is wrong with it.

    Args:
        found: what is wrong with it by itself, the files that it names included.
    """

    document: Document
    sound: Sound
    found: list[Finding]
    name: str
    strict: bool

    @classmethod
    def of(cls, path: Path, *, strict: bool, now: float, name: str | None) -> Draft:
        """Read a tuning file and look at it.

        Args:
            now: seconds since the epoch, for the name of a job that has none.
            name: the tuning job's name, whatever the file says.

        Raises:
            Invalid: the file cannot be read.
        """
        document = read(path)
        if name is not None:
            document.data["name"] = name
        sound, found = findings(document, strict=strict)
        found += missing_files(path.absolute().parent, sound.training)
        given = sound.data.get("name")
        return cls(document, sound, found, str(given) if given else job_name(path.stem, now), strict)

    def file(self, data: Mapping[str, Plain]) -> TuningFile:
        """The file with data in which nothing is wrong."""
        return TuningFile(self.document.path, data, self.name, self.strict)


# ---- AMT's structures ----


def _config(data: Mapping[str, Plain]) -> Request:
    objective, completion = table(data, "objective"), table(data, "completion")
    limits = {
        "MaxNumberOfTrainingJobs": data.get("max_jobs"),
        "MaxParallelTrainingJobs": data.get("max_parallel_jobs", 1),
        "MaxRuntimeInSeconds": completion.get("max_runtime_seconds"),
    }
    config: Request = {
        "Strategy": data.get("strategy", "Bayesian"),
        "HyperParameterTuningJobObjective": {
            "Type": objective.get("type", "Maximize"),
            "MetricName": objective["metric"],
        },
        "ResourceLimits": {name: _whole(value) for name, value in limits.items() if value is not None},
        "ParameterRanges": ranges_shape(space(table(data, "parameters"))),
        "TrainingJobEarlyStoppingType": data.get("early_stopping", "Off"),
    }
    hyperband = table(data, "hyperband")
    resources = {"MinResource": hyperband.get("min_resource"), "MaxResource": hyperband.get("max_resource")}
    if given := {name: _whole(value) for name, value in resources.items() if value is not None}:
        config["StrategyConfig"] = {"HyperbandStrategyConfig": given}
    if criteria := _criteria(completion):
        config["TuningJobCompletionCriteria"] = criteria
    if (seed := data.get("seed")) is not None:
        config["RandomSeed"] = _whole(seed)
    return config


def _criteria(completion: Mapping[str, Plain]) -> Request:
    criteria: Request = {}
    if (target := completion.get("target")) is not None:
        criteria["TargetObjectiveMetricValue"] = _number(target)
    if (limit := completion.get("not_improving")) is not None:
        criteria["BestObjectiveNotImproving"] = {"MaxNumberOfTrainingJobsNotImproving": _whole(limit)}
    if (convergence := completion.get("convergence")) is not None:
        word = "Enabled" if convergence else "Disabled"
        criteria["ConvergenceDetected"] = {"CompleteOnConvergence": word}
    return criteria


def _definition(file: TuningFile, places: Places) -> Request:
    training = file.training
    image = FUNCTION_IMAGE if "function" in training else SCRIPT_IMAGE
    metrics = [{"Name": name, "Regex": regex} for name, regex in table(training, "metrics").items()]
    runtime = training.get("max_runtime_seconds", DAY)
    definition: Request = {
        "AlgorithmSpecification": {
            "TrainingImage": training.get("image", image),
            "TrainingInputMode": training.get("input_mode", "File"),
            **({"MetricDefinitions": metrics} if metrics else {}),
        },
        "RoleArn": training.get("role", ROLE),
        "OutputDataConfig": {"S3OutputPath": places.output(training.get("output_path"), "output")},
        "StoppingCondition": {"MaxRuntimeInSeconds": _whole(runtime)},
        "StaticHyperParameters": _static(file, places),
    }
    if channels := list(_channels(training, places)):
        definition["InputDataConfig"] = channels
    if environment := table(training, "environment"):
        definition["Environment"] = {name: _text(value) for name, value in environment.items()}
    if (attempts := training.get("retries")) is not None:
        definition["RetryStrategy"] = {"MaximumRetryAttempts": _whole(attempts)}
    if (checkpoints := training.get("checkpoint_path")) is not None:
        definition["CheckpointConfig"] = {"S3Uri": places.output(checkpoints, "checkpoints")}
    if file.strict or "instance_type" in training or "instance_count" in training:
        definition["ResourceConfig"] = {
            "InstanceType": training.get("instance_type", "ml.m5.large"),
            "InstanceCount": _whole(training.get("instance_count", 1)),
            "VolumeSizeInGB": 30,
        }
    return definition


def _channels(training: Mapping[str, Plain], places: Places) -> Iterator[Request]:
    for name, entry in table(training, "inputs").items():
        details = entry if isinstance(entry, dict) else {"uri": entry}
        channel: Request = {
            "ChannelName": name,
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": details.get("data_type", "S3Prefix"),
                    "S3Uri": places.data(str(details["uri"]), name),
                    "S3DataDistributionType": details.get("distribution", "FullyReplicated"),
                }
            },
        }
        members = {
            "content_type": "ContentType",
            "input_mode": "InputMode",
            "compression": "CompressionType",
            "record_wrapper": "RecordWrapperType",
        }
        yield channel | {member: details[field] for field, member in members.items() if field in details}


def _static(file: TuningFile, places: Places) -> dict[str, str]:
    training = file.training
    static = {name: encode_hyperparameter(value) for name, value in table(training, "hyperparameters").items()}
    if "entry_point" in training:
        static["sagemaker_program"] = places.program()
        static["sagemaker_submit_directory"] = places.submit_directory()
    return static | pack(_extensions(file, places))


def _extensions(file: TuningFile, places: Places) -> dict[str, Plain]:
    """What AMT has no field for."""
    training, found = file.training, {name: file.data[name] for name in EXTENSIONS if name in file.data}
    hyperband = table(file.data, "hyperband")
    found |= {f"hyperband_{name}": hyperband[name] for name in ("proposals", "mode") if name in hyperband}
    found |= {name: training[name] for name in ("cpus", "gpus") if name in training}
    if "python" in training:
        found["python"] = interpreter_of(file.base, str(training["python"]))
    if "function" in training:
        path: list[Plain] = [str(places.source)] if places.source is not None else []
        found["function"] = {"reference": training["function"], "pickled": False, "path": path}
    return found


def _text(value: Plain) -> str:
    """A scalar as a variable's or a tag's text."""
    return value if isinstance(value, str) else encode_value(value) if isinstance(value, Value) else str(value)


def _whole(value: Plain) -> int:
    assert isinstance(value, int | float)
    return int(value)


def _number(value: Plain) -> float:
    assert isinstance(value, int | float)
    return float(value)
