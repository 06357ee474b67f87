"""Whatever comes in, an answer comes out, and it is strict JSON."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunewright.aws.faults import Answer
from tunewright.aws.sagemaker.protocol import service

from .world import World, training, tuning

OPERATIONS = [
    "CreateHyperParameterTuningJob",
    "DescribeHyperParameterTuningJob",
    "ListHyperParameterTuningJobs",
    "StopHyperParameterTuningJob",
    "DeleteHyperParameterTuningJob",
    "ListTrainingJobsForHyperParameterTuningJob",
    "CreateTrainingJob",
    "DescribeTrainingJob",
    "ListTrainingJobs",
    "StopTrainingJob",
    "DeleteTrainingJob",
    "AddTags",
    "ListTags",
    "DeleteTags",
]
NAMES = ["job", "plain", "nope", "a" * 40, "job-001-00000000"]
TEXTS = [
    "",
    "1",
    "-1",
    "1e999",
    "nan",
    "0.1",
    "9" * 300,
    "x" * 3000,
    "s3://bucket/key",
    "s3://bucket/../../etc",
    "file:///tmp/none",
    "file://relative",
    "https://s3.amazonaws.com/b/k",
    "(",
    "loss=([0-9.]+)",
    "(?P<a>x){1000}{1000}",
    "é\u2028",
    "\0",
    "arn:aws:iam::123456789012:role/SageMakerRole",
    "arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-tuning-job/job",
    "arn:aws:sagemaker:us-east-1:000000000000:training-job/plain",
    '{"cpus": 2}',
    '{"initial_points": [{"lr": 1}, 3], "steps": {"lr": 0.1}}',
    '{"steps": {"lr": NaN}}',
]
KEYS = ["_tunewright", "_tunewright_2", "_tuning_objective_metric", "epochs", "lr", "", "sagemaker_program"]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory() as home:
        world = World(Path(home))
        uid = world.create(tuning())
        world.run(uid, {"lr": 0.01}, "loss", 1.0)
        world.ok("CreateTrainingJob", training())
        yield world
        world.store.close()


def shaped(shape: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that look like a shape of the model, right and wrong alike."""
    match shape.type_name:
        case "structure":
            members = {name: shaped(member, depth + 1) for name, member in shape.members.items()}
            required = {name: members[name] for name in shape.required_members}
            optional = {name: member for name, member in members.items() if name not in required}
            if depth > 6:
                optional = {}
            return st.fixed_dictionaries(required, optional=optional)
        case "list":
            return st.lists(shaped(shape.member, depth + 1), max_size=2)
        case "map":
            return st.dictionaries(st.sampled_from(KEYS), shaped(shape.value, depth + 1), max_size=2)
        case "string" if shape.enum:
            return st.sampled_from([*shape.enum[:6], "Other"])
        case "string" if shape.name.endswith("JobName"):
            return st.sampled_from(NAMES)
        case "string":
            return st.sampled_from(TEXTS) | st.text(max_size=4)
        case "boolean":
            return st.booleans()
        case "integer" | "long":
            return st.sampled_from([-1, 0, 1, 3, 120, 750, 10**6, 2**40, True, 1.5])
        case _:
            return st.floats(allow_nan=False, allow_infinity=False) | st.integers()


def check(answer: Answer) -> None:
    status, headers, body = answer
    assert status in (200, 400), body
    assert headers["Content-Type"] == "application/x-amz-json-1.1"
    if body:
        told = json.loads(body, parse_constant=lambda name: pytest.fail(name))
        assert isinstance(told, dict)
        assert status == 200 or (told["__type"] and told["message"])
    else:
        assert status == 200


RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@RELAXED
@given(operation=st.sampled_from([*OPERATIONS, "CreateEndpoint", "Nonsense", ""]), body=st.binary(max_size=200))
def test_any_bytes(world: World, operation: str, body: bytes) -> None:
    check(world.strict.handle(operation, body))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@RELAXED
@given(operation=st.sampled_from(OPERATIONS), data=st.data(), strict=st.booleans())
def test_any_json_in_the_members_of_the_model(world: World, operation: str, data: st.DataObject, strict: bool) -> None:
    members = service().operation_model(operation).input_shape.members
    body = data.draw(st.dictionaries(st.sampled_from(sorted(members)), JSON_VALUES, max_size=4))
    check((world.strict if strict else world.extended).handle(operation, json.dumps(body).encode()))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("strict", [True, False], ids=["strict", "extended"])
def test_requests_of_the_models_shape(world: World, operation: str, strict: bool) -> None:
    shape = service().operation_model(operation).input_shape

    @settings(RELAXED, max_examples=30)
    @given(body=shaped(shape))
    def run(body: dict[str, Any]) -> None:
        check((world.strict if strict else world.extended).handle(operation, json.dumps(body).encode()))

    run()


PATHS = [
    "HyperParameterTuningJobConfig",
    "HyperParameterTuningJobConfig.ParameterRanges",
    "HyperParameterTuningJobConfig.ResourceLimits",
    "HyperParameterTuningJobConfig.TuningJobCompletionCriteria",
    "TrainingJobDefinition",
    "TrainingJobDefinition.AlgorithmSpecification",
    "TrainingJobDefinition.StaticHyperParameters",
    "TrainingJobDefinition.StoppingCondition",
    "WarmStartConfig",
    "Autotune",
    "Tags",
    "TrainingJobDefinition.InputDataConfig",
    "TrainingJobDefinition.HyperParameterTuningResourceConfig",
]


@settings(RELAXED, max_examples=200)
@given(
    path=st.sampled_from(PATHS), data=st.data(), strict=st.booleans(), name=st.from_regex(r"[a-z]{8}", fullmatch=True)
)
def test_good_requests_with_one_member_replaced(
    world: World, path: str, data: st.DataObject, strict: bool, name: str
) -> None:
    request = tuning(name)
    shape = service().operation_model("CreateHyperParameterTuningJob").input_shape
    target: Any = request
    *way, last = path.split(".")
    for step in way:
        target, shape = target[step], shape.members[step]
    value = data.draw(shaped(shape.members[last]))
    both = isinstance(value, dict) and isinstance(target.get(last), dict)
    target[last] = {**target[last], **value} if both else value
    answer = (world.strict if strict else world.extended).handle(
        "CreateHyperParameterTuningJob", json.dumps(request).encode()
    )
    check(answer)
    if answer[0] == 200:
        body = json.dumps({"HyperParameterTuningJobName": name}).encode()
        for operation in ("DescribeHyperParameterTuningJob", "StopHyperParameterTuningJob"):
            check(world.extended.handle(operation, body))
