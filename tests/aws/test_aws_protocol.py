"""Every constraint of the model, on both sides of its edge; and what goes out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.parsers import create_parser

from tunewright.aws.sagemaker.encoding import FLOAT_MAX, encode_answer, single
from tunewright.aws.sagemaker.limits import extended_maximum
from tunewright.aws.sagemaker.protocol import (
    OPEN_ENUMS,
    BadBody,
    Violation,
    load_json,
    matches,
    operation_model,
    read_request,
    service,
)
from tunewright.aws.sagemaker.protocol import (
    OPERATIONS as ANSWERED,
)

from .test_aws_fuzz import OPERATIONS
from .world import World

FILLERS = {
    "RoleArn": "arn:aws:iam::123456789012:role/",
    "S3Uri": "s3://b/",
    "FileSystemId": "fs-0000000",
    "TrainingPlanArn": "arn:aws:sagemaker:us-east-1:123456789012:training-plan/",
    "ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:training-job/",
    "MlFlowResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:mlflow-app/",
    "TrainingRepositoryCredentialsProviderArn": "arn:aws:lambda:us-east-1:123456789012:function:",
    "SequenceLength": "1K",
}
NAMED = {
    "HubDataSetArn": "arn:aws:sagemaker:us-east-1:123456789012:hub-content/hub/DataSet/d",
    "ServerlessJobBaseModelArn": "arn:aws:sagemaker:us-east-1:123456789012:hub-content/hub/Model/m",
    "ModelPackageGroupArn": "arn:aws:sagemaker:us-east-1:123456789012:model-package-group/m",
    "ModelPackageArn": "arn:aws:sagemaker:us-east-1:123456789012:model-package/m",
}
"""Shapes whose pattern bounds the length itself, so that only the sample is of use."""


@dataclass(frozen=True)
class Place:
    """A shape in an operation's request, by the steps that lead to it."""

    operation: str
    steps: tuple[str, ...]
    shape: Any

    def __str__(self) -> str:
        return f"{self.operation}:{'.'.join(self.steps)}"


def places(operation: str, shape: Any, steps: tuple[str, ...], seen: frozenset[str]) -> Iterator[Place]:
    if shape.name in seen and shape.type_name == "structure":
        return
    seen |= {shape.name}
    yield Place(operation, steps, shape)
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            yield from places(operation, member, (*steps, name), seen)
    elif shape.type_name == "list":
        yield from places(operation, shape.member, (*steps, "[]"), seen)
    elif shape.type_name == "map":
        yield from places(operation, shape.value, (*steps, "{}"), seen)


def all_places() -> list[Place]:
    """One place per shape and operation family: the same shape elsewhere is checked by the same lines."""
    found: dict[str, Place] = {}
    for operation in OPERATIONS:
        for place in places(operation, operation_model(operation).input_shape, (), frozenset()):
            found.setdefault(place.shape.name, place)
    return list(found.values())


def text(shape: Any, length: int | None = None) -> str:
    """A text of a string shape, of a given length where that is possible."""
    if shape.enum:
        return str(shape.enum[0])
    start = NAMED.get(shape.name, FILLERS.get(shape.name, ""))
    if length is None:
        length = max(shape.metadata.get("min", 0), len(start) + (1 if shape.name not in NAMED else 0), 1)
        length = len(start) if shape.name in NAMED or shape.name == "SequenceLength" else length
    return (start + "0" * length)[:length] if shape.name == "FileSystemId" else start + "a" * (length - len(start))


def sample(shape: Any) -> Any:
    """A minimal value that the model accepts."""
    match shape.type_name:
        case "structure":
            return {name: sample(shape.members[name]) for name in shape.required_members}
        case "list":
            return [sample(shape.member) for _ in range(shape.metadata.get("min", 0))]
        case "map":
            return {}
        case "string":
            return text(shape)
        case "boolean":
            return True
        case "integer" | "long":
            return shape.metadata.get("min", 0)
        case _:
            return 1.5


def place_value(place: Place, value: Any) -> dict[str, Any]:
    """A request that holds `value` at the place, and all that is required around it."""

    def build(shape: Any, steps: tuple[str, ...]) -> Any:
        if not steps:
            return value
        if steps[0] == "[]":
            return [build(shape.member, steps[1:])]
        if steps[0] == "{}":
            return {text(shape.key): build(shape.value, steps[1:])}
        return {**sample(shape), steps[0]: build(shape.members[steps[0]], steps[1:])}

    request: dict[str, Any] = build(operation_model(place.operation).input_shape, place.steps)
    return request


def wire_path(place: Place, key: str = "a") -> str:
    words = {"[]": "1.member", "{}": key}
    return ".".join(words.get(step, step[:1].lower() + step[1:]) for step in place.steps)


def found(place: Place, value: Any, *, strict: bool = True) -> list[Violation]:
    return read_request(place.operation, place_value(place, value), strict=strict)[1]


def refused(place: Place, value: Any, words: str, *, strict: bool = True) -> Violation:
    here = [v for v in found(place, value, strict=strict) if v.path == wire_path(place) and words in v.constraint]
    assert here, f"{place}: nothing with {words!r} in {found(place, value, strict=strict)}"
    return here[0]


PLACES = all_places()
STRINGS = [p for p in PLACES if p.shape.type_name == "string"]
NUMBERS = [p for p in PLACES if p.shape.type_name in ("integer", "long")]
COUNTED = [p for p in PLACES if p.shape.type_name in ("list", "map")]


def sized(place: Place, count: int) -> Any:
    shape = place.shape
    if shape.type_name == "list":
        return [sample(shape.member) for _ in range(count)]
    return {f"a{number}": sample(shape.value) for number in range(count)}


@pytest.mark.parametrize("place", [p for p in PLACES if p.steps], ids=str)
def test_a_sample_is_accepted(place: Place) -> None:
    assert found(place, sample(place.shape)) == []


@pytest.mark.parametrize(
    "place", [p for p in STRINGS if "max" in p.shape.metadata and p.shape.name not in NAMED], ids=str
)
def test_longest_text(place: Place) -> None:
    high = place.shape.metadata["max"]
    bounded = place.shape.metadata.get("pattern", "").endswith("(?<!-)")  # ArnOrName allows 63 characters of a name
    if not bounded and place.shape.name != "SequenceLength":
        assert found(place, text(place.shape, high)) == []
    violation = refused(place, text(place.shape, high + 1), f"length less than or equal to {high} (has {high + 1})")
    lifted = extended_maximum(place.shape.name, high)
    assert violation.extended_allows == (lifted is None or lifted > high)
    if lifted is None:
        assert found(place, text(place.shape, high + 1), strict=False) == []


@pytest.mark.parametrize("place", [p for p in STRINGS if p.shape.metadata.get("min", 0) > 0], ids=str)
def test_shortest_text(place: Place) -> None:
    low = place.shape.metadata["min"]
    if not place.shape.enum and place.shape.name not in NAMED:
        refused(place, text(place.shape)[: low - 1], f"length greater than or equal to {low}")


@pytest.mark.parametrize(
    "place", [p for p in STRINGS if p.shape.metadata.get("pattern") not in (None, ".*", ".+")], ids=str
)
def test_pattern(place: Place) -> None:
    pattern = place.shape.metadata["pattern"]
    assert matches(pattern, text(place.shape))
    outside = next((bad for bad in ("é ü!", "\n", "a b") if not matches(pattern, bad)), None)
    if outside is not None:
        refused(place, outside, f"regular expression pattern: {pattern}")


@pytest.mark.parametrize("place", [p for p in STRINGS if p.shape.enum], ids=str)
def test_enum(place: Place) -> None:
    for word in place.shape.enum:
        assert found(place, word) == []
    refused(place, "nothing-of-it", "enum value set: [")
    if place.shape.name in OPEN_ENUMS:
        assert found(place, "ml.made.up") == found(place, "local") == []


@pytest.mark.parametrize("place", NUMBERS, ids=str)
def test_numbers(place: Place) -> None:
    low, high = place.shape.metadata.get("min"), place.shape.metadata.get("max")
    if low is not None:
        assert found(place, low) == []
        refused(place, low - 1, f"greater than or equal to {low}")
    if high is not None:
        assert found(place, high) == []
        refused(place, high + 1, f"less than or equal to {high}")
    refused(place, 2**63, "between")
    for wrong in ("3", 3.0, True, [3]):
        assert refused(place, wrong, "Member must be an integer").structural


@pytest.mark.parametrize("place", [p for p in COUNTED if "max" in p.shape.metadata], ids=str)
def test_counts(place: Place) -> None:
    low, high = place.shape.metadata.get("min", 0), place.shape.metadata["max"]
    assert found(place, sized(place, high)) == []
    violation = refused(place, sized(place, high + 1), f"length less than or equal to {high} (has {high + 1})")
    assert violation.extended_allows == (extended_maximum(place.shape.name, high) is None)
    if low:
        refused(place, sized(place, low - 1), f"length greater than or equal to {low}")


@pytest.mark.parametrize("place", [p for p in PLACES if p.shape.type_name == "structure"], ids=str)
def test_required_members(place: Place) -> None:
    for name in place.shape.required_members:
        value = {key: item for key, item in sample(place.shape).items() if key != name}
        path = ".".join(filter(None, [wire_path(place), name[:1].lower() + name[1:]]))
        for body in (value, {**value, name: None}):
            body = place_value(place, body) if place.steps else body
            [violation] = read_request(place.operation, body, strict=True)[1]
            assert (violation.path, violation.value) == (path, "null")
            assert violation.constraint == "Member must not be null"


@pytest.mark.parametrize("place", [p for p in STRINGS if p.steps], ids=str)
def test_a_number_where_text_belongs(place: Place) -> None:
    told = str(refused(place, 3, "Member must be a string"))
    assert 'send it in quotes: "3"' in told and f"'{wire_path(place)}'" in told


def test_all_violations_come_at_once_in_awss_words() -> None:
    body = {"HyperParameterTuningJobName": "a" * 33, "SortBy": "x"}
    _, violations = read_request("DescribeHyperParameterTuningJob", body, strict=True)
    assert len(violations) == 2
    name = "a" * 33
    assert str(violations[0]).startswith(
        f"Value '{name}' at 'hyperParameterTuningJobName' failed to satisfy constraint:"
        " Member must have length less than or equal to 32"
    )


def test_unknown_members_and_nulls_are_dropped() -> None:
    body = {"NextToken": None, "MaxResults": 3, "Unheard": {"of": 1}}
    assert read_request("ListTrainingJobs", body, strict=True) == ({"MaxResults": 3}, [])


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"x"',
        b"\xff",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b"[" * 100_000,
        b'{"a": ' + b"9" * 10_000 + b"}",
    ],
    ids=lambda body: repr(body[:12]),
)
def test_only_json_objects_are_read(body: bytes) -> None:
    with pytest.raises(BadBody, match="JSON"):
        load_json(body)


def test_text_that_no_store_can_hold_is_refused() -> None:
    for bad in ("\ud800", "a\0b"):
        _, [violation, *_] = read_request("DescribeTrainingJob", {"TrainingJobName": bad}, strict=True)
        assert violation.structural and "Unicode" in violation.constraint


def test_an_evil_pattern_match_is_bounded() -> None:
    assert not matches(service().shape_for("HyperParameterTuningJobName").metadata["pattern"], "a" + "-" * 5000 + "!")
    assert not matches(r"(a+)+b", "a" * 5000)


@pytest.mark.parametrize(
    ("value", "wire"),
    [(2.91488, 2.9148800373077393), (1e300, FLOAT_MAX), (-1e300, -FLOAT_MAX), (0.0, 0.0), (1e-50, 0.0)],
)
def test_single_precision(value: float, wire: float) -> None:
    assert single(value) == wire


def test_an_answer_is_read_back_by_botocores_own_parser() -> None:
    answer = {
        "HyperParameterTuningJobName": "job",
        "CreationTime": 1585198477.0224,
        "BestTrainingJob": {"FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "m", "Value": 2.91488}},
        "FailureReason": None,
    }
    body = encode_answer("DescribeHyperParameterTuningJob", answer)
    assert json.loads(body)["CreationTime"] == 1585198477.022
    shape = operation_model("DescribeHyperParameterTuningJob").output_shape
    parsed = create_parser("json").parse({"status_code": 200, "headers": {}, "body": body}, shape)
    assert parsed["CreationTime"].microsecond == 22000
    best = parsed["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]
    assert best["Value"] == 2.9148800373077393
    assert "FailureReason" not in parsed


def test_operations_without_output_answer_nothing() -> None:
    assert encode_answer("StopHyperParameterTuningJob", {}) == b""


def test_the_model_is_kept_for_what_is_answered(world: World) -> None:
    assert set(ANSWERED) == {*world.strict.methods, *world.strict.creations} == set(OPERATIONS)
