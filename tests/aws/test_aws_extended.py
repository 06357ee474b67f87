"""Rules of our own extension on the wire."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.aws.sagemaker.extension import pack

from .test_aws_rules import CATEGORICAL, CREATE, continuous, listed, of_ranges, of_static, several
from .world import World, changed

EXTENSIONS = {
    "unknown member": ('{"initial_point": []}', "no extension of ours, did you mean 'initial_points'?"),
    "not JSON": ("{", "is not JSON"),
    "NaN": ('{"steps": NaN}', "is not JSON"),
    "no object": ("[]", "must be a JSON object"),
    "wrong count": ('{"cpus": 0}', "cpus: must be a whole number of at least 1, got 0"),
    "wrong choice": ('{"hyperband_mode": "x"}', "must be stopping or promotion"),
    "wrong kind": ('{"conditions": []}', "must be an object"),
    "wrong function": ('{"function": {"reference": "os.system"}}', 'must be {"reference"'),
    "pickle named outside": ('{"function": {"reference": "../x", "pickled": true}}', 'must be {"reference"'),
    "misspelt point": (
        '{"initial_points": [{"lrr": 1}]}',
        "1: lrr: is not a tuned parameter. Did you mean 'lr'?",
    ),
    "a point outside": (
        '{"initial_points": [{"lr": 0.05}, {"lr": 7}]}',
        "initial_points.2: lr: 7 is not among its values",
    ),
    "a point of another kind": ('{"initial_points": [{"lr": [1]}]}', "lr: [1] is not among its values"),
    "misspelt condition": ('{"conditions": {"x": "lr > 1"}}', "_tunewright.conditions.x: 'x' is not a tuned parameter"),
    "bad step": ('{"steps": {"lr": -1}}', "lr: its step must be a number above 0, got -1"),
    "wide step": ('{"steps": {"lr": 5}}', "lr: the step 5 is larger than the range"),
    "step of nobody": ('{"steps": {"lrr": 1}}', "_tunewright.steps.lrr: 'lrr' is not a tuned parameter. Did you mean"),
    "odd budget": ('{"replicates": 3}', "maxNumberOfTrainingJobs: 4 is not a multiple of replicates 3"),
    "circle": ('{"conditions": {"lr": "lr > 0"}}', "_tunewright.conditions.lr: goes round in a circle"),
    "forbidden number": ('{"forbidden": [7]}', "_tunewright.forbidden[0]: must be a condition such as"),
    "all forbidden": ('{"forbidden": ["lr >= 0"]}', "_tunewright.forbidden: leaves nothing"),
    "syntax": ('{"forbidden": ["lr >"]}', "_tunewright.forbidden[0]: 'lr >': expected a parameter or a value at"),
    "forbidden point": (
        '{"forbidden": ["lr > 0.05"], "initial_points": [{"lr": 0.06}]}',
        "_tunewright.initial_points.1: is forbidden by 'lr > 0.05'",
    ),
    "a point between steps": (
        '{"steps": {"lr": 0.02}, "initial_points": [{"lr": 0.03}]}',
        "_tunewright.initial_points.1: lr: 0.03 is not among its values",
    ),
}


@pytest.mark.parametrize(("text", "words"), EXTENSIONS.values(), ids=EXTENSIONS)
def test_extensions_are_checked(world: World, text: str, words: str) -> None:
    _, message = world.refused(CREATE, of_static({"_tunewright": text}), strict=False)
    assert words in message


@settings(max_examples=25)
@given(st.dictionaries(st.text(max_size=20), st.text(max_size=900), max_size=12))
def test_an_extension_is_packed_into_pieces_that_fit(extension: dict[str, str]) -> None:
    found = pack(extension)
    assert all(len(piece) <= 2500 for piece in found.values())
    assert list(found) == ["_tunewright", *(f"_tunewright_{n}" for n in range(2, len(found) + 1))][: len(found)]
    assert json.loads("".join(found.values()) or "{}") == extension


def test_an_extension_is_joined_from_pieces(world: World) -> None:
    points = [{"lr": 0.01}] * 400
    extension = {
        "python": "/usr/bin/python3",
        "function": {"reference": "package.module:train", "pickled": False, "path": ["/src"]},
        "cpus": 2,
        "gpus": 1,
        "initial_points": points,
    }
    text = json.dumps(extension)
    pieces = [text[at : at + 2500] for at in range(0, len(text), 2500)]
    assert len(pieces) > 2
    static = {"_tunewright" if n == 1 else f"_tunewright_{n}": piece for n, piece in enumerate(pieces, 1)}
    spec = world.job(world.create(of_static({"epochs": "3", **static}), strict=False)).spec
    found = spec.definitions[0].training
    assert (found.python, found.cpus, found.gpus, dict(found.static)) == ("/usr/bin/python3", 2, 1, {"epochs": "3"})
    assert found.function is not None
    assert (found.function.reference, found.function.path) == ("package.module:train", ("/src",))
    assert [dict(point) for point in spec.definitions[0].initial] == points
    missing = {key: value for key, value in static.items() if key != "_tunewright_2"}
    assert (
        "without gaps"
        in world.refused(CREATE, of_static(missing) | {"HyperParameterTuningJobName": "b"}, strict=False)[1]
    )


CHECKPOINTS = {"S3Uri": "s3://bucket/checkpoints"}


@pytest.mark.parametrize(
    ("strategy", "checkpoints", "words"),
    [
        ("Hyperband", None, "trainingJobDefinition.checkpointConfig: is missing, and with hyperband_mode 'promotion'"),
        ("Random", CHECKPOINTS, "_tunewright.hyperband_mode: 'promotion' is for the strategy Hyperband, got 'Random'"),
    ],
)
def test_promotion_needs_hyperband_and_checkpoints(
    world: World, strategy: str, checkpoints: dict[str, str] | None, words: str
) -> None:
    request = promoting(strategy, checkpoints)
    assert words in world.refused(CREATE, request, strict=False)[1]


def test_promotion_is_hyperbands_other_mode(world: World) -> None:
    assert world.job(world.create(promoting("Hyperband", CHECKPOINTS), strict=False)).spec.promotes
    assert "strict mode refuses" in world.refused(CREATE, promoting("Hyperband", CHECKPOINTS), strict=True)[1]


def promoting(strategy: str, checkpoints: dict[str, str] | None) -> dict[str, object]:
    request = of_static({"_tunewright": json.dumps({"hyperband_mode": "promotion"}), "epochs": "9"})
    request = changed(request, "HyperParameterTuningJobConfig.Strategy", strategy)
    return changed(request, "TrainingJobDefinition.CheckpointConfig", checkpoints) if checkpoints else request


def test_the_space_of_a_job_has_its_rules(world: World) -> None:
    extension = {
        "steps": {"lr": 0.02},
        "conditions": {"a": "lr >= 0.04"},
        "forbidden": ["lr == 0.04 and a == y"],
        "initial_points": [{"lr": 0.06, "a": "z"}],
    }
    ranges_ = {**continuous("0", "0.1"), "CategoricalParameterRanges": CATEGORICAL["CategoricalParameterRanges"][:1]}
    request = of_ranges(ranges_, None, Strategy="Grid")
    request = changed(
        request, "TrainingJobDefinition.StaticHyperParameters", {"_tunewright": json.dumps(extension), "k": "1"}
    )
    spec = world.job(world.create(request, strict=False)).spec
    [definition_] = spec.definitions
    assert spec.limits.max_jobs == definition_.space.size() == 2 + 2 + 3 * 3
    assert definition_.space.contains({"lr": 0.02}) and not definition_.space.contains({"lr": 0.02, "a": "x"})
    assert dict(definition_.training.static) == {"k": "1"}
    assert [dict(point) for point in definition_.initial] == [{"lr": 0.06, "a": "z"}]
    message = world.refused(CREATE, {**request, "HyperParameterTuningJobName": "strict"})[1]
    assert "_tunewright" in message and "extended mode allows it" in message.lower()


def test_each_definition_has_rules_of_its_own(world: World) -> None:
    one = listed("one", StaticHyperParameters={"_tunewright": json.dumps({"steps": {"lr": 0.02}})})
    two = listed("two", StaticHyperParameters={"_tunewright": json.dumps({"forbidden": ["lr > 0.05"]})})
    spec = world.job(world.create(several(one, two), strict=False)).spec
    assert [d.space.size() is None for d in spec.definitions] == [False, True]
    assert spec.definitions[1].space.forbidden == ("lr > 0.05",)


def test_a_function_cannot_be_isolated(world: World) -> None:
    static = {"_tunewright": json.dumps({"function": {"reference": "os:getpid", "pickled": False}})}
    request = changed(of_static(static), "TrainingJobDefinition.EnableNetworkIsolation", True)
    _, message = world.refused(CREATE, request, strict=False)
    assert "enableNetworkIsolation: a Python function has the network of its worker" in message
