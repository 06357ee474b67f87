"""Autotune: fills in what a request leaves open, and turns hints into ranges, so that Describe shows both."""

from __future__ import annotations

import copy
import math
import re

from tunewright.aws.sagemaker import builtin
from tunewright.aws.sagemaker.limits import DEFAULT_MAX_JOBS
from tunewright.aws.sagemaker.parts import Part, parts_of, range_count, space_of, space_problems
from tunewright.aws.sagemaker.protocol import Wire
from tunewright.aws.sagemaker.rules import MAX_RESOURCE_KEYS
from tunewright.core.space import decode_value, format_number

_RETRY = {"MaximumRetryAttempts": 3}
LOGARITHMIC_FROM = 64
TOOLKIT = "sagemaker_"
"""What names begin with that are the training toolkit's settings, such as its log level: nothing to tune."""
_SHARE = re.compile(r"rate|prob|dropout|sample|ratio|fraction|momentum|beta|decay")


def expand(request: Wire, most: int | None = None) -> Wire:
    """The request as Autotune completes it; unchanged where Autotune is not asked for.

    What the user gave is never changed. A hint becomes a range around it: whole numbers from half to double,
    fractions over a decade each way, true and false both; other texts, the toolkit's settings and what Hyperband takes
    its maximum resource from stay static.

    Args:
        most: the training jobs that the quota leaves; None is no limit.
    """
    if not _asked(request):
        return request
    request = copy.deepcopy(request)
    parts = parts_of(request)
    for part in parts:
        _expand_hints(request, part)
        _fill_ranges(request, part)
        part.body.setdefault("RetryStrategy", dict(_RETRY))
    _fill_config(request, most)
    return request


def _asked(request: Wire) -> bool:
    return bool(request.get("Autotune", {}).get("Mode") == "Enabled")


def filled_retries(request: Wire) -> bool:
    """Whether the RetryStrategy of an expanded request may be Autotune's and not the user's."""
    return _asked(request) and any(part.body.get("RetryStrategy") == _RETRY for part in parts_of(request))


def _ranges(request: Wire, part: Part) -> Wire:
    """The ranges of a definition, wherever they stand; made when there are none."""
    single = "TrainingJobDefinition" in request
    owner = request["HyperParameterTuningJobConfig"] if single else part.body
    found: Wire = owner.setdefault("ParameterRanges" if single else "HyperParameterRanges", {})
    return found


def _fill_ranges(request: Wire, part: Part) -> None:
    """A built-in algorithm's own ranges, where none are given; Grid would not take them."""
    ranges = _ranges(request, part)
    grid = request["HyperParameterTuningJobConfig"]["Strategy"] == "Grid"
    if part.algorithm is not None and not range_count(ranges) and not grid:
        ranges.update(builtin.default_ranges(part.algorithm, part.static))


def _expand_hints(request: Wire, part: Part) -> None:
    ranges = _ranges(request, part)
    kept = _resources(request)
    taken = {body["Name"] for kind, bodies in ranges.items() if kind != "AutoParameters" for body in bodies}
    for hint in ranges.pop("AutoParameters", []):
        name, text = hint["Name"], hint["ValueHint"]
        if name in taken:
            continue
        taken.add(name)
        found = None if name in kept else _range(name, text)
        if found is None:
            part.body.setdefault("StaticHyperParameters", {}).setdefault(name, text)
        else:
            kind, body = found
            ranges.setdefault(kind, []).append(body)
            part.body.get("StaticHyperParameters", {}).pop(name, None)


def _resources(request: Wire) -> tuple[str, ...]:
    """What Hyperband takes its maximum resource from when it is not told: how long to train is not tuned then."""
    config = request["HyperParameterTuningJobConfig"]
    told = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    return MAX_RESOURCE_KEYS if config["Strategy"] == "Hyperband" and "MaxResource" not in told else ()


def _range(name: str, text: str) -> tuple[str, Wire] | None:
    """The list and the range that a hint becomes; None when it is nothing to tune around."""
    if name.startswith(TOOLKIT):
        return None
    value = decode_value(text)
    if isinstance(value, bool):
        return "CategoricalParameterRanges", {"Name": name, "Values": ["true", "false"]}
    if isinstance(value, str) or not 0 < value < 2**50 or not math.isfinite(value):
        return None
    if isinstance(value, int):
        scaling = "Logarithmic" if value >= LOGARITHMIC_FROM else "Linear"
        low, high = str(max(1, value // 2)), str(2 * value)
        return "IntegerParameterRanges", {"Name": name, "MinValue": low, "MaxValue": high, "ScalingType": scaling}
    top = 10 * value
    if value <= 1 and _SHARE.search(name.lower()):
        top = min(top, 1.0)
    edges = {"MinValue": format_number(value / 10), "MaxValue": format_number(top)}
    return "ContinuousParameterRanges", {"Name": name, **edges, "ScalingType": "Logarithmic"}


def _fill_config(request: Wire, most: int | None) -> None:
    config: Wire = request["HyperParameterTuningJobConfig"]
    parts = parts_of(request)
    single = "TrainingJobDefinition" in request
    if single and "HyperParameterTuningJobObjective" not in config and parts[0].algorithm is not None:
        objective = builtin.default_objective(parts[0].static)
        config["HyperParameterTuningJobObjective"] = {"Type": str(objective.direction), "MetricName": objective.metric}
    if len(parts) == 1 and config["Strategy"] != "Hyperband":
        config.setdefault("TrainingJobEarlyStoppingType", "Auto")
    criteria = config.setdefault("TuningJobCompletionCriteria", {})
    criteria.setdefault("ConvergenceDetected", {"CompleteOnConvergence": "Enabled"})
    if config["Strategy"] != "Grid":
        config["ResourceLimits"].setdefault("MaxNumberOfTrainingJobs", _jobs(parts_of(request), most))


def _jobs(parts: list[Part], most: int | None) -> int:
    """A budget for the number of dimensions, never more than there are configurations, nor than the quota leaves."""
    wanted = 20 + 10 * sum(range_count(part.ranges) for part in parts)
    sizes = [None if space_problems(part, strict=False) else space_of(part).size() for part in parts]
    total = sum(size for size in sizes if size is not None) if None not in sizes else DEFAULT_MAX_JOBS
    return max(1, min(wanted, total, DEFAULT_MAX_JOBS, total if most is None else most))
