"""Service rules of a tuning job that the model does not hold; every problem is found, not the first alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from tunewright.aws.sagemaker.limits import LIMITS
from tunewright.aws.sagemaker.parts import Part, parts_of, range_count, space_of, space_problems
from tunewright.aws.sagemaker.protocol import Wire
from tunewright.aws.sagemaker.rules_extended import differing_options, extended_problems, promotion_problems
from tunewright.aws.sagemaker.rules_training import objective_problem, training_problems
from tunewright.core.errors import Invalid, LimitExceeded, Problem
from tunewright.core.ports import Objects
from tunewright.core.replicates import budget_problem
from tunewright.core.space import CategoricalParameter, decode_value
from tunewright.core.spec import OBJECTIVE_KEY, MetricDefinition

CONFIG = "hyperParameterTuningJobConfig"
MAX_RESOURCE_KEYS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
NO_MAX_RESOURCE = (
    "MaxResource parameter is not provided and could not be inferred from provided static hyperparameters of"
    " TrainingJobDefinition."
)


def tuning_problems(
    request: Wire, objects: Objects, inherited: Sequence[MetricDefinition], *, strict: bool
) -> list[Problem]:
    """All that is wrong with a request that fits the model.

    Args:
        inherited: the metric definitions of its warm-start parents, for a request that has none.
    """
    problems = list(_forms(request))
    parts = parts_of(request) if not problems else []
    for part in parts:
        problems += _part_problems(part, inherited, strict=strict)
        problems += training_problems(part.path, part.body, part.static, objects, strict=strict)
    if parts:
        problems += _together(request, parts, strict=strict)
    readable = not any(space_problems(part, strict=strict) for part in parts)
    if parts and readable and all(range_count(part.ranges) for part in parts):
        problems += _budget(request, parts, strict=strict)
    problems += _hyperband(request, parts)
    return problems


def _forms(request: Wire) -> Iterator[Problem]:
    """Exactly one form of definitions, each with the fields of its own form."""
    config = request["HyperParameterTuningJobConfig"]
    single, several = request.get("TrainingJobDefinition"), request.get("TrainingJobDefinitions")
    if (single is None) == (several is None):
        what = "neither is" if single is None else "both are"
        text = f"give exactly one of TrainingJobDefinition and TrainingJobDefinitions; {what} given."
        yield Problem("trainingJobDefinition", text)
        return
    if single is not None:
        for name in ("TuningObjective", "HyperParameterRanges"):
            if name in single:
                text = f"{name} belongs to TrainingJobDefinitions; put it into HyperParameterTuningJobConfig."
                yield Problem("trainingJobDefinition", text)
        return
    for name in ("HyperParameterTuningJobObjective", "ParameterRanges"):
        if name in config:
            yield Problem(CONFIG, f"{name} can't be combined with TrainingJobDefinitions; put it into each of them.")
    names = [definition.get("DefinitionName") for definition in several or ()]
    for number, name in enumerate(names, start=1):
        if name is None:
            yield Problem(f"trainingJobDefinitions.{number}.member.definitionName", "is required in the list form.")
        elif names.index(name) != number - 1:
            path = f"trainingJobDefinitions.{number}.member.definitionName"
            yield Problem(path, f"{name!r} is used more than once; names must be unique.")


def _part_problems(part: Part, inherited: Sequence[MetricDefinition], *, strict: bool) -> Iterator[Problem]:
    yield from space_problems(part, strict=strict)
    ranges = range_count(part.ranges)
    if ranges == 0:
        yield Problem(part.ranges_path, "there is nothing to tune; give at least one range.")
    if LIMITS["ranges"].exceeded(ranges, strict):
        top = LIMITS["ranges"].strict
        text = f"has {ranges} ranges in all; at most {top} are allowed ({ranges}/{top})."
        yield Problem(part.ranges_path, text, True)
    total = ranges + len([key for key in part.static if key != OBJECTIVE_KEY]) + 1
    if LIMITS["hyperparameters"].exceeded(total, strict):
        text = f"makes {total} hyperparameters with the ranges and {OBJECTIVE_KEY}; at most 100 are allowed."
        yield Problem(f"{part.path}.staticHyperParameters", text, True)
    yield from _objective(part, inherited, strict=strict)
    if not strict:
        yield from extended_problems(part)


def _objective(part: Part, inherited: Sequence[MetricDefinition], *, strict: bool) -> Iterator[Problem]:
    if part.objective is None:
        yield Problem(f"{part.path}.tuningObjective" if "DefinitionName" in part.body else CONFIG, "has no objective.")
        return
    metrics = part.metrics() or inherited
    pushed = not strict and not metrics
    if not pushed and part.objective["MetricName"] not in [metric.name for metric in metrics]:
        yield objective_problem(part.path, part.objective["MetricName"], [metric.name for metric in metrics])


def _together(request: Wire, parts: Sequence[Part], *, strict: bool) -> Iterator[Problem]:
    """Rules between definitions."""
    config = request["HyperParameterTuningJobConfig"]
    variables = sum(len(part.body.get("Environment", {})) for part in parts)
    if len(parts) > 1:
        if LIMITS["environment"].exceeded(variables, strict):
            text = f"the definitions have {variables} environment variables in all; at most 48 are allowed."
            yield Problem("trainingJobDefinitions", text, True)
        directions = {part.objective["Type"] for part in parts if part.objective}
        if len(directions) > 1:
            text = f"all definitions must have the same objective Type, got {' and '.join(sorted(directions))}."
            yield Problem("trainingJobDefinitions", text)
        if config.get("TrainingJobEarlyStoppingType") == "Auto":
            yield Problem(f"{CONFIG}.trainingJobEarlyStoppingType", "Auto needs a single definition; use Off.")
        if "WarmStartConfig" in request:
            text = f"is for jobs with a single definition, this one has {len(parts)}; leave it out."
            yield Problem("warmStartConfig", text)
    yield from differing_options(parts)
    if not strict:
        yield from promotion_problems(config["Strategy"], parts)


def combinations(parts: Sequence[Part]) -> int | None:
    """Distinct configurations over all definitions; None when a continuous range makes them infinite."""
    sizes = [space_of(part).size() for part in parts]
    return None if None in sizes else sum(size for size in sizes if size is not None)


def replicates_of(parts: Sequence[Part]) -> int:
    """How many training jobs each configuration gets."""
    for part in parts:
        if (told := part.options.get("replicates")) is not None:
            return int(json.loads(told))
    return 1


def _budget(request: Wire, parts: Sequence[Part], *, strict: bool) -> Iterator[Problem]:
    """The number of training jobs against the number of configurations there are."""
    config = request["HyperParameterTuningJobConfig"]
    asked = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    try:
        size = combinations(parts)
    except Invalid:
        return
    path = f"{CONFIG}.resourceLimits.maxNumberOfTrainingJobs"
    replicates = 1 if strict else replicates_of(parts)
    if (text := budget_problem(asked, replicates)) is not None:
        yield Problem(path, text)
        return
    size = None if size is None else size * replicates
    if config["Strategy"] == "Grid":
        yield from _grid(parts, size, asked, path, strict=strict)
    elif asked is not None and size is not None and size < asked and strict:
        text = (
            "You don't have enough combinations of hyperparameter ranges. The total number of combinations for the"
            f" provided ranges [{float(size)}] must be equal or greater than the value of MaxNumberOfJobs, [{asked}]."
            f" Provide additional ranges. ({size} < {asked})"
        )
        yield Problem("", text, True)


def _grid(parts: Sequence[Part], size: int | None, asked: int | None, path: str, *, strict: bool) -> Iterator[Problem]:
    numeric = [
        name
        for part in parts
        for name, parameter in space_of(part).parameters.items()
        if not isinstance(parameter, CategoricalParameter)
    ]
    if numeric and strict:
        names = ", ".join(numeric)
        text = f"Grid takes categorical ranges only, got the numeric {names}; list their values as categories."
        yield Problem(f"{CONFIG}.strategy", text, True)
    elif size is None:
        yield Problem(f"{CONFIG}.strategy", _uncounted(parts))
    elif asked is not None and asked != size and (strict or asked < size):
        text = (
            f"with Grid it must equal the number of distinct combinations, {size}, got {asked};"
            " leave it out and it is inferred."
        )
        yield Problem(path, text, asked > size)


def _uncounted(parts: Sequence[Part]) -> str:
    """Why Grid has no number of points, and what to do."""
    parameters = [each for part in parts for each in space_of(part).parameters.items()]
    numeric = [(name, each) for name, each in parameters if not isinstance(each, CategoricalParameter)]
    endless = [name for name, each in numeric if each.lattice() is None]
    if not endless:
        return "Grid cannot count the combinations that the rules leave; tune fewer values, or choose Random."
    return f"Grid needs a finite space; give {', '.join(endless)} a step (`steps`) or list values as categories."


def inferred_max_resource(static: Mapping[str, str]) -> int | None:
    """Hyperband's MaxResource from the static hyperparameters, as AMT does."""
    for key in MAX_RESOURCE_KEYS:
        if key not in static:
            continue
        value = decode_value(static[key])
        text = str(value).strip()
        if not isinstance(value, bool) and text.isascii() and text.isdigit() and 0 < len(text) <= 9 and int(text):
            return int(text)
    return None


def hyperband_resources(request: Wire, parts: Sequence[Part]) -> tuple[int, int | None]:
    """MinResource, and MaxResource as given or inferred (the largest of several definitions)."""
    config = request["HyperParameterTuningJobConfig"]
    given = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    inferred = [found for part in parts if (found := inferred_max_resource(part.static)) is not None]
    return given.get("MinResource", 1), given.get("MaxResource", max(inferred, default=None))


def _hyperband(request: Wire, parts: Sequence[Part]) -> Iterator[Problem]:
    config = request["HyperParameterTuningJobConfig"]
    if config["Strategy"] != "Hyperband":
        return
    if config.get("TrainingJobEarlyStoppingType") == "Auto":
        text = "must be Off with Hyperband, which stops training jobs itself; got Auto."
        yield Problem(f"{CONFIG}.trainingJobEarlyStoppingType", text)
    path = f"{CONFIG}.strategyConfig.hyperbandStrategyConfig"
    low, high = hyperband_resources(request, parts)
    told = "MaxResource" in config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    lacking = [part for part in parts if not told and inferred_max_resource(part.static) is None]
    if lacking:
        of = (
            f" {', '.join(repr(part.body.get('DefinitionName')) for part in lacking)} has none."
            if len(parts) > 1
            else ""
        )
        text = f"{NO_MAX_RESOURCE}{of} Set it, or one of the static hyperparameters {', '.join(MAX_RESOURCE_KEYS)}."
        yield Problem("", text)
    elif high is None:
        return
    elif high > LIMITS["max_resource"].strict:
        yield Problem(f"{path}.maxResource", f"{high} is over the maximum of {LIMITS['max_resource'].strict:,}.")
    elif low > high:
        yield Problem(f"{path}.minResource", f"MinResource {low} is greater than MaxResource {high}; lower it.")


def check_quotas(
    request: Wire, max_jobs: int, parents_jobs: int, running: int, quotas: Mapping[str, int | None]
) -> None:
    """Account quotas, looked at once a request is valid.

    Args:
        quotas: what is allowed, by the names in the table of limits; None is no limit.
        max_jobs: the training jobs this job may launch.
        parents_jobs: training jobs of its parents, which count too.
        running: tuning jobs in progress.

    Raises:
        LimitExceeded: naming every quota that would be exceeded.
    """
    parallel = request["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxParallelTrainingJobs"]
    wanted = {"parallel": parallel, "jobs": max_jobs + parents_jobs, "running": running + 1}
    exceeded = [
        f"The account-level service limit '{LIMITS[key].what}' is {quota}, this request needs {count}."
        for key, count in wanted.items()
        if (quota := quotas[key]) is not None and count > quota
    ]
    if exceeded:
        remedy = "The setting TUNEWRIGHT_QUOTAS changes it. Extended mode has no such limit by itself."
        raise LimitExceeded(" ".join([*exceeded, remedy]))
