"""Rows 4 to 10: names, ARNs and the shape of requests."""

from __future__ import annotations

import json
from typing import Any

from botocore.model import Shape

from tunewright.aws.sagemaker.protocol import lower, operation_model

from .ground import Sim


def test_row_04_arn_with_the_name_in_lower_case(sim: Sim) -> None:
    arn = sim.create(sim.request("MyJob"))
    assert arn.endswith("hyper-parameter-tuning-job/myjob")
    assert sim.describe("MyJob")["HyperParameterTuningJobName"] == "MyJob"
    assert sim.describe("MyJob")["HyperParameterTuningJobArn"] == arn


def test_row_05_names_are_unique_whatever_their_case(sim: Sim) -> None:
    sim.create(sim.request("MyJob"))
    assert "already exists" in sim.refused(sim.request("myjob"), "ResourceInUse")


def test_row_06_create_with_a_single_definition(sim: Sim) -> None:
    answer = sim.client.create_hyper_parameter_tuning_job(**sim.request("one"))
    assert answer["HyperParameterTuningJobArn"].startswith("arn:aws:sagemaker:")
    described = sim.describe("one")
    assert "TrainingJobDefinition" in described
    assert "TrainingJobDefinitions" not in described


def test_row_07_create_with_a_list_of_definitions(sim: Sim) -> None:
    two = sim.several("two", sim.definition("a"), sim.definition("b"))
    sim.create(two)
    described = sim.describe("two")
    assert [definition["DefinitionName"] for definition in described["TrainingJobDefinitions"]] == ["a", "b"]
    assert "TrainingJobDefinition" not in described
    eleven = sim.several("eleven", *(sim.definition(f"d{k}") for k in range(11)))
    assert "less than or equal to 10" in sim.refused(eleven)


def test_row_08_exactly_one_form_of_definition(sim: Sim) -> None:
    both = {**sim.request("both"), "TrainingJobDefinitions": [sim.definition("a")]}
    neither = sim.request("neither")
    del neither["TrainingJobDefinition"]
    for request in (both, neither):
        assert "exactly one of TrainingJobDefinition and TrainingJobDefinitions" in sim.refused(request)


# ---- row 9: every constraint of the model ----

LONGEST = 70_000
"""Longer values than this are not built: no member of a tuning request may be that long."""


def breaches(shape: Shape, path: str, seen: tuple[str, ...] = ()) -> list[tuple[str, Any]]:
    """For every constraint below a shape: the path that the answer must name, and a value that breaks it."""
    if shape.name in seen:
        return []
    seen = (*seen, shape.name)
    at: Any = shape
    meta = at.metadata
    found: list[tuple[str, Any]] = []
    match at.type_name:
        case "structure":
            for name, member in at.members.items():
                inner = f"{path}.{lower(name)}" if path else lower(name)
                found += [(where, {name: value}) for where, value in breaches(member, inner, seen)]
            if path:
                found += [(f"{path}.{lower(name)}", {}) for name in at.required_members]
        case "list":
            if "max" in meta:
                found.append((path, [None] * (meta["max"] + 1)))
            found += [(where, [value]) for where, value in breaches(at.member, f"{path}.1.member", seen)]
        case "map":
            if "max" in meta:
                found.append((path, {f"k{k}": "v" for k in range(meta["max"] + 1)}))
        case "string":
            found += [(path, value) for value in bad_texts(meta)]
        case "integer" | "long":
            found += [(path, meta[edge] + step) for edge, step in (("min", -1), ("max", 1)) if edge in meta]
            found.append((path, "1"))
        case "boolean":
            found.append((path, "true"))
    return found


def bad_texts(meta: dict[str, Any]) -> list[Any]:
    texts: list[Any] = [7]
    if "enum" in meta:
        texts.append("NotInTheEnum")
    if 0 < meta.get("max", 0) < LONGEST:
        texts.append("a" * (meta["max"] + 1))
    if meta.get("min", 0) > 1:
        texts.append("a")
    if "pattern" in meta and meta["pattern"] not in (".*", r"[\s\S]*", r"[^/]*") and "enum" not in meta:
        texts.append("\n")
    return texts


def test_row_09_every_constraint_of_the_model_is_checked(sim: Sim) -> None:
    operation: Any = operation_model("CreateHyperParameterTuningJob")
    cases = breaches(operation.input_shape, "")
    assert len(cases) > 400, "patterns, lengths, enums and ranges of every member"
    wrong = []
    for path, request in cases:
        status, _, body = sim.service.handle("CreateHyperParameterTuningJob", json.dumps(request).encode())
        text = body.decode()
        if status != 400 or '"__type": "ValidationException"' not in text or f"'{path}'" not in text:
            wrong.append(f"{path}: {text[:300]}")
    assert not wrong, "\n".join(wrong[:20])


def test_row_10_names_of_at_most_32_characters(sim: Sim) -> None:
    sim.create(sim.request("n" * 32))
    message = sim.refused(sim.request("n" * 33))
    assert "Member must have length less than or equal to 32" in message


def test_the_ground_is_strict(sim: Sim) -> None:
    """All rows are tried in strict mode: what only extended mode takes is refused."""
    training = {"OutputDataConfig": {"S3OutputPath": "file:///tmp/out"}}
    assert "s3OutputPath" in sim.refused(sim.request("files", training=training))
