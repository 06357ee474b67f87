"""Tuning files: the exact request that they stand for, and every problem at once."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunewright.cli.tunefile.request import TuningFile
from tunewright.cli.tunefile.schema_check import schema
from tunewright.cli.tunefile.shelf import BucketShelf, HomeShelf
from tunewright.core.errors import Invalid
from tunewright.objects.local import LocalObjects

from .files import load

EXAMPLE = """\
name: digits
strategy: Bayesian                     # Random | Grid | Hyperband
objective: {metric: "validation:accuracy", type: Maximize}
max_jobs: 30
max_parallel_jobs: 4
early_stopping: Auto
seed: 7
parameters:
  learning_rate: {type: continuous, min: 1e-4, max: 1e-1, scaling: Logarithmic}
  num_layers:    {type: integer, min: 2, max: 10}
  optimizer:     {type: categorical, values: [sgd, adam]}
completion: {target: 0.99, not_improving: 10, convergence: true, max_runtime_seconds: 600}
warm_start: {type: TransferLearning, parents: [earlier-job]}
training:
  entry_point: train.py
  source_dir: .
  hyperparameters: {epochs: 20}
  metrics: {"validation:accuracy": "val_acc=([0-9.]+)"}
  inputs: {train: ./data/train}
  environment: {OMP_NUM_THREADS: "1"}
"""
EXAMPLE_CONFIG: dict[str, Any] = {
    "Strategy": "Bayesian",
    "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "validation:accuracy"},
    "ResourceLimits": {
        "MaxNumberOfTrainingJobs": 30,
        "MaxParallelTrainingJobs": 4,
        "MaxRuntimeInSeconds": 600,
    },
    "ParameterRanges": {
        "ContinuousParameterRanges": [
            {"Name": "learning_rate", "MinValue": "0.0001", "MaxValue": "0.1", "ScalingType": "Logarithmic"}
        ],
        "IntegerParameterRanges": [{"Name": "num_layers", "MinValue": "2", "MaxValue": "10", "ScalingType": "Auto"}],
        "CategoricalParameterRanges": [{"Name": "optimizer", "Values": ["sgd", "adam"]}],
    },
    "TrainingJobEarlyStoppingType": "Auto",
    "TuningJobCompletionCriteria": {
        "TargetObjectiveMetricValue": 0.99,
        "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 10},
        "ConvergenceDetected": {"CompleteOnConvergence": "Enabled"},
    },
    "RandomSeed": 7,
}
SMALL: dict[str, Any] = {
    "objective": {"metric": "acc"},
    "max_jobs": 3,
    "parameters": {"lr": {"type": "continuous", "min": 0.1, "max": 0.2}},
    "training": {"entry_point": "train.py"},
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text("print('acc=1')\n")
    (tmp_path / "data" / "train").mkdir(parents=True)
    (tmp_path / "data" / "train" / "x.csv").write_text("1\n")
    return tmp_path


def loaded(place: Path, change: Any = None, *, strict: bool = False, name: str | None = None) -> TuningFile:
    data = json.loads(json.dumps(SMALL))
    if isinstance(change, str):
        text = change
    else:
        if change:
            change(data)
        text = yaml.safe_dump(data, sort_keys=False)
    path = place / "my_tuning file.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, strict=strict, now=1_700_000_000.0, name=name)


def request(place: Path, change: Any = None, *, strict: bool = False) -> dict[str, Any]:
    shelf = BucketShelf(None) if strict else HomeShelf(place / "home")
    return loaded(place, change, strict=strict).request(shelf)


def refused(place: Path, change: Any, *, strict: bool = False) -> list[str]:
    with pytest.raises(Invalid) as caught:
        loaded(place, change, strict=strict)
    return [str(problem) for problem in caught.value.problems]


def put(*where: str, value: Any) -> Any:
    """A change of SMALL: set the field at a path."""

    def change(data: dict[str, Any]) -> None:
        for part in where[:-1]:
            data = data.setdefault(part, {})
        data[where[-1]] = value

    return change


# ---- the request ----


def test_the_example_is_this_request(place: Path) -> None:
    assert request(place, EXAMPLE) == {
        "HyperParameterTuningJobName": "digits",
        "HyperParameterTuningJobConfig": EXAMPLE_CONFIG,
        "TrainingJobDefinition": {
            "AlgorithmSpecification": {
                "TrainingImage": "tunewright/script",
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "validation:accuracy", "Regex": "val_acc=([0-9.]+)"}],
            },
            "RoleArn": "arn:aws:iam::000000000000:role/tunewright",
            "OutputDataConfig": {"S3OutputPath": (place / "home" / "output").as_uri()},
            "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
            "StaticHyperParameters": {
                "epochs": "20",
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": place.as_uri(),
            },
            "InputDataConfig": [
                {
                    "ChannelName": "train",
                    "DataSource": {
                        "S3DataSource": {
                            "S3DataType": "S3Prefix",
                            "S3Uri": (place / "data" / "train").as_uri(),
                            "S3DataDistributionType": "FullyReplicated",
                        }
                    },
                }
            ],
            "Environment": {"OMP_NUM_THREADS": "1"},
        },
        "WarmStartConfig": {
            "WarmStartType": "TransferLearning",
            "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "earlier-job"}],
        },
    }


def test_toml_and_json_say_the_same(place: Path) -> None:
    wanted = request(place, EXAMPLE)
    data = load(place / "my_tuning file.yaml", strict=False, now=0).data
    (place / "t.json").write_text(json.dumps(data))
    (place / "t.toml").write_text(toml(data))
    for name in ("t.json", "t.toml"):
        assert load(place / name, strict=False, now=0).request(HomeShelf(place / "home")) == wanted


def toml(data: Any) -> str:
    """Inline TOML of plain data."""

    def said(value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{json.dumps(key)} = {said(item)}" for key, item in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(said, value)) + "]"
        return json.dumps(value)

    return "".join(f"{json.dumps(key)} = {said(value)}\n" for key, value in data.items())


def test_a_name_is_made_from_the_file_and_the_time(place: Path) -> None:
    assert loaded(place).name == "my-tuning-file-231114-221320"
    assert loaded(place, name="mine").name == "mine"


def test_strict_names_and_copies_nothing_but_s3(place: Path) -> None:
    objects = LocalObjects(place / "objects")
    made = loaded(place, EXAMPLE, strict=True).request(BucketShelf(objects))
    definition = made["TrainingJobDefinition"]
    uris = re.findall(r'"(?:s3|file)://[^"]*"', json.dumps(made))
    assert uris and all(uri.startswith('"s3://tunewright/') for uri in uris)
    assert objects.exists(definition["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"])
    assert objects.exists(definition["StaticHyperParameters"]["sagemaker_submit_directory"])
    assert definition["ResourceConfig"]["InstanceType"].startswith("ml.")


def test_a_script_without_source_dir_travels_alone(place: Path) -> None:
    home = place / "home"
    static = request(place)["TrainingJobDefinition"]["StaticHyperParameters"]
    assert static["sagemaker_program"] == "train.py"
    assert static["sagemaker_submit_directory"].startswith((home / "sources").as_uri())
    dry = loaded(place).request(HomeShelf(place / "other", dry=True))
    assert dry["TrainingJobDefinition"]["StaticHyperParameters"]["sagemaker_submit_directory"].endswith(".tar.gz")
    assert not (place / "other").exists()


def test_types_of_values_survive(place: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        data["parameters"]["opt"] = {"type": "categorical", "values": [32, 0.5, True, "sgd", "1"]}
        data["training"]["hyperparameters"] = {
            "a": "1",
            "b": 1,
            "c": [1, "x"],
            "d": {"k": None},
            "e": "it's",
            "f": False,
        }

    made = request(place, change)
    values = made["HyperParameterTuningJobConfig"]["ParameterRanges"]["CategoricalParameterRanges"][0]["Values"]
    assert values == ["32", "0.5", "true", "sgd", '"1"']
    static = made["TrainingJobDefinition"]["StaticHyperParameters"]
    assert {name: static[name] for name in "abcdef"} == {
        "a": '"1"',
        "b": "1",
        "c": '[1, "x"]',
        "d": '{"k": null}',
        "e": "it's",
        "f": "false",
    }


def test_a_function_and_what_amt_has_no_field_for_travel_as_an_extension(place: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        data["training"] = {"function": "mine.train:run", "cpus": 2, "gpus": 1}
        data |= {"initial_points": [{"lr": 0.15}]}

    definition = request(place, change)["TrainingJobDefinition"]
    assert definition["AlgorithmSpecification"]["TrainingImage"] == "tunewright/function"
    assert json.loads(definition["StaticHyperParameters"]["_tunewright"]) == {
        "initial_points": [{"lr": 0.15}],
        "cpus": 2,
        "gpus": 1,
        "function": {"reference": "mine.train:run", "pickled": False, "path": [str(place)]},
    }
    assert len(refused(place, change, strict=True)) == 4


def test_details_of_inputs_checkpoints_and_the_rest(place: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        data["tags"] = {"team": "vision", "run": 3}
        data["training"] |= {
            "inputs": {"val": {"uri": "s3://bucket/val", "content_type": "text/csv", "input_mode": "FastFile"}},
            "output_path": "models",
            "checkpoint_path": "/ckpt",
            "retries": 3,
            "max_runtime_seconds": 90,
            "environment": {"N": 1, "FLAG": True},
            "python": "venv/bin/python",
        }

    made = request(place, change)
    definition = made["TrainingJobDefinition"]
    assert made["Tags"] == [{"Key": "team", "Value": "vision"}, {"Key": "run", "Value": "3"}]
    channel = definition["InputDataConfig"][0]
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == "s3://bucket/val"
    assert (channel["ContentType"], channel["InputMode"]) == ("text/csv", "FastFile")
    assert definition["OutputDataConfig"] == {"S3OutputPath": (place / "models").as_uri()}
    assert definition["CheckpointConfig"] == {"S3Uri": "file:///ckpt"}
    assert definition["RetryStrategy"] == {"MaximumRetryAttempts": 3}
    assert definition["StoppingCondition"] == {"MaxRuntimeInSeconds": 90}
    assert definition["Environment"] == {"N": "1", "FLAG": "true"}
    assert json.loads(definition["StaticHyperParameters"]["_tunewright"])["python"] == str(place / "venv/bin/python")


_NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
_BOUNDS = st.tuples(st.floats(1e-6, 10), st.floats(1e-6, 10)).map(sorted)
_RANGES = st.one_of(
    _BOUNDS.map(lambda b: {"type": "continuous", "min": b[0], "max": b[1]}),
    st.tuples(st.integers(1, 9), st.integers(9, 99)).map(lambda b: {"type": "integer", "min": b[0], "max": b[1]}),
    st.lists(st.text("abc1", min_size=1) | st.integers(0, 99), min_size=1, unique_by=str).map(
        lambda values: {"type": "categorical", "values": values}
    ),
)
_MODEL = ServiceModel(Loader().load_service_model("sagemaker", "service-2"), "sagemaker")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(
    st.dictionaries(_NAMES, _RANGES, min_size=1, max_size=5),
    st.integers(1, 99),
    st.sampled_from(["Bayesian", "Random"]),
)
def test_every_valid_file_is_a_request_of_botocores_shape(
    place: Path, parameters: dict[str, Any], jobs: int, strategy: str
) -> None:
    def change(data: dict[str, Any]) -> None:
        data |= {"parameters": parameters, "max_jobs": jobs, "strategy": strategy}

    made = request(place, change)
    shape = _MODEL.operation_model("CreateHyperParameterTuningJob").input_shape
    assert ParamValidator().validate(made, shape).generate_report() == ""
    ranges = made["HyperParameterTuningJobConfig"]["ParameterRanges"]
    assert sorted(r["Name"] for kind in ranges.values() for r in kind) == sorted(parameters)


# ---- problems ----


def test_all_problems_at_once_with_lines_hints_and_remedies(place: Path) -> None:
    text = """\
name: my_job
stratgy: Bayesian
objective: {metric: "acc", type: Max}
max_jobs: "30"
early_stopping: off
parameters:
  lr: {type: continuous, min: 0, max: 0.1, scaling: log}
  n: {type: int, min: 1, max: 3}
  opt: {type: categorical, values: sgd}
completion: {not_improving: 1, convergence: "yes"}
training:
  entrypoint: train.py
  environment: {1A: 3}
"""
    assert refused(place, text) == [
        "line 1, name: 'my_job' is not a name for a tuning job: letters, digits and, inside, hyphens, at most 63.",
        "line 2, stratgy: is not a field. Did you mean 'strategy'?",
        "line 3, objective.type: \"Max\" is not one of Maximize, Minimize. Did you mean 'Maximize'?",
        'line 4, max_jobs: "30" is not a whole number. Write 30 without quotes.',
        "line 5, early_stopping: \"off\" is not one of Off, Auto. Did you mean 'Off'?",
        'line 7, parameters.lr.scaling: "log" is not one of Auto, Linear, Logarithmic, ReverseLogarithmic. '
        "Did you mean 'Logarithmic'?",
        "line 8, parameters.n.type: \"int\" is not one of continuous, integer, categorical. Did you mean 'integer'?",
        'line 9, parameters.opt.values: "sgd" is not a list. Write [sgd].',
        'line 10, completion.convergence: "yes" is not true or false. Write true.',
        "line 10, completion.not_improving: 1 is too small; the smallest allowed is 3.",
        "line 12, training.entrypoint: is not a field. Did you mean 'entry_point'?",
        "line 13, training.environment.1A: '1A' is not a name for a variable: letters, digits and underscores, not "
        "beginning with a digit.",
    ]


@pytest.mark.parametrize(
    ("word", "ours"), [("float", "continuous"), ("choice", "categorical"), ("Bool", "categorical")]
)
def test_words_of_other_tools_are_understood(place: Path, word: str, ours: str) -> None:
    head, tail = "objective: {metric: m}\nmax_jobs: 3\n", "training: {entry_point: train.py}\n"
    [told] = refused(place, f"{head}parameters: {{lr: {{type: {word}}}}}\n{tail}")
    assert told.endswith(f"is not one of continuous, integer, categorical. Did you mean {ours!r}?")


def test_a_table_that_is_none_is_shown_how_one_looks(place: Path) -> None:
    text = "objective: loss\nmax_jobs: 3\nparameters: {lr: [0.1, 1]}\ntraining: {entry_point: train.py}\n"
    assert refused(place, text) == [
        'line 1, objective: "loss" is not a table of fields. Write one such as {metric: loss, type: Minimize}.',
        "line 3, parameters.lr: [0.1, 1] is not a table of fields. Write one such as"
        " {type: continuous, min: 0.001, max: 0.1} or {type: categorical, values: [sgd, adam]}.",
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (put("parameters", "lr", "max", value=0.05), "parameters.lr: MinValue 0.1 is greater than MaxValue 0.05"),
        (
            put("parameters", "lr", value={"type": "continuous", "min": 0, "max": 1, "scaling": "Logarithmic"}),
            "MinValue > 0",
        ),
        (put("parameters", "lr", "step", value=1), "parameters.lr.step: is not a field"),
        (put("parameters", "lr", value=None), "parameters.lr: is empty; it must be a table of fields"),
        (put("training", "metrics", value={"acc ": "x(.)"}), "objective.metric: 'acc' is not among training.metrics"),
        (put("training", "metrics", value={"acc": "x("}), "training.metrics.acc: 'x(' is not a regular expression"),
        (put("training", "hyperparameters", value={"lr": 1}), "is tuned under parameters and fixed here too"),
        (put("training", "function", value="a:b"), "gives entry_point and function; keep one"),
        (put("training", value={"algorithm": "xgboost"}), "built-in algorithms such as 'xgboost' cannot be run yet"),
        (put("training", value={}), "says nothing to run"),
        (put("training", value={"function": "train.py"}), "write package.module:name"),
        (put("training", "entry_point", value="trian.py"), "no file 'trian.py'"),
        (put("training", "entry_point", value="trian.py"), "Did you mean 'train.py'?"),
        (put("training", "source_dir", value="none"), "'none' is not a directory"),
        (put("training", "inputs", value={"train": "none"}), "no file or directory 'none'"),
        (put("training", "inputs", value={"train": "http://x"}), "'http://x' has an unknown scheme"),
        (put("training", "inputs", value={"train": {"url": "x"}}), "training.inputs.train.url: is not a field"),
        (put("training", "hyperparameters", value={"x": None}), "training.hyperparameters.x: is empty"),
        (put("training", "environment", value={"A": None}), "training.environment.A: is empty"),
        (put("hyperband", value={"mode": "promotion"}), "hyperband.mode: promotion is for the strategy Hyperband, got"),
        (
            put("hyperband", value={"mode": "promotion"}),
            "training.checkpoint_path: is missing, and with",
        ),
        (
            put("initial_points", value=[{"lr": 0.15}, {"lrr": 1}]),
            "initial_points[1].lrr: is not a tuned parameter. Did you",
        ),
        (put("initial_points", value=[{"lr": 7}]), "initial_points[0].lr: 7 is not among its values; give a number"),
        (put("steps", value={"lr": 0.5}), "steps.lr: the step 0.5 is larger than the range from 0.1 to 0.2"),
        (put("steps", value={"lrr": 0.1}), "steps.lrr: 'lrr' is not a tuned parameter. Did you mean 'lr'?"),
        (put("steps", value={"lr": 0}), "steps.lr: 0 is too small; it must be greater than 0"),
        (put("conditions", value={"lr": "lr > 0"}), "conditions.lr: goes round in a circle (lr -> lr)"),
        (put("conditions", value={"wd": "lr > 0"}), "conditions.wd: 'wd' is not a tuned parameter"),
        (put("conditions", value={"lr": 3}), "conditions.lr: 3 is not text"),
        (put("forbidden", value=["lr > 0"]), "forbidden: leaves nothing: every combination of values is forbidden"),
        (put("forbidden", value=["lr => 0"]), "forbidden[0]: 'lr => 0': expected"),
        (put("replicates", value=2), "max_jobs: 3 is not a multiple of replicates 2, so that the last configuration"),
        (put("forbidden", value="lr > 0"), 'forbidden: "lr > 0" is not a list'),
        (
            lambda data: data.update(forbidden=["lr >= 0.15"], initial_points=[{"lr": 0.16}]),
            "initial_points[0]: is forbidden by 'lr >= 0.15'",
        ),
        (
            lambda data: data.update(
                parameters={
                    "lr": {"type": "continuous", "min": 2, "max": 1},
                    "k": {"type": "categorical", "values": ["a"]},
                },
                forbidden=["lr => 0"],
                initial_points=[{"k": "a"}],
            ),
            "parameters.lr: MinValue 2 is greater than MaxValue 1; swap them",
        ),
        (put("strategy", value="hyperband"), "Did you mean 'Hyperband'?"),
        (put("hyperband", value={"min_resource": 9, "max_resource": 3}), "9 is greater than max_resource 3"),
        (put("max_jobs", value=0), "0 is too small; the smallest allowed is 1"),
        (put("max_jobs", value=2.5), "2.5 is not a whole number"),
        (put("max_jobs", value=True), "true is not a whole number"),
        (put("parameters", value={}), "parameters: is empty"),
        (lambda data: data.pop("objective"), "objective: is missing"),
        (lambda data: data.pop("parameters"), "parameters: is missing"),
        (lambda data: data.pop("max_jobs"), "max_jobs: is missing, and nothing else ends the job"),
        (lambda data: data.pop("training"), "'training' is missing"),
        (lambda data: data.update(strategy="Hyperband", early_stopping="Auto"), "Auto cannot be used with Hyperband"),
    ],
)
def test_each_problem_names_field_rule_and_remedy(place: Path, change: Any, says: str) -> None:
    assert says in "\n".join(refused(place, change))


def test_strict_refuses_what_extended_allows_and_says_so(place: Path) -> None:
    change = put("parameters", "lr", "max", value=0.1)
    assert loaded(place, change).name
    assert "Extended mode allows it." in refused(place, change, strict=True)[0]
    assert "32" in refused(place, put("name", value="a" * 33), strict=True)[0]


def test_a_script_outside_its_source_directory_is_refused(place: Path) -> None:
    (place / "src").mkdir()
    (place / "src" / "a.py").write_text("")
    found = refused(place, put("training", value={"entry_point": "train.py", "source_dir": "src"}))
    assert "outside source_dir" in found[0]


# ---- the schema ----


def test_every_field_of_the_schema_is_described() -> None:
    def described(node: Any, path: str) -> list[str]:
        found = []
        for name, entry in node.get("properties", {}).items():
            target = entry
            if isinstance(entry, dict) and "$ref" in entry:
                target = schema()["$defs"][entry["$ref"].rpartition("/")[2]]  # type: ignore[index]
            if isinstance(target, dict) and "description" not in target:
                found.append(f"{path}.{name}")
        return found

    document: Any = schema()
    missing = described(document, "")
    for name, part in document["$defs"].items():
        missing += described(part, name)
    assert missing == []


def test_the_schema_is_a_valid_schema() -> None:
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(schema())
