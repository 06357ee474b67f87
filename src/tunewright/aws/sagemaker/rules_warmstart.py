"""Rules of warm start: what a job may change against its parents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Protocol

from tunewright.aws.sagemaker.autotune import filled_retries
from tunewright.aws.sagemaker.limits import LIMITS
from tunewright.aws.sagemaker.parts import parts_of
from tunewright.aws.sagemaker.protocol import Wire, shorten
from tunewright.aws.sagemaker.translate_request import parent_names
from tunewright.core.errors import NotFound, Problem
from tunewright.core.job import Job
from tunewright.core.reads import JobView
from tunewright.core.spec import Definition, JobSpec, MetricDefinition, Strategy

PATH = "warmStartConfig.parentHyperParameterTuningJobs"
FREE_FIELDS = (
    "algorithmSpecification",
    "inputDataConfig",
    "outputDataConfig",
    "staticHyperParameters",
    "roleArn",
    "resourceConfig",
    "stoppingCondition",
    "vpcConfig",
    "enableManagedSpotTraining",
    "checkpointConfig",
)
FIXED_FIELDS = (
    "Environment",
    "RetryStrategy",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
)


class Jobs(Protocol):
    """Tuning jobs by name, as the read models give them."""

    def job(self, name: str) -> JobView:
        """Raises NotFound."""
        ...


def find_parents(request: Wire, reads: Jobs) -> tuple[list[Job], list[Problem]]:
    """The parents that a request names, and what is wrong with them: unknown, or not terminal."""
    parents: list[Job] = []
    problems: list[Problem] = []
    if "WarmStartConfig" not in request:
        return parents, problems
    names = parent_names(request["WarmStartConfig"])
    if len(names) < len(request["WarmStartConfig"]["ParentHyperParameterTuningJobs"]):
        problems.append(Problem(PATH, "every parent needs a HyperParameterTuningJobName."))
    for number, name in enumerate(names, start=1):
        path = f"{PATH}.{number}.member.hyperParameterTuningJobName"
        if name.lower() in {earlier.lower() for earlier in names[: number - 1]}:
            problems.append(Problem(path, f"{name!r} is named more than once; name each parent once."))
            continue
        try:
            parent = reads.job(name).job
        except NotFound:
            problems.append(Problem(path, f"there is no tuning job called {name!r}."))
            continue
        parents.append(parent)
        if not parent.status.terminal:
            text = (
                f"{name!r} is {parent.status}; a parent must be Completed, Stopped or Failed. Wait for it or stop it."
            )
            problems.append(Problem(path, text))
    return parents, problems


def inherited_metrics(request: Wire, parents: Sequence[Job]) -> tuple[MetricDefinition, ...]:
    """The first parent's metric definitions, for a request without any (SDK v2's warm-start helpers drop them)."""
    if not parents or any(part.metrics() for part in parts_of(request)):
        return ()
    return parents[0].spec.definitions[0].training.metrics


def warm_start_problems(spec: JobSpec, request: Wire, parents: Sequence[Job]) -> list[Problem]:
    """What a job may not change against its parents, each said with the names it is about."""
    if not parents:
        return []
    problems: list[Problem] = []
    if spec.strategy not in (Strategy.BAYESIAN, Strategy.RANDOM):
        text = f"warm start is for Bayesian and Random, got {spec.strategy}; change one of them."
        problems.append(Problem("warmStartConfig", text))
    for parent in parents:
        problems += _against(spec, request, parent)
    return problems


def _against(spec: JobSpec, request: Wire, parent: Job) -> Iterator[Problem]:
    if len(parent.spec.definitions) != 1 or len(spec.definitions) != 1:
        yield Problem(PATH, f"{parent.name!r} has several definitions; warm start is for jobs with one.")
        return
    mine, theirs = spec.definitions[0], parent.spec.definitions[0]
    if mine.objective != theirs.objective and mine.objective and theirs.objective:
        yield Problem(
            PATH,
            f"the objective {mine.objective.metric!r} ({mine.objective.direction}) is not that of {parent.name!r},"
            f" {theirs.objective.metric!r} ({theirs.objective.direction}); it must be the same.",
        )
    yield from _names(mine, theirs, parent.name)
    yield from _types(mine, theirs, parent.name)
    yield from _changes(mine, theirs, parent.name)
    yield from _fields(request, json.loads(parent.spec.request), parent.name)


def _all_names(definition: Definition) -> set[str]:
    return {*definition.space.parameters, *definition.training.static}


def _names(mine: Definition, theirs: Definition, parent: str) -> Iterator[Problem]:
    new, gone = _all_names(mine) - _all_names(theirs), _all_names(theirs) - _all_names(mine)
    if not new and not gone:
        return
    told = [f"new: {', '.join(sorted(new))}"] if new else []
    told += [f"missing: {', '.join(sorted(gone))}"] if gone else []
    text = (
        "The set of tunable plus static HyperParameter names is not the same across current and parent tuning jobs."
        " Please keep the set of names constant; static hyperparameters may become tunable and the other way round."
        f" Against {parent!r}: {'; '.join(told)}."
    )
    yield Problem("", text)


def _types(mine: Definition, theirs: Definition, parent: str) -> Iterator[Problem]:
    for name, parameter in mine.space.parameters.items():
        other = theirs.space.parameters.get(name)
        if other is not None and type(other) is not type(parameter):
            kinds = [type(each).__name__.removesuffix("Parameter").lower() for each in (parameter, other)]
            yield Problem(name, f"is {kinds[0]} here and {kinds[1]} in {parent!r}; the type must stay the same.")


def count_changes(mine: Definition, theirs: Definition) -> int:
    """AMT's count: tuned ones that became static, and static ones with another value, two each."""
    static, before = mine.training.static, theirs.training.static
    frozen = sum(name in static for name in theirs.space.parameters)
    changed = sum(name in before and before[name] != value for name, value in static.items() if not _own(name))
    return 2 * (frozen + changed)


def _own(name: str) -> bool:
    """Static hyperparameters of SageMaker's own tools differ from job to job by nature."""
    return name.startswith("sagemaker_")


def _changes(mine: Definition, theirs: Definition, parent: str) -> Iterator[Problem]:
    count, top = count_changes(mine, theirs), LIMITS["warm_start_changes"].strict
    if count > top:
        text = (
            f"{count} changes of hyperparameters against {parent!r}; at most {top} are allowed (a tuned one that"
            " became static counts 2, a static one with another value counts 2)."
        )
        yield Problem("warmStartConfig", text)


def _fields(request: Wire, before: Wire, parent: str) -> Iterator[Problem]:
    mine, theirs = parts_of(request)[0].body, parts_of(before)[0].body
    changed = [name for name in FIXED_FIELDS if (mine.get(name) or None) != (theirs.get(name) or None)]
    if filled_retries(request) or filled_retries(before):
        changed = [name for name in changed if name != "RetryStrategy"]
    if changed:
        shown = ", ".join(f"{name} (was {shorten(json.dumps(theirs.get(name)), 80)})" for name in changed)
        text = (
            "Only the following fields in TrainingJobDefinition are allowed to change:"
            f" [{', '.join(FREE_FIELDS)}]. Changed against {parent!r}: {shown}."
        )
        yield Problem("", text)
