"""Every limit of the one table, through the service and on both sides of its edge, in both modes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunewright.aws.sagemaker.limits import LIMITS
from tunewright.aws.sagemaker.protocol import service
from tunewright.core.job import JobStatus

from .test_aws_rules import hyperband, listed, of_metrics, of_ranges, of_static, several
from .world import World, changed, training, tuning

CREATE = "CreateHyperParameterTuningJob"
Request = dict[str, Any]
DEFINITION = "TrainingJobDefinition"


def numbers(count: int) -> Request:
    bounds = {"MinValue": "0", "MaxValue": "1"}
    return {"ContinuousParameterRanges": [{"Name": f"x{n}", **bounds} for n in range(count)]}


def named(length: int) -> Request:
    return {"ContinuousParameterRanges": [{"Name": "x" * length, "MinValue": "0", "MaxValue": "1"}]}


def categories(*values: str) -> Request:
    return {"CategoricalParameterRanges": [{"Name": "a", "Values": list(values)}]}


def channels(count: int) -> list[Request]:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/data"}}
    return [{"ChannelName": f"c{n}", "DataSource": source} for n in range(count)]


def variables(count: int) -> dict[str, str]:
    return {f"V{n}": "1" for n in range(count)}


def of_limits(name: str, **limits: int) -> Request:
    return tuning(name, ResourceLimits={"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1, **limits})


def warm(name: str, *parents: str, **config: Any) -> Request:
    chosen = [{"HyperParameterTuningJobName": parent} for parent in parents]
    start = {"WarmStartType": "TransferLearning", "ParentHyperParameterTuningJobs": chosen}
    return {**tuning(name, **config), "WarmStartConfig": start}


BUILT: dict[str, Callable[[int], Request]] = {
    "job_name": lambda n: tuning("n" * n),
    "definition_name": lambda n: several(listed("d" * n), listed("other")),
    "definitions": lambda n: several(*(listed(f"d{k}") for k in range(n))),
    "ranges": lambda n: of_ranges(numbers(n)),
    "auto_parameters": lambda n: of_ranges(
        {**numbers(1), "AutoParameters": [{"Name": f"a{k}", "ValueHint": "1"} for k in range(n)]}
    ),
    "values": lambda n: of_ranges(categories(*(f"v{k}" for k in range(n)))),
    "parameter_name": lambda n: of_ranges(named(n)),
    "value_length": lambda n: of_ranges(categories("v" * n, "w")),
    "static_length": lambda n: of_static({"s": "v" * n}),
    # One range and the injected metric's name are two of them.
    "hyperparameters": lambda n: of_static({f"s{k}": "1" for k in range(n - 2)}),
    "metrics": lambda n: of_metrics(("loss", "loss=(.*)"), *((f"m{k}", "(a)") for k in range(n - 1))),
    "metric_name": lambda n: of_metrics(("m" * n, "(a)"), objective="m" * n),
    "regex": lambda n: of_metrics(("loss", "(a)" + "b" * (n - 3))),
    "channels": lambda n: changed(tuning(), f"{DEFINITION}.InputDataConfig", channels(n)),
    "environment": lambda n: several(
        listed("a", Environment=variables(20)), listed("b", Environment=variables(n - 20))
    ),
    "environment_value": lambda n: changed(tuning(), f"{DEFINITION}.Environment", {"V": "x" * n}),
    "tags": lambda n: {**tuning(), "Tags": [{"Key": f"k{k}", "Value": "1"} for k in range(n)]},
    "max_resource": lambda n: tuning(**hyperband(MaxResource=n)),
    "tuning_runtime": lambda n: of_limits("job", MaxRuntimeInSeconds=n),
    "training_runtime": lambda n: changed(tuning(), f"{DEFINITION}.StoppingCondition.MaxRuntimeInSeconds", n),
    "parallel": lambda n: of_limits("job", MaxParallelTrainingJobs=n),
    "jobs": lambda n: of_limits("job", MaxNumberOfTrainingJobs=n),
}
"""Requests that reach a limit with a number."""

PLAIN: dict[str, Callable[[int], Request]] = {
    "training_job_name": lambda n: training("n" * n),
    "training_environment": lambda n: training(Environment=variables(n)),
}

ELSEWHERE = {"parents", "warm_start_changes", "running"}
"""Limits that count what is there already; each has a test of its own below."""


def test_every_limit_has_its_edge_tried() -> None:
    assert set(BUILT) | set(PLAIN) | ELSEWHERE == set(LIMITS)


def edges(key: str) -> list[tuple[bool, int, bool]]:
    """(strict, number, whether it is accepted)."""
    limit = LIMITS[key]
    found = [(True, limit.strict, True), (True, limit.strict + 1, False)]
    if limit.extended is None:
        return [*found, (False, limit.strict + 1, True)]
    return [*found, (False, limit.extended, True), (False, limit.extended + 1, False)]


def told(key: str) -> str:
    return "ResourceLimitExceeded" if LIMITS[key].quota else "ValidationException"


@pytest.mark.parametrize(
    ("key", "strict", "number", "fine"), [(key, *edge) for key in [*BUILT, *PLAIN] for edge in edges(key)]
)
def test_both_sides_of_the_edge(world: World, key: str, strict: bool, number: int, fine: bool) -> None:
    path = world.objects.path("s3://bucket/data/rows.csv")
    path.parent.mkdir(parents=True)
    path.write_text("1")
    operation = CREATE if key in BUILT else "CreateTrainingJob"
    request = (BUILT | PLAIN)[key](number)
    if fine:
        world.ok(operation, request, strict=strict)
        return
    code, message = world.refused(operation, request, strict=strict)
    assert code == told(key)
    limit = LIMITS[key].of(strict)
    assert str(limit) in message or f"{limit:,}" in message
    lifted = strict and LIMITS[key].extended != LIMITS[key].strict
    assert ("extended mode" in message.lower()) is lifted, message


def ended(world: World, name: str, **static: str) -> None:
    """A tuning job that is over."""
    uid = world.create(changed(tuning(name), f"{DEFINITION}.StaticHyperParameters", static))
    while not world.job(uid).status.terminal:
        world.run(uid, {"lr": 0.01}, "loss", 0.5)
    assert world.job(uid).status is JobStatus.COMPLETED


@pytest.mark.parametrize("strict", [True, False])
def test_parents(world: World, strict: bool) -> None:
    names = [f"p{n}" for n in range(LIMITS["parents"].strict + 1)]
    for name in names:
        ended(world, name, epochs="3")
    code, message = world.refused(CREATE, warm("six", *names), strict=strict)
    assert (code, "(has 6)" in message) == ("ValidationException", True)
    world.ok(CREATE, warm("five", *names[:-1]), strict=strict)


@pytest.mark.parametrize("strict", [True, False])
def test_changes_of_a_warm_start(world: World, strict: bool) -> None:
    """A changed static value is two changes, a tuned one that became static too."""
    static = {f"s{n}": "1" for n in range(6)}
    ended(world, "parent", **static)

    def child(name: str, count: int) -> Request:
        values = {key: "2" if place < count else "1" for place, key in enumerate(static)}
        return changed(warm(name, "parent"), f"{DEFINITION}.StaticHyperParameters", values)

    assert "at most 10 are allowed" in world.refused(CREATE, child("twelve", 6), strict=strict)[1]
    world.ok(CREATE, child("ten", 5), strict=strict)


def test_tuning_jobs_at_the_same_time(world: World) -> None:
    most = LIMITS["running"].strict
    for number in range(most):
        world.create(tuning(f"job-{number}"))
    code, message = world.refused(CREATE, tuning("more"))
    assert code == "ResourceLimitExceeded" and str(most) in message
    world.ok(CREATE, tuning("more"), strict=False)
    world.settings = replace(world.settings, quotas=f"running={most + 2}")
    wider = world.service(strict=True)
    status, _, _ = wider.handle(CREATE, json.dumps(tuning("wider")).encode())
    assert status == 200


def test_the_document_is_the_table() -> None:
    rows = ["| limit | strict (AMT) | extended | beyond it |", "|---|---:|---:|---|"]
    for limit in LIMITS.values():
        lifted = "no limit" if limit.extended is None else f"{limit.extended:,}"
        code = "ResourceLimitExceeded" if limit.quota else "ValidationException"
        rows.append(f"| {limit.what} | {limit.strict:,} | {lifted} | {code} |")
    text = (Path(__file__).parents[2] / "docs" / "limits.md").read_text(encoding="utf-8")
    assert "\n".join(rows) + "\n" in text


def test_strict_limits_are_the_models() -> None:
    for key, limit in LIMITS.items():
        for shape in limit.shapes:
            assert service().shape_for(shape).metadata["max"] == limit.strict, key
