"""Service rules: AMT's texts, both modes, every problem at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tunewright.core import counting

from .world import World, changed, definition, ranges, training, tuning

CREATE = "CreateHyperParameterTuningJob"
RANGES = "HyperParameterTuningJobConfig.ParameterRanges"
CATEGORICAL = {
    "CategoricalParameterRanges": [{"Name": "a", "Values": ["x", "y", "z"]}, {"Name": "b", "Values": ["u", "v"]}]
}


def several(*bodies: dict[str, Any], **config: Any) -> dict[str, Any]:
    request = tuning(**config)
    del request["TrainingJobDefinition"]
    for name in ("HyperParameterTuningJobObjective", "ParameterRanges"):
        del request["HyperParameterTuningJobConfig"][name]
    return {**request, "TrainingJobDefinitions": list(bodies)}


def listed(name: str, **changes: Any) -> dict[str, Any]:
    own = {
        "DefinitionName": name,
        "TuningObjective": {"Type": "Minimize", "MetricName": "loss"},
        "HyperParameterRanges": ranges(),
    }
    return definition(**{**own, **changes})


def continuous(low: str, high: str, scaling: str = "Auto") -> dict[str, Any]:
    body = {"Name": "lr", "MinValue": low, "MaxValue": high, "ScalingType": scaling}
    return {"ContinuousParameterRanges": [body]}


def integer(low: str, high: str, scaling: str = "Auto") -> dict[str, Any]:
    return {"IntegerParameterRanges": [{"Name": "n", "MinValue": low, "MaxValue": high, "ScalingType": scaling}]}


def of_ranges(body: dict[str, Any], jobs: int | None = 2, **config: Any) -> dict[str, Any]:
    amount = {"MaxParallelTrainingJobs": 1} | ({} if jobs is None else {"MaxNumberOfTrainingJobs": jobs})
    return tuning(ParameterRanges=body, ResourceLimits=amount, **config)


def of_static(static: dict[str, str], **config: Any) -> dict[str, Any]:
    return changed(tuning(**config), "TrainingJobDefinition.StaticHyperParameters", static)


def of_metrics(*definitions: tuple[str, str], objective: str = "loss") -> dict[str, Any]:
    request = tuning(HyperParameterTuningJobObjective={"Type": "Minimize", "MetricName": objective})
    listed = [{"Name": name, "Regex": pattern} for name, pattern in definitions]
    return changed(request, "TrainingJobDefinition.AlgorithmSpecification.MetricDefinitions", listed)


P5, M5 = ({"InstanceType": kind, "InstanceCount": 1} for kind in ("ml.p5.48xlarge", "ml.m5.large"))


def preferring(resources: dict[str, Any], *preferences: dict[str, Any]) -> dict[str, Any]:
    given = {"VolumeSizeInGB": 1, **resources, "InstancePreferences": list(preferences)}
    return changed(tuning(), "TrainingJobDefinition.ResourceConfig", given)


HYPERBAND = {"Strategy": "Hyperband"}


def hyperband(**resource: int) -> dict[str, Any]:
    return {**HYPERBAND, "StrategyConfig": {"HyperbandStrategyConfig": resource}}


BOTH = {
    "both definition forms": ({**tuning(), "TrainingJobDefinitions": [listed("a")]}, "exactly one of"),
    "no definition": (changed(tuning(), "TrainingJobDefinition", None), "neither is given"),
    "objective in both places": (
        several(listed("a")) | {"HyperParameterTuningJobConfig": tuning()["HyperParameterTuningJobConfig"]},
        "ParameterRanges can't be combined",
    ),
    "list form without names": (several({**listed("a"), "DefinitionName": None}), "definitionName: is required"),
    "one name twice": (several(listed("a"), listed("a")), "'a' is used more than once"),
    "two directions": (
        several(listed("a"), listed("b", TuningObjective={"Type": "Maximize", "MetricName": "loss"})),
        "same objective Type",
    ),
    "early stopping of several": (
        several(listed("a"), listed("b"), TrainingJobEarlyStoppingType="Auto"),
        "Auto needs a single definition",
    ),
    "ranges inside a single definition": (
        changed(tuning(), "TrainingJobDefinition.HyperParameterRanges", ranges()),
        "belongs to TrainingJobDefinitions",
    ),
    "no objective": (
        changed(tuning(), "HyperParameterTuningJobConfig.HyperParameterTuningJobObjective", None),
        "has no objective",
    ),
    "nothing to tune": (of_ranges({}), "nothing to tune"),
    "logarithmic from zero": (
        of_ranges(continuous("0", "0.1", "Logarithmic")),
        "lr: Logarithmic needs MinValue > 0",
    ),
    "reverse logarithmic to one": (
        of_ranges(continuous("0", "1", "ReverseLogarithmic")),
        "0 <= MinValue and MaxValue < 1",
    ),
    "reverse logarithmic integers": (of_ranges(integer("0", "1", "ReverseLogarithmic")), "continuous ranges only"),
    "bounds swapped": (of_ranges(continuous("2", "1")), "lr: MinValue 2.0 is greater than MaxValue 1.0"),
    "bound is no number": (of_ranges(continuous("low", "1")), "MinValue must be a finite number as text, got 'low'"),
    "bound is NaN": (of_ranges(continuous("nan", "1")), "finite number"),
    "bound is infinite": (of_ranges(continuous("0", "1e999")), "finite number"),
    "fractional integer": (of_ranges(integer("0.5", "3")), "MinValue must be a whole number"),
    "huge integer": (of_ranges(integer("0", "9" * 30)), "within 2^53"),
    "width overflows": (of_ranges(continuous("-1e308", "1e308")), "too wide"),
    "name twice": (
        of_ranges({**continuous("0", "1"), "CategoricalParameterRanges": [{"Name": "lr", "Values": ["a", "b"]}]}),
        "lr: this name has several ranges",
    ),
    "tuned and static": (of_static({"lr": "1"}), "lr: is tuned and also in StaticHyperParameters"),
    "value twice": (
        of_ranges({"CategoricalParameterRanges": [{"Name": "a", "Values": ["x", "x"]}]}, 1),
        "listed more than once: x",
    ),
    "objective not defined": (
        of_metrics(("loss", "loss=(.*?);"), objective="validation:f1"),
        "'validation:f1'; defined are 'loss'",
    ),
    "a blank at the end": (
        of_metrics(("test_acc ", "a=(.*)"), objective="test_acc"),
        "'test_acc'; defined are 'test_acc ', did you mean 'test_acc '?",
    ),
    "metric twice": (of_metrics(("loss", "(a)"), ("loss", "(b)")), "'loss' is defined more than once"),
    "pattern does not compile": (of_metrics(("loss", "loss=(")), "is not a regular expression"),
    "pattern without a group": (of_metrics(("loss", "loss=[0-9.]+")), "put parentheses around the number"),
    "hyperband without a maximum": (
        of_static({}, **HYPERBAND),
        "MaxResource parameter is not provided and could not be inferred from provided static hyperparameters of"
        " TrainingJobDefinition.",
    ),
    "hyperband without a maximum of one definition": (
        several(
            listed("first", StaticHyperParameters={"epochs": "9"}),
            listed("second", StaticHyperParameters={}),
            **HYPERBAND,
        ),
        "TrainingJobDefinition. 'second' has none. Set it, or one of the static hyperparameters epochs",
    ),
    "script and algorithm": (
        changed(
            of_static({"sagemaker_program": "train.py"}),
            "TrainingJobDefinition.AlgorithmSpecification",
            {"AlgorithmName": "xgboost", "TrainingInputMode": "File"},
        ),
        "'xgboost' runs no script; leave out AlgorithmName or the hyperparameter sagemaker_program.",
    ),
    "hyperband with early stopping": (
        tuning(**HYPERBAND, TrainingJobEarlyStoppingType="Auto"),
        "must be Off with Hyperband",
    ),
    "hyperband over 20,000": (tuning(**hyperband(MaxResource=20_001)), "maximum of 20,000"),
    "hyperband upside down": (
        tuning(**hyperband(MinResource=5, MaxResource=4)),
        "MinResource 5 is greater than MaxResource 4",
    ),
    "spot wait without spot": (
        changed(tuning(), "TrainingJobDefinition.StoppingCondition.MaxWaitTimeInSeconds", 9999),
        "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true",
    ),
    "both resource forms": (
        changed(tuning(), "TrainingJobDefinition.HyperParameterTuningResourceConfig", {"InstanceCount": 1}),
        "together with ResourceConfig",
    ),
    "two forms of tuning resources": (
        changed(
            changed(tuning(), "TrainingJobDefinition.ResourceConfig", None),
            "TrainingJobDefinition.HyperParameterTuningResourceConfig",
            {
                "InstanceCount": 1,
                "InstanceConfigs": [{"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}],
            },
        ),
        "InstanceConfigs and also InstanceCount",
    ),
    "preferences beside a type": (preferring({"InstanceType": "ml.m5.large"}, P5, M5), "combined with InstanceType"),
    "preferences and spot": (
        changed(preferring({}, P5, M5), "TrainingJobDefinition.EnableManagedSpotTraining", True),
        "can't be combined with EnableManagedSpotTraining",
    ),
    "a count here and there": (preferring({}, P5, {"InstanceType": "ml.m5.large"}), "1 of 2 preferences have"),
    "counts twice": (preferring({"InstanceCount": 2}, P5, M5), "2 of 2 preferences have InstanceCount"),
    "no count": (preferring({}, {"InstanceType": "ml.m5.large"}), "0 of 1 preferences have InstanceCount"),
    "a preference twice": (preferring({}, M5, M5), "has ml.m5.large more than once"),
    "a selected type": (preferring({"SelectedInstanceType": "ml.m5.large"}, M5), "is chosen by the service"),
    "image and algorithm": (
        changed(tuning(), "TrainingJobDefinition.AlgorithmSpecification.AlgorithmName", "xgboost"),
        "both TrainingImage",
    ),
    "neither image nor algorithm": (
        changed(tuning(), "TrainingJobDefinition.AlgorithmSpecification.TrainingImage", None),
        "needs TrainingImage or AlgorithmName",
    ),
    "empty input": (
        changed(
            tuning(),
            "TrainingJobDefinition.InputDataConfig",
            [
                {
                    "ChannelName": "t",
                    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://no/where"}},
                }
            ],
        ),
        'No S3 objects found under S3 URL "s3://no/where"',
    ),
    "fewer jobs than cells": (
        of_ranges(CATEGORICAL, 4, Strategy="Grid"),
        "number of distinct combinations, 6, got 4",
    ),
    "tag twice": (
        {**tuning(), "Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]},
        "'a' is given more than once",
    ),
    "unknown parent": (
        {
            **tuning(),
            "WarmStartConfig": {
                "WarmStartType": "TransferLearning",
                "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "nope"}],
            },
        },
        "no tuning job called 'nope'",
    ),
}


def drop_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: drop_none(item) for key, item in value.items() if item is not None}
    return [drop_none(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "extended"])
@pytest.mark.parametrize(("request_", "words"), BOTH.values(), ids=BOTH)
def test_refused_in_both_modes(world: World, request_: dict[str, Any], words: str, strict: bool) -> None:
    code, message = world.refused(CREATE, drop_none(request_), strict=strict)
    assert code == "ValidationException"
    assert words in message
    assert world.woken == []


def test_that_there_is_nothing_to_tune_is_all_that_is_said(world: World) -> None:
    _, message = world.refused(CREATE, of_ranges({}))
    assert message == (
        "hyperParameterTuningJobConfig.parameterRanges: there is nothing to tune; give at least one range."
    )


CATEGORY = {"CategoricalParameterRanges": [{"Name": "a", "Values": [f"v{n}" for n in range(31)]}]}
LONG_CATEGORY = {"CategoricalParameterRanges": [{"Name": "a", "Values": ["v" * 257, "w"]}]}
MANY = {
    kind: [{"Name": f"{kind[0]}{n}", "MinValue": "0", "MaxValue": "9"} for n in range(count)]
    for kind, count in (("IntegerParameterRanges", 16), ("ContinuousParameterRanges", 15))
}
STRICT_ONLY = {
    "spot without a wait": (
        changed(tuning(), "TrainingJobDefinition.EnableManagedSpotTraining", True),
        "must be present with EnableManagedSpotTraining, and be at least MaxRuntimeInSeconds, 3600",
    ),
    "one integer": (
        of_ranges({**continuous("0", "1"), **integer("1", "1")}),
        "n: the range holds the single value 1",
    ),
    "one number": (
        of_ranges({**continuous("1", "1"), **integer("1", "9")}),
        "lr: the range holds the single value 1.0",
    ),
    "one category": (
        of_ranges({**continuous("0", "1"), "CategoricalParameterRanges": [{"Name": "c", "Values": ["cat1"]}]}),
        "c: the only value is 'cat1'",
    ),
    "fewer combinations than jobs": (
        of_ranges({"CategoricalParameterRanges": [{"Name": "a", "Values": ["x", "y", "z"]}]}, 10),
        "You don't have enough combinations of hyperparameter ranges. The total number of combinations for the provided"
        " ranges [3.0] must be equal or greater than the value of MaxNumberOfJobs, [10]. Provide additional ranges."
        " (3 < 10)",
    ),
    "integers count too": (of_ranges(integer("1", "5"), 10), "ranges [5.0]"),
    "31 values": (of_ranges(CATEGORY), "less than or equal to 30 (has 31)"),
    "a value of 257": (of_ranges(LONG_CATEGORY), "less than or equal to 256 (has 257)"),
    "a static value of 2501": (of_static({"s": "v" * 2501}), "less than or equal to 2500 (has 2501)"),
    "31 ranges": (of_ranges(MANY), "has 31 ranges in all; at most 30 are allowed (31/30)"),
    "101 hyperparameters": (
        of_static({f"s{n}": "1" for n in range(99)}),
        "makes 101 hyperparameters",
    ),
    "grid over integers": (
        of_ranges(integer("1", "2"), None, Strategy="Grid"),
        "Grid takes categorical ranges only, got the numeric n",
    ),
    "grid with too many jobs": (
        of_ranges(CATEGORICAL, 7, Strategy="Grid"),
        "number of distinct combinations, 6, got 7",
    ),
    "a name of 33": (tuning("n" * 33), "length less than or equal to 32 (has 33)"),
    "49 variables": (
        changed(tuning(), "TrainingJobDefinition.Environment", {f"V{n}": "1" for n in range(49)}),
        "less than or equal to 48 (has 49)",
    ),
    "49 variables in all": (
        several(
            listed("a", Environment={f"V{n}": "1" for n in range(25)}),
            listed("b", Environment={f"W{n}": "1" for n in range(24)}),
        ),
        "49 environment variables in all",
    ),
    "41 metrics": (
        of_metrics(*[(f"m{n}" if n else "loss", "(a)") for n in range(41)]),
        "less than or equal to 40 (has 41)",
    ),
    "29 days": (
        changed(tuning(), "TrainingJobDefinition.StoppingCondition.MaxRuntimeInSeconds", 29 * 86_400),
        "over 2419200 (28 days)",
    ),
    "a file for output": (
        changed(tuning(), "TrainingJobDefinition.OutputDataConfig.S3OutputPath", "file:///tmp/out"),
        "regular expression pattern: (https|s3)",
    ),
    "our extension": (
        of_static({"_tunewright": "{}"}),
        "_tunewright: is Tunewright's own extension, which strict mode refuses",
    ),
}


@pytest.mark.parametrize(("request_", "words"), STRICT_ONLY.values(), ids=STRICT_ONLY)
def test_refused_in_strict_and_allowed_in_extended(world: World, request_: dict[str, Any], words: str) -> None:
    code, message = world.refused(CREATE, request_)
    assert code == "ValidationException"
    assert words in message
    assert re.search("extended mode allows it", message, re.IGNORECASE)
    world.ok(CREATE, request_, strict=False)


def test_no_metric_definitions_need_push_mode(world: World) -> None:
    request = of_metrics()
    code, message = world.refused(CREATE, request)
    assert (code, message.startswith("A metric is required for this hyperparameter tuning job objective. ")) == (
        "ValidationException",
        True,
    )
    uid = world.create(request, strict=False)
    assert world.job(uid).spec.definitions[0].training.metrics == ()


def test_every_problem_is_told_at_once(world: World) -> None:
    request = of_metrics(("loss", "loss=("), objective="f1")
    request = changed(request, f"{RANGES}.ContinuousParameterRanges.0.MinValue", "x")
    request = changed(request, "HyperParameterTuningJobName", "-")
    _, message = world.refused(CREATE, request)
    assert message.startswith("4 validation errors detected: ")
    for words in ("at 'hyperParameterTuningJobName'", "got 'x'", "A metric is required", "regular expression"):
        assert words in message


@pytest.mark.parametrize(
    ("static", "expected"),
    [
        ({"epochs": "27"}, 27),
        ({"numepochs": "9"}, 9),
        ({"n-epochs": '"9"'}, 9),
        ({"n_epochs": "5", "num_epochs": "7"}, 5),
        ({"num_epochs": "3"}, 3),
    ],
)
def test_max_resource_is_inferred(world: World, static: dict[str, str], expected: int) -> None:
    spec = world.job(world.create(of_static(static, **HYPERBAND))).spec
    assert spec.hyperband is not None
    assert (spec.hyperband.min_resource, spec.hyperband.max_resource) == (1, expected)


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "extended"])
def test_grid_infers_its_jobs_and_describe_shows_them(world: World, strict: bool) -> None:
    uid = world.create(of_ranges(CATEGORICAL, None, Strategy="Grid"), strict=strict)
    assert world.job(uid).budget == 6
    shown = world.describe("job")["HyperParameterTuningJobConfig"]["ResourceLimits"]
    assert shown == {"MaxNumberOfTrainingJobs": 6, "MaxParallelTrainingJobs": 1}


def test_extended_grid_counts_integers(world: World) -> None:
    body = {**integer("1", "4"), **continuous("0", "1")}
    _, message = world.refused(CREATE, of_ranges(body, None, Strategy="Grid"), strict=False)
    assert "Grid needs a finite space; give lr a step" in message
    request = of_ranges(integer("1", "4"), None, Strategy="Grid")
    assert world.job(world.create(request, strict=False)).budget == 4


def test_a_grid_that_cannot_be_counted_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MOST_WORK", 3)
    request = of_ranges(CATEGORICAL, None, Strategy="Grid")
    request = changed(request, "TrainingJobDefinition.StaticHyperParameters._tunewright", '{"forbidden": ["a == b"]}')
    _, message = world.refused(CREATE, request, strict=False)
    assert "Grid cannot count the combinations that the rules leave; tune fewer values" in message


def test_an_omitted_number_of_jobs_is_the_quota(world: World) -> None:
    uid = world.create(of_ranges(continuous("0", "1"), None))
    assert world.job(uid).budget == 750
    assert "MaxNumberOfTrainingJobs" not in world.describe("job")["HyperParameterTuningJobConfig"]["ResourceLimits"]


@pytest.mark.parametrize(
    "limits_", [{"MaxParallelTrainingJobs": 11}, {"MaxParallelTrainingJobs": 1, "MaxNumberOfTrainingJobs": 751}]
)
def test_quotas(world: World, limits_: dict[str, int]) -> None:
    request = tuning(ResourceLimits=limits_)
    code, message = world.refused(CREATE, request)
    assert code == "ResourceLimitExceeded"
    assert str(max(limits_.values())) in message and "Extended mode has no such limit" in message
    world.ok(CREATE, request, strict=False)


def test_a_seed_is_drawn_at_creation_and_not_shown(world: World) -> None:
    uid = world.create(tuning())
    assert world.job(uid).spec.seed == 1000
    assert "RandomSeed" not in world.describe("job")["HyperParameterTuningJobConfig"]
    assert world.job(world.create(tuning("seeded", RandomSeed=0))).spec.seed == 0


def test_files_are_citizens_in_extended(world: World, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_text("1")
    uri = (tmp_path / "data").as_uri()
    channel = {"ChannelName": "t", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}
    request = changed(tuning(), "TrainingJobDefinition.InputDataConfig", [channel])
    request = changed(request, "TrainingJobDefinition.OutputDataConfig.S3OutputPath", (tmp_path / "out").as_uri())
    spec = world.job(world.create(request, strict=False)).spec
    assert spec.definitions[0].training.channels[0].uri == uri
    for bad in ("file://relative/x", "file:///tmp/../etc"):
        broken = changed(request, "TrainingJobDefinition.OutputDataConfig.S3OutputPath", bad)
        code, message = world.refused(CREATE, broken, strict=False)
        assert code == "ValidationException" and bad in message


def test_grace_and_mode(world: World) -> None:
    assert world.job(world.create(tuning("s"))).spec.stop_grace == 120
    extended = world.job(world.create(tuning("e"), strict=False)).spec
    assert (extended.stop_grace, extended.strict) == (30, False)


def test_plain_training_jobs_are_checked_alike(world: World) -> None:
    request = training(HyperParameters={"_tunewright": "{}"}, AlgorithmSpecification={"TrainingInputMode": "File"})
    code, message = world.refused("CreateTrainingJob", request)
    assert code == "ValidationException"
    assert "needs TrainingImage or AlgorithmName" in message and "hyperParameters._tunewright" in message
