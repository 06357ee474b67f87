"""A tuning file into AMT's CreateHyperParameterTuningJob request, whole and exactly.

In extended mode local names become `file://` and what AMT has no field for travels in the static
hyperparameter `_tunewright`. In strict mode local names are put under `s3://` by whoever is handed in as
`Uploads`, and nothing of ours is sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from tunewright.cli.check import EXTENSIONS, problems, space, table
from tunewright.cli.document import Document, Plain, Where, read
from tunewright.cli.names import did_you_mean, job_name
from tunewright.cli.shelf import Shelf
from tunewright.core.errors import Invalid, Problem
from tunewright.core.space import Value, encode_value
from tunewright.sdk.inputs import local_path
from tunewright.sdk.values import encode_hyperparameter, ranges_shape

Request: TypeAlias = dict[str, Any]
"""AMT's request as botocore takes it."""

SCRIPT_IMAGE = "tunewright/script"
FUNCTION_IMAGE = "tunewright/function"
ROLE = "arn:aws:iam::000000000000:role/tunewright"
PIECE = 2500
"""Characters of one static hyperparameter; a longer `_tunewright` value is continued in further ones."""
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
        places = _Places(self, shelf)
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


def load(path: Path, *, strict: bool, now: float, name: str | None = None) -> TuningFile:
    """Read and check a tuning file.

    Args:
        now: seconds since the epoch, for the name of a job that has none.
        name: the tuning job's name, whatever the file says.

    Raises:
        Invalid: with every problem of the file.
    """
    document = read(path)
    if name is not None:
        document.data["name"] = name
    found = list(problems(document, strict=strict))
    if not any("training" in problem.path and "training.metrics" not in problem.path for problem in found):
        found += _missing_files(document)
    if found:
        raise Invalid(found)
    given = document.data.get("name")
    return TuningFile(path, document.data, str(given) if given else job_name(path.stem, now), strict)


# ---- places ----


def _missing_files(document: Document) -> Iterator[Problem]:
    """Local names that lead nowhere."""
    base = document.path.absolute().parent
    training = table(document.data, "training")
    source = _source(base, training)
    if source is not None and not source.is_dir() and not (source.is_file() and source.name.endswith(".tar.gz")):
        where: Where = ("training", "source_dir")
        yield Problem(document.place(where), f"{_text(training['source_dir'])!r} is not a directory ({source}).")
    elif source is not None and source.is_dir() and "entry_point" in training:
        yield from _missing_script(document, source, base, training)
    for channel, entry in table(training, "inputs").items():
        uri = entry["uri"] if isinstance(entry, dict) else entry
        yield from _missing_input(document, ("training", "inputs", channel), base, str(uri))


def _missing_script(document: Document, source: Path, base: Path, training: Mapping[str, Plain]) -> Iterator[Problem]:
    where: Where = ("training", "entry_point")
    given = str(training["entry_point"])
    script = _script(base, source, training)
    if not script.is_relative_to(source):
        yield Problem(document.place(where), f"{given!r} is outside source_dir ({source}); put it inside.")
    elif not script.is_file():
        hint = did_you_mean(script.name, [file.name for file in source.glob("*.py")])
        yield Problem(document.place(where), f"there is no file {given!r} in {source}.{hint}")


def _missing_input(document: Document, where: Where, base: Path, uri: str) -> Iterator[Problem]:
    if uri.startswith("s3://"):
        return
    try:
        path = local_path(uri if "://" in uri else str(base / Path(uri).expanduser()))
    except Invalid as error:
        yield from (Problem(document.place(where), problem.message) for problem in error.problems)
        return
    if path is None:
        yield Problem(document.place(where), f"{uri!r} has an unknown scheme; use a path, file:// or s3://.")
    elif not path.exists():
        yield Problem(document.place(where), f"there is no file or directory {uri!r} ({path}).")
    elif path.is_dir() and not any(path.iterdir()):
        yield Problem(document.place(where), f"the directory {uri!r} is empty ({path}).")


def _source(base: Path, training: Mapping[str, Plain]) -> Path | None:
    """The script's directory on this disk: the one given, else the one that the script lies in."""
    given = training.get("source_dir")
    if given is not None:
        if str(given).startswith("s3://"):
            return None
        return local_path(str(given) if "://" in str(given) else str((base / Path(str(given)).expanduser()).resolve()))
    if "entry_point" not in training:
        return base
    return (base / Path(str(training["entry_point"])).expanduser()).resolve().parent


def _script(base: Path, source: Path, training: Mapping[str, Plain]) -> Path:
    """The script: inside source_dir where that is given, else beside the file."""
    given = Path(str(training["entry_point"])).expanduser()
    if "source_dir" in training and (given.is_absolute() or (source / given).exists()):
        return (source / given).resolve()
    beside = (base / given).resolve()
    return beside if "source_dir" not in training or beside.is_file() else (source / given).resolve()


class _Places:
    """A file's local names as addresses."""

    def __init__(self, file: TuningFile, shelf: Shelf) -> None:
        self._file, self._shelf = file, shelf
        self.source = _source(file.base, file.training)

    def absolute(self, text: str) -> Path:
        return (self._file.base / Path(text).expanduser()).resolve()

    def interpreter(self, text: str) -> Path:
        """A Python interpreter by its path; links stay as they are, for a virtual environment's is one."""
        return self._file.base / Path(text).expanduser()

    def data(self, text: str, channel: str) -> str:
        """The address of an input: a path, or an address already."""
        if text.startswith("s3://"):
            return text
        path = local_path(text) if "://" in text else self.absolute(text)
        assert path is not None, "checked before"
        return self._shelf.data(self._file.name, channel, path)

    def program(self) -> str:
        """The script's name within its directory."""
        if self.source is None or not self.source.is_dir():
            return str(self._file.training["entry_point"])
        script = _script(self._file.base, self.source, self._file.training)
        return script.relative_to(self.source.resolve()).as_posix()

    def submit_directory(self) -> str:
        """The address of the script's directory; without source_dir only the script itself travels."""
        if self.source is None:
            return str(self._file.training["source_dir"])
        only = None
        if "source_dir" not in self._file.training:
            only = _script(self._file.base, self.source, self._file.training)
        return self._shelf.source(self._file.name, self.source, only)

    def output(self, given: Plain, kind: str) -> str:
        if given is None:
            return self._shelf.output(kind)
        text = str(given)
        return text if "://" in text else self._shelf.directory(self.absolute(text))


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


def _definition(file: TuningFile, places: _Places) -> Request:
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


def _channels(training: Mapping[str, Plain], places: _Places) -> Iterator[Request]:
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


def _static(file: TuningFile, places: _Places) -> dict[str, str]:
    training = file.training
    static = {name: encode_hyperparameter(value) for name, value in table(training, "hyperparameters").items()}
    if "entry_point" in training:
        static["sagemaker_program"] = places.program()
        static["sagemaker_submit_directory"] = places.submit_directory()
    return static | pieces(_extensions(file, places))


def _extensions(file: TuningFile, places: _Places) -> dict[str, Plain]:
    """What AMT has no field for."""
    training, found = file.training, {name: file.data[name] for name in EXTENSIONS if name in file.data}
    hyperband = table(file.data, "hyperband")
    found |= {f"hyperband_{name}": hyperband[name] for name in ("proposals", "mode") if name in hyperband}
    found |= {name: training[name] for name in ("cpus", "gpus") if name in training}
    if "python" in training:
        text = str(training["python"])
        found["python"] = str(places.interpreter(text)) if "/" in text else text
    if "function" in training:
        path: list[Plain] = [str(places.source)] if places.source is not None else []
        found["function"] = {"reference": training["function"], "pickled": False, "path": path}
    return found


def pieces(extensions: Mapping[str, Plain]) -> dict[str, str]:
    """The static hyperparameters that carry our extensions: `_tunewright`, `_tunewright_2`, ..."""
    if not extensions:
        return {}
    text = json.dumps(extensions, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    parts = re.findall(f"(?s).{{1,{PIECE}}}", text)
    return {f"_tunewright{f'_{place}' if place > 1 else ''}": part for place, part in enumerate(parts, start=1)}


def _text(value: Plain) -> str:
    """A scalar as a variable's or a tag's text."""
    return value if isinstance(value, str) else encode_value(value) if isinstance(value, Value) else str(value)


def _whole(value: Plain) -> int:
    assert isinstance(value, int | float)
    return int(value)


def _number(value: Plain) -> float:
    assert isinstance(value, int | float)
    return float(value)
