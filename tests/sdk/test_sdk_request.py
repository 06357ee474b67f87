"""Requests: exact AMT structures that botocore would send, and everything wrong found before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tunewright.core.errors import Problem
from tunewright.estimator import AlgorithmEstimator, Estimator, FunctionEstimator, TrainingInput
from tunewright.sdk.session import Session
from tunewright.tuner import (
    CategoricalParameter,
    ContinuousParameter,
    HyperbandStrategyConfig,
    HyperparameterTuner,
    InstanceConfig,
    IntegerParameter,
    InvalidArguments,
    StrategyConfig,
    TuningJobCompletionCriteriaConfig,
    WarmStartConfig,
    WarmStartTypes,
)

from .fakes import complaints, fake, session

METRICS = [{"Name": "acc", "Regex": "acc=([0-9.]+)"}]
RANGES = {
    "lr": ContinuousParameter(0.001, 0.1),
    "layers": IntegerParameter(2, 10),
    "opt": CategoricalParameter(["sgd", "adam"]),
}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "code dir" / "train.py"
    path.parent.mkdir()
    path.write_text("print('acc=0.5')\n")
    return path


def sent(tuner: HyperparameterTuner, **fit: Any) -> dict[str, Any]:
    """The request of a fit that does not wait."""
    tuner.fit(job_name="a-job", wait=False, **fit)
    return fake(tuner.session).requests["a-job"]


EXTENDED = ("initial_points", "replicates", "keep_best")
TABLE: list[dict[str, Any]] = [
    {},
    {"strategy": "Random", "random_seed": 7, "max_parallel_jobs": 3, "max_runtime_in_seconds": 600},
    {"strategy": "Grid"},
    {"strategy": "Hyperband", "strategy_config": StrategyConfig(HyperbandStrategyConfig(27, 1))},
    {"strategy": "Hyperband", "strategy_config": StrategyConfig(HyperbandStrategyConfig(max_resource=9))},
    {"early_stopping_type": "Auto", "max_jobs": 50.0},
    {"completion_criteria_config": TuningJobCompletionCriteriaConfig(5, True, 0.99)},
    {"completion_criteria_config": TuningJobCompletionCriteriaConfig(complete_on_convergence=False)},
    {"completion_criteria_config": TuningJobCompletionCriteriaConfig()},
    {"warm_start_config": WarmStartConfig(WarmStartTypes.TRANSFER_LEARNING, ["p1", "p2"])},
    {"warm_start_config": WarmStartConfig("IdenticalDataAndAlgorithm", {"p1"})},
    {"tags": {"team": "a"}},
    {"tags": [{"Key": "team", "Value": "a"}]},
    {"estimator_name": "only"},
    {"autotune": True, "hyperparameters_to_keep_static": ["epochs"]},
    {"initial_points": [{"lr": 0.01, "layers": 3, "opt": "sgd"}], "replicates": 2, "keep_best": 3, "max_jobs": 4},
]


@pytest.mark.parametrize("arguments", TABLE, ids=lambda each: ",".join(each) or "plain")
@pytest.mark.parametrize("strict", [False, True])
def test_botocore_would_send_every_request(
    script: Path, tmp_path: Path, arguments: dict[str, Any], strict: bool
) -> None:
    arguments = {name: value for name, value in arguments.items() if not (strict and name in EXTENDED)}
    estimator = Estimator(script, hyperparameters={"epochs": 20, "wd": 0.1}, metric_definitions=METRICS)
    tuner = HyperparameterTuner(
        estimator, "acc", RANGES, session=session(tmp_path / "home", strict=strict), **arguments
    )
    inputs = {"train": str(script.parent), "more": TrainingInput("s3://b/k", content_type="text/csv")}
    request = sent(tuner, inputs={"only": inputs} if "estimator_name" in arguments else inputs)
    assert complaints("CreateHyperParameterTuningJob", request) == ""
    limits = request["HyperParameterTuningJobConfig"]["ResourceLimits"]
    jobs = arguments.get("max_jobs", None if arguments.get("strategy") == "Grid" else 1)
    assert limits.get("MaxNumberOfTrainingJobs") == jobs
    text = json.dumps(request)
    assert ("file://" in text) is not strict
    assert "_tunewright" not in text or "initial_points" in arguments


def test_the_whole_request_of_a_plain_tuner(script: Path, tmp_path: Path) -> None:
    mine = session(tmp_path / "home")
    estimator = Estimator("train.py", str(script.parent), hyperparameters={"epochs": 20, "lr": 0.5, "name": "a b"})
    tuner = HyperparameterTuner(estimator, "acc", RANGES, METRICS, max_jobs=20, max_parallel_jobs=4, session=mine)
    assert sent(tuner, inputs={"train": script.parent}) == {
        "HyperParameterTuningJobName": "a-job",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "ResourceLimits": {"MaxParallelTrainingJobs": 4, "MaxNumberOfTrainingJobs": 20},
            "TrainingJobEarlyStoppingType": "Off",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "acc"},
            "ParameterRanges": {
                "ContinuousParameterRanges": [
                    {"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Auto"}
                ],
                "IntegerParameterRanges": [
                    {"Name": "layers", "MinValue": "2", "MaxValue": "10", "ScalingType": "Auto"}
                ],
                "CategoricalParameterRanges": [{"Name": "opt", "Values": ["sgd", "adam"]}],
            },
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": {
                "epochs": "20",
                "name": "a b",
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": script.parent.as_uri(),
            },
            "AlgorithmSpecification": {
                "TrainingImage": "tunewright/script",
                "TrainingInputMode": "File",
                "MetricDefinitions": METRICS,
            },
            "RoleArn": "arn:aws:iam::000000000000:role/tunewright",
            "OutputDataConfig": {"S3OutputPath": (tmp_path / "home" / "output").as_uri()},
            "StoppingCondition": {},
            "InputDataConfig": [
                {
                    "ChannelName": "train",
                    "DataSource": {
                        "S3DataSource": {
                            "S3DataType": "S3Prefix",
                            "S3Uri": script.parent.as_uri(),
                            "S3DataDistributionType": "FullyReplicated",
                        }
                    },
                }
            ],
            "HyperParameterTuningResourceConfig": {"InstanceType": "local", "InstanceCount": 1, "VolumeSizeInGB": 30},
        },
    }


def test_what_amt_has_no_field_for_travels_in_one_hyperparameter(script: Path, tmp_path: Path) -> None:
    import sys

    estimator = Estimator(script, python=sys.executable, cpus=2, gpus=1, metric_definitions=METRICS)
    points = [{"lr": 0.01, "layers": number % 9 + 2, "opt": "sgd"} for number in range(100)]
    tuner = HyperparameterTuner(estimator, "acc", RANGES, initial_points=points, session=session(tmp_path / "home"))
    static = sent(tuner)["TrainingJobDefinition"]["StaticHyperParameters"]
    pieces = [static[name] for name in sorted(name for name in static if name.startswith("_tunewright"))]
    assert len(pieces) > 1 and all(len(piece) <= 2500 for piece in pieces)
    found = json.loads("".join(pieces))
    assert found == {"python": sys.executable, "cpus": 2, "gpus": 1, "initial_points": points}


def test_a_single_script_is_packed_alone_and_the_same_every_time(script: Path, tmp_path: Path) -> None:
    import tarfile

    (script.parent / "secret.txt").write_text("not for the job")
    mine = session(tmp_path / "home")
    tuner = HyperparameterTuner(Estimator(script, metric_definitions=METRICS), "acc", RANGES, session=mine)
    first = sent(tuner)["TrainingJobDefinition"]["StaticHyperParameters"]
    second = sent(tuner)["TrainingJobDefinition"]["StaticHyperParameters"]
    assert first == second
    assert first["sagemaker_program"] == "train.py"
    path = Path(first["sagemaker_submit_directory"].removeprefix("file://"))
    assert path.is_relative_to(tmp_path / "home")
    with tarfile.open(path) as tar:
        assert tar.getnames() == ["train.py"]


def test_strict_uploads_source_and_inputs_into_the_object_directory(script: Path, tmp_path: Path) -> None:
    (script.parent / "__pycache__").mkdir()
    (script.parent / "__pycache__" / "x.pyc").write_text("")
    data = tmp_path / "data" / "deep"
    data.mkdir(parents=True)
    (data / "a.csv").write_text("1")
    mine = session(tmp_path / "home", strict=True)
    estimator = Estimator("train.py", script.parent, metric_definitions=METRICS)
    definition = sent(HyperparameterTuner(estimator, "acc", RANGES, session=mine), inputs=str(tmp_path / "data"))[
        "TrainingJobDefinition"
    ]
    assert definition["StaticHyperParameters"]["sagemaker_submit_directory"] == (
        "s3://tunewright/a-job/source/sourcedir.tar.gz"
    )
    channel = definition["InputDataConfig"][0]
    assert channel["ChannelName"] == "training"
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == "s3://tunewright/a-job/input/training/"
    objects = tmp_path / "home" / "objects" / "tunewright" / "a-job"
    assert sorted(path.relative_to(objects).as_posix() for path in objects.rglob("*") if path.is_file()) == [
        "input/training/deep/a.csv",
        "source/sourcedir.tar.gz",
    ]
    assert definition["OutputDataConfig"] == {"S3OutputPath": "s3://tunewright/output"}
    assert definition["HyperParameterTuningResourceConfig"]["InstanceType"] == "ml.m5.large"


def test_several_estimators_use_the_form_with_a_list(script: Path, tmp_path: Path) -> None:
    one = Estimator(script, metric_definitions=METRICS, tags={"who": "one"})
    two = AlgorithmEstimator("xgboost:1.7", hyperparameters={"objective": "reg:squarederror"})
    tuner = HyperparameterTuner.create(
        {"b": two, "a": one},
        {"a": "acc", "b": "validation:rmse"},
        {"a": RANGES, "b": {"eta": ContinuousParameter(0.01, 1)}},
        max_jobs=6,
        objective_type="Minimize",
        tags={"who": "tuner"},
        session=session(tmp_path / "home"),
    )
    with pytest.warns(UserWarning, match="'acc' is to be minimized"):
        request = sent(tuner, inputs={"a": str(script.parent)}, include_cls_metadata={"a": True})
    assert "TrainingJobDefinition" not in request
    assert [each["DefinitionName"] for each in request["TrainingJobDefinitions"]] == ["a", "b"]
    assert set(request["HyperParameterTuningJobConfig"]) == {
        "Strategy",
        "ResourceLimits",
        "TrainingJobEarlyStoppingType",
    }
    first, second = request["TrainingJobDefinitions"]
    assert first["TuningObjective"] == {"Type": "Minimize", "MetricName": "acc"}
    assert first["StaticHyperParameters"]["sagemaker_estimator_class_name"] == '"Estimator"'
    assert "InputDataConfig" in first and "InputDataConfig" not in second
    assert second["AlgorithmSpecification"]["TrainingImage"] == "xgboost:1.7"
    assert request["Tags"] == [{"Key": "who", "Value": "tuner"}]


def test_autotune_gives_every_free_hyperparameter_as_a_hint(script: Path, tmp_path: Path) -> None:
    estimator = Estimator(script, hyperparameters={"depth": 4, "eta": 0.3, "lr": 1}, metric_definitions=METRICS)
    tuner = HyperparameterTuner(
        estimator,
        "acc",
        {"lr": ContinuousParameter(0.1, 1)},
        autotune=True,
        hyperparameters_to_keep_static=["eta"],
        session=session(tmp_path / "home"),
    )
    request = sent(tuner)
    ranges = request["HyperParameterTuningJobConfig"]["ParameterRanges"]
    assert request["Autotune"] == {"Mode": "Enabled"}
    assert ranges["AutoParameters"] == [{"Name": "depth", "ValueHint": "4"}]
    static = request["TrainingJobDefinition"]["StaticHyperParameters"]
    assert "eta" in static and "depth" not in static and "lr" not in static


def test_a_choice_of_instances_takes_the_place_of_the_flat_fields(script: Path, tmp_path: Path) -> None:
    tuner = HyperparameterTuner(
        Estimator(script, metric_definitions=METRICS), "acc", RANGES, session=session(tmp_path / "home")
    )
    tuner.override_resource_config([InstanceConfig(1, "ml.m5.large"), InstanceConfig(2, "ml.c5.large", 10)])
    assert sent(tuner)["TrainingJobDefinition"]["HyperParameterTuningResourceConfig"] == {
        "InstanceConfigs": [
            {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30},
            {"InstanceCount": 2, "InstanceType": "ml.c5.large", "VolumeSizeInGB": 10},
        ]
    }


def objective(lr: float, layers: int = 2) -> float:
    return lr * layers


def test_functions_are_stored_or_named(tmp_path: Path) -> None:
    mine = session(tmp_path / "home")
    ranges = {"lr": ContinuousParameter(0.1, 1)}
    definition = sent(HyperparameterTuner(FunctionEstimator(objective), "acc", ranges, session=mine))[
        "TrainingJobDefinition"
    ]
    assert definition["AlgorithmSpecification"] == {
        "TrainingImage": "tunewright/function",
        "TrainingInputMode": "File",
    }
    found = json.loads(definition["StaticHyperParameters"]["_tunewright"])
    assert found == {"function": {"reference": "a" * 64, "pickled": True, "path": ["/somewhere"]}}
    named = FunctionEstimator("colorsys:rgb_to_hsv", path=["/x"], hyperparameters={"g": 1, "b": 2})
    tuner = HyperparameterTuner(named, "acc", {"r": ContinuousParameter(0.1, 1)}, session=mine)
    found = json.loads(sent(tuner)["TrainingJobDefinition"]["StaticHyperParameters"]["_tunewright"])
    assert found == {"function": {"reference": "colorsys:rgb_to_hsv", "pickled": False, "path": ["/x"]}}


def test_the_estimators_metrics_are_used_when_the_tuner_has_none(script: Path, tmp_path: Path) -> None:
    tuner = HyperparameterTuner(
        Estimator(script, metric_definitions={"acc": "a=(.*);"}), "acc", RANGES, session=session(tmp_path / "home")
    )
    algorithm = sent(tuner)["TrainingJobDefinition"]["AlgorithmSpecification"]
    assert algorithm["MetricDefinitions"] == [{"Name": "acc", "Regex": "a=(.*);"}]


def problems(caught: pytest.ExceptionInfo[InvalidArguments]) -> tuple[Problem, ...]:
    return caught.value.problems


@pytest.mark.parametrize(
    ("objective_name", "defined", "hint"),
    [("validation:f1", "loss", "'loss'"), ("test_acc", "test_acc ", "Did you mean 'test_acc '?")],
)
def test_an_objective_that_no_metric_defines_names_those_that_are(
    script: Path, tmp_path: Path, objective_name: str, defined: str, hint: str
) -> None:
    with pytest.raises(InvalidArguments) as caught:
        HyperparameterTuner(Estimator(script), objective_name, RANGES, {defined: "x=(.*)"}, session=session(tmp_path))
    assert f"{objective_name!r}" in str(caught.value) and hint in str(caught.value)


def test_all_arguments_that_are_wrong_are_told_at_once(script: Path) -> None:
    with pytest.raises(ValueError) as caught:
        HyperparameterTuner(
            Estimator(script),
            "acc",
            {"lr": ContinuousParameter(0, 0.1, "Logarithmic")},
            strategy="Bayes",
            objective_type="Maximise",
            early_stopping_type="On",
            max_jobs=0,
            max_parallel_jobs=1.5,  # type: ignore[arg-type]
            random_seed=-1,
            hyperparameters_to_keep_static=["x"],
        )
    assert isinstance(caught.value, InvalidArguments)
    assert {problem.path for problem in caught.value.problems} == {
        "lr",
        "strategy",
        "objective_type",
        "early_stopping_type",
        "max_jobs",
        "max_parallel_jobs",
        "random_seed",
        "hyperparameters_to_keep_static",
    }
    assert "Did you mean 'Bayesian'?" in str(caught.value)


def test_all_that_cannot_start_is_told_at_once_and_nothing_starts(tmp_path: Path) -> None:
    mine = session(tmp_path / "home")
    (tmp_path / "empty").mkdir()
    estimator = Estimator("missing.py", python="python9", hyperparameters={"x": object()}, max_run=0)
    tuner = HyperparameterTuner(estimator, "acc", RANGES, session=mine)
    inputs = {"a": "/no/such/place", "b": str(tmp_path / "empty"), "c": "ftp://x/y", "d": 7}
    with pytest.raises(InvalidArguments) as caught:
        tuner.fit(inputs, job_name="-bad-")  # type: ignore[arg-type]
    assert {problem.path for problem in problems(caught)} == {
        "entry_point",
        "python",
        "hyperparameters.x",
        "max_run",
        "inputs['a']",
        "inputs['b']",
        "inputs['c']",
        "inputs['d']",
        "job_name",
    }
    assert not fake(mine).requests


@pytest.mark.parametrize(
    ("entry", "source", "path"),
    [
        ("sub", None, "entry_point"),
        ("../train.py", "sub", "entry_point"),
        ("train.py", "nowhere", "source_dir"),
        ("other.py", ".", "entry_point"),
    ],
)
def test_scripts_that_are_not_there(tmp_path: Path, entry: str, source: str | None, path: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "train.py").write_text("")
    estimator = Estimator(
        entry if source else tmp_path / entry, None if source is None else tmp_path / source, metric_definitions=METRICS
    )
    tuner = HyperparameterTuner(estimator, "acc", RANGES, session=session(tmp_path / "home"))
    with pytest.raises(InvalidArguments) as caught:
        tuner.fit()
    assert [problem.path for problem in problems(caught)] == [path]


async def _later(rate: float) -> float:
    return rate


def _bits(rate: float) -> Iterator[float]:
    yield rate


class _Callable:
    async def __call__(self, rate: float) -> float:
        return rate


def test_a_function_trained_alone_needs_all_its_values(tmp_path: Path) -> None:
    alone = FunctionEstimator(objective, hyperparameters={"layers": 1}, session=session(tmp_path))
    with pytest.raises(InvalidArguments, match="needs a value for its parameter 'lr'"):
        alone.fit()


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("no_such_module_xyz:f", "cannot be imported"),
        ("colorsys:nothing", "has no 'nothing'"),
        ("colorsys", "package.module:name"),
        ("colorsys:ONE_THIRD", "is not a function"),
        (objective, "the function has no parameter 'rate'; it has lr, layers"),
        (objective, "function: the function objective needs a value for its parameter 'lr': tune it, give it"),
        (_later, "function: calling _later gives a coroutine and trains nothing"),
        (_bits, "function: calling _bits gives a generator and trains nothing"),
        (_Callable(), "calling _Callable gives a coroutine"),
    ],
)
def test_functions_that_cannot_be_called(tmp_path: Path, function: Any, words: str) -> None:
    tuner = HyperparameterTuner(
        FunctionEstimator(function), "acc", {"rate": ContinuousParameter(0, 1)}, session=session(tmp_path)
    )
    with pytest.raises(InvalidArguments, match=words.replace("(", r"\(")):
        tuner.fit()


def test_strict_refuses_what_amt_has_no_field_for(script: Path, tmp_path: Path) -> None:
    import sys

    mine = session(tmp_path, strict=True)
    estimator = Estimator(script, python=sys.executable, cpus=2, metric_definitions=METRICS)
    tuner = HyperparameterTuner(estimator, "acc", RANGES, replicates=2, session=mine)
    with pytest.raises(InvalidArguments) as caught:
        tuner.fit()
    assert {problem.path for problem in problems(caught)} == {"python", "cpus", "replicates"}
    assert all(problem.extended_allows for problem in problems(caught))
    function = HyperparameterTuner(FunctionEstimator(objective), "acc", {"lr": ContinuousParameter(0, 1)}, session=mine)
    with pytest.raises(InvalidArguments, match="Extended mode allows it"):
        function.fit()


def test_a_server_is_given_uploads_but_no_functions(tmp_path: Path) -> None:
    class Remote:
        meta = None

    tuner = HyperparameterTuner(
        FunctionEstimator(objective),
        "acc",
        {"lr": ContinuousParameter(0, 1)},
        session=Session(Remote()),  # type: ignore[arg-type]
    )
    with pytest.raises(InvalidArguments, match="a server cannot be given Python functions"):
        tuner.fit()


def test_names_do_not_collide_within_a_minute_and_fit(script: Path, tmp_path: Path) -> None:
    mine = session(tmp_path / "home")
    estimator = Estimator(script, metric_definitions=METRICS)
    tuner = HyperparameterTuner(
        estimator, "acc", RANGES, base_tuning_job_name="a very long name, with signs", session=mine
    )
    for _ in range(20):
        tuner.fit(wait=False)
    assert len(fake(mine).requests) == 20
    assert all(len(name) <= 32 and name.startswith("a-very-long-nam") for name in fake(mine).requests)


def test_nothing_is_ignored_silently(script: Path, tmp_path: Path) -> None:
    estimator = Estimator(script, metric_definitions=METRICS)
    with pytest.raises(TypeError, match="unknown arguments wrong"):
        HyperparameterTuner(estimator, "acc", RANGES, wrong=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword"):
        Estimator(script, wrong=1)
    tuner = HyperparameterTuner(estimator, "acc", RANGES, session=session(tmp_path / "home"))
    with pytest.raises(TypeError, match="wrong"):
        tuner.fit(wrong=1)
    with pytest.raises(TypeError, match="only"):
        tuner.fit(estimator_kwargs={"only": {"x": 1}})


def test_create_wants_the_same_names_everywhere(script: Path) -> None:
    estimator = Estimator(script, metric_definitions=METRICS)
    with pytest.raises(InvalidArguments) as caught:
        HyperparameterTuner.create({"a": estimator}, {"b": "acc"}, {"a": RANGES}, {"c": METRICS})
    assert [problem.path for problem in problems(caught)] == ["objective_metric_name_dict", "metric_definitions_dict"]


@pytest.mark.parametrize(
    ("given", "remedy"), [(objective, "wrap it in FunctionEstimator"), ("train.py", "use Estimator")]
)
def test_what_is_no_estimator_is_told_how_to_become_one(given: Any, remedy: str) -> None:
    with pytest.raises(InvalidArguments, match=remedy):
        HyperparameterTuner(given, "acc", RANGES)
