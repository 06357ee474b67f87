"""The one place where a tuner becomes a CreateHyperParameterTuningJob request, and where it is checked before.

AMT has two forms: with one definition, objective and ranges stand in the job's configuration; with a list of
named definitions, each carries its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tunewright.aws.sagemaker.extension import PART_KEYS, pack
from tunewright.core.errors import Invalid, Problem
from tunewright.core.replicates import budget_problem
from tunewright.core.space import Parameter, Space
from tunewright.core.spec import Direction, Strategy
from tunewright.core.suggest import did_you_mean
from tunewright.sdk.arguments import config_problems, whole_problems
from tunewright.sdk.configs import (
    InstanceConfig,
    StrategyConfig,
    TuningJobCompletionCriteriaConfig,
    WarmStartConfig,
)
from tunewright.sdk.estimators import EstimatorBase, first_tags
from tunewright.sdk.extensions import join_extension
from tunewright.sdk.inputs import Inputs
from tunewright.sdk.names import check_name
from tunewright.sdk.rules import extended_problems, orphans, rules_of_part
from tunewright.sdk.session import Session
from tunewright.sdk.shapes import Shape
from tunewright.sdk.values import ranges_shape, space_of

MAX_NAME = 32
MAX_EXTENDED_NAME = 63
MIN_RUNTIME = 120
"""Seconds of wall clock: AMT has no shorter tuning jobs."""
EARLY_STOPPING = ("Off", "Auto")


@dataclass(slots=True)
class Part:
    """One algorithm of a tuner.

    Args:
        name: its DefinitionName; None in the form with one definition.
        keep_static: hyperparameters that autotune must leave alone.
        metric_definitions: None takes the estimator's.
    """

    estimator: EstimatorBase
    objective_metric_name: str | None
    ranges: Mapping[str, Parameter]
    name: str | None = None
    metric_definitions: Sequence[Mapping[str, str]] | None = None
    keep_static: Sequence[str] | None = None
    instance_configs: Sequence[InstanceConfig] | None = None

    def metrics(self) -> list[Shape]:
        """The metric definitions in force: the tuner's own, else the estimator's."""
        given = self.estimator.metric_definitions if self.metric_definitions is None else self.metric_definitions
        return [{"Name": metric["Name"], "Regex": metric["Regex"]} for metric in given]


@dataclass(slots=True)
class Plan:
    """All that a tuner says of a tuning job, beside its parts."""

    parts: Sequence[Part]
    strategy: str
    objective_type: str
    max_jobs: int | None
    max_parallel_jobs: int
    max_runtime_in_seconds: int | None = None
    tags: Sequence[Shape] = ()
    warm_start_config: WarmStartConfig | None = None
    strategy_config: StrategyConfig | None = None
    completion_criteria_config: TuningJobCompletionCriteriaConfig | None = None
    early_stopping_type: str = "Off"
    random_seed: int | None = None
    autotune: bool = False
    extensions: Mapping[str, object] = field(default_factory=dict)

    @property
    def listed(self) -> bool:
        """Whether the form with a list of definitions is sent."""
        return self.parts[0].name is not None


# ---- checks ----


def argument_problems(plan: Plan, *, strict: bool) -> list[Problem]:
    """What is wrong with a tuner's own arguments, estimators and inputs aside."""
    if foreign := _foreign(plan):
        return foreign
    found = _words(plan) + _numbers(plan) + _configs(plan)
    for part in plan.parts:
        found += [_in_part(part, problem) for problem in _part_problems(plan, part, strict)]
    if len(plan.parts) > 1 and not found and not strict:
        found += orphans([space_of(part.ranges) for part in plan.parts], plan.extensions)
    if len(plan.parts) > 1 and plan.warm_start_config is not None:
        found.append(Problem("warm_start_config", "works with one estimator only; tune them in jobs of their own."))
    if plan.extensions and strict:
        found += [Problem(name, "AMT has no field for it.", True) for name in plan.extensions]
    return found


def all_problems(plan: Plan, session: Session, inputs: Mapping[str | None, Inputs], name: str) -> list[Problem]:
    """Everything that can be known to be wrong before anything starts."""
    found = argument_problems(plan, strict=session.strict)
    if len(plan.parts) == 1 and plan.listed and not session.strict:
        found += orphans([space_of(plan.parts[0].ranges)], plan.extensions)
    found += check_name(name, MAX_NAME if session.uploads else MAX_EXTENDED_NAME)
    for part in plan.parts:
        mine = part.estimator.problems(session, inputs.get(part.name))
        conditions = plan.extensions.get("conditions")
        mine += part.estimator.accepts(list(part.ranges), conditions if isinstance(conditions, dict) else ())
        found += [_in_part(part, problem) for problem in mine]
    return found


def _foreign(plan: Plan) -> list[Problem]:
    """What is no estimator of ours, such as a bare function; nothing more can be said then."""
    found: list[Problem] = []
    for part in plan.parts:
        given: object = part.estimator
        if not isinstance(given, EstimatorBase):
            remedy = "wrap it in FunctionEstimator" if callable(given) else "use Estimator or FunctionEstimator"
            found.append(_in_part(part, Problem("estimator", f"{given!r} is none; {remedy} of tunewright.estimator.")))
    return found


def _words(plan: Plan) -> list[Problem]:
    words: list[tuple[str, str, Sequence[str]]] = [
        ("strategy", plan.strategy, list(Strategy)),
        ("objective_type", plan.objective_type, list(Direction)),
        ("early_stopping_type", plan.early_stopping_type, EARLY_STOPPING),
    ]
    return [
        Problem(path, f"{value!r} is not one of {', '.join(known)}.{did_you_mean(str(value), known)}")
        for path, value, known in words
        if value not in known
    ]


def _numbers(plan: Plan) -> list[Problem]:
    least = {
        "max_jobs": (plan.max_jobs, 1),
        "max_parallel_jobs": (plan.max_parallel_jobs, 1),
        "max_runtime_in_seconds": (plan.max_runtime_in_seconds, MIN_RUNTIME),
        "random_seed": (plan.random_seed, 0),
    }
    return whole_problems(least, ("max_jobs", "max_runtime_in_seconds", "random_seed")) + _counts(plan)


def _configs(plan: Plan) -> list[Problem]:
    return config_problems(
        {
            "warm_start_config": (plan.warm_start_config, WarmStartConfig),
            "strategy_config": (plan.strategy_config, StrategyConfig),
            "completion_criteria_config": (plan.completion_criteria_config, TuningJobCompletionCriteriaConfig),
        }
    )


def _counts(plan: Plan) -> list[Problem]:
    """Counts among the extended features."""
    given = {name: plan.extensions[name] for name in ("replicates", "keep_best") if name in plan.extensions}
    wrong = [
        Problem(name, f"must be a whole number of at least 1, got {value!r}.")
        for name, value in given.items()
        if isinstance(value, bool) or not isinstance(value, int) or value < 1
    ]
    replicates, jobs = given.get("replicates", 1), plan.max_jobs
    if wrong or not isinstance(replicates, int) or jobs is None or whole_problems({"max_jobs": (jobs, 1)}):
        return wrong
    text = budget_problem(int(jobs), replicates)
    return [Problem("max_jobs", text)] if text else []


def _part_problems(plan: Plan, part: Part, strict: bool) -> list[Problem]:
    found: list[Problem] = []
    if not part.ranges and not plan.autotune:
        found.append(Problem("hyperparameter_ranges", "name at least one range, or set autotune=True."))
    try:
        space = space_of(part.ranges)
        found += (
            space.problems(strict=True) if strict else extended_problems(space, plan.extensions, alone=not plan.listed)
        )
    except Invalid as error:
        found += error.problems
    if not part.objective_metric_name:
        if not plan.autotune:
            found.append(Problem("objective_metric_name", "name the metric to tune for."))
    elif part.metric_definitions is not None or part.estimator.metric_definitions:
        found += objective_problems(part.objective_metric_name, [metric["Name"] for metric in part.metrics()])
    return found + _autotune_problems(plan, part)


def objective_problems(objective: str, defined: Sequence[str]) -> list[Problem]:
    """An objective that is none of the metrics defined, with their names and the nearest one."""
    if not defined or objective in defined:
        return []
    names = ", ".join(map(repr, defined))
    return [
        Problem(
            "objective_metric_name",
            f"{objective!r} is not among the metric definitions, which define {names}."
            f"{did_you_mean(objective, defined)} Add a definition for it, or name one of these.",
        )
    ]


def _autotune_problems(plan: Plan, part: Part) -> list[Problem]:
    if part.keep_static is None:
        return []
    where = "hyperparameters_to_keep_static"
    if not plan.autotune:
        return [Problem(where, "is for autotune=True only.")]
    known = part.estimator.hyperparameters()
    repeated = sorted({name for name in part.keep_static if list(part.keep_static).count(name) > 1})
    found = [Problem(where, f"{name!r} is listed more than once.") for name in repeated]
    return found + [
        Problem(where, f"{name!r} is not a hyperparameter of the estimator.{did_you_mean(name, known)}")
        for name in part.keep_static
        if name not in known
    ]


def _in_part(part: Part, problem: Problem) -> Problem:
    if part.name is None:
        return problem
    return Problem(f"{part.name}: {problem.path}", problem.message, problem.extended_allows)


# ---- the request ----


def tuning_request(plan: Plan, session: Session, inputs: Mapping[str | None, Inputs], name: str) -> Shape:
    """A CreateHyperParameterTuningJob request. Uploads what must be uploaded; check before calling."""
    definitions = [_definition(plan, part, session, inputs.get(part.name), name) for part in plan.parts]
    request: Shape = {"HyperParameterTuningJobName": name, "HyperParameterTuningJobConfig": _config(plan)}
    if plan.listed:
        request["TrainingJobDefinitions"] = definitions
    else:
        request["TrainingJobDefinition"] = definitions[0]
    if plan.warm_start_config is not None:
        request["WarmStartConfig"] = plan.warm_start_config.to_input_req()
    if plan.autotune:
        request["Autotune"] = {"Mode": "Enabled"}
    if tags := first_tags(plan.tags, *(part.estimator.tags for part in plan.parts)):
        request["Tags"] = tags
    return request


def _config(plan: Plan) -> Shape:
    limits: Shape = {"MaxParallelTrainingJobs": int(plan.max_parallel_jobs)}
    if plan.max_jobs is not None:
        limits["MaxNumberOfTrainingJobs"] = int(plan.max_jobs)
    if plan.max_runtime_in_seconds is not None:
        limits["MaxRuntimeInSeconds"] = int(plan.max_runtime_in_seconds)
    config: Shape = {
        "Strategy": str(plan.strategy),
        "ResourceLimits": limits,
        "TrainingJobEarlyStoppingType": plan.early_stopping_type,
    }
    if not plan.listed:
        part = plan.parts[0]
        config["ParameterRanges"] = _ranges(plan, part)
        if part.objective_metric_name:
            config["HyperParameterTuningJobObjective"] = _objective(plan, part)
    if plan.random_seed is not None:
        config["RandomSeed"] = int(plan.random_seed)
    if plan.strategy_config is not None and (shape := plan.strategy_config.to_input_req()):
        config["StrategyConfig"] = shape
    if plan.completion_criteria_config is not None and (shape := plan.completion_criteria_config.to_input_req()):
        config["TuningJobCompletionCriteria"] = shape
    return config


def _objective(plan: Plan, part: Part) -> Shape:
    return {"Type": str(plan.objective_type), "MetricName": part.objective_metric_name}


def _definition(plan: Plan, part: Part, session: Session, inputs: Inputs, name: str) -> Shape:
    place = name if part.name is None else f"{name}/{part.name}"
    shape = part.estimator.definition(session, inputs, place)
    if metrics := part.metrics():
        shape["AlgorithmSpecification"]["MetricDefinitions"] = metrics
    fixed = _static(plan, part, shape["StaticHyperParameters"])
    texts, extension = join_extension(fixed)
    mine = rules_of_part(space_of(part.ranges), plan.extensions, alone=not plan.listed)
    whole = {name: value for name, value in plan.extensions.items() if name not in PART_KEYS}
    shape["StaticHyperParameters"] = {**texts, **pack({**extension, **whole, **mine})}
    if part.instance_configs:
        configs = [config.to_input_req() for config in part.instance_configs]
        shape["HyperParameterTuningResourceConfig"] = {"InstanceConfigs": configs}
    else:
        shape["HyperParameterTuningResourceConfig"] = part.estimator.resources(session)
    if plan.listed:
        shape["DefinitionName"] = part.name
        shape["HyperParameterRanges"] = _ranges(plan, part)
        if part.objective_metric_name:
            shape["TuningObjective"] = _objective(plan, part)
    return shape


def _static(plan: Plan, part: Part, texts: Mapping[str, str]) -> dict[str, str]:
    """Static hyperparameters without those that are tuned."""
    auto = {each["Name"] for each in _auto_parameters(plan, part)}
    return {name: text for name, text in texts.items() if name not in part.ranges and name not in auto}


def _ranges(plan: Plan, part: Part) -> Shape:
    space: Space = space_of(part.ranges)
    shape = ranges_shape(space)
    if plan.autotune:
        shape["AutoParameters"] = _auto_parameters(plan, part)
    return shape


def _auto_parameters(plan: Plan, part: Part) -> list[Shape]:
    """With autotune, every hyperparameter of the estimator that has no range and is not kept static."""
    if not plan.autotune:
        return []
    kept = set(part.keep_static or ())
    texts = part.estimator.hyperparameter_texts()
    return [
        {"Name": name, "ValueHint": text}
        for name, text in texts.items()
        if name not in part.ranges and name not in kept
    ]


def add_class_names(request: Shape, parts: Sequence[Part], wanted: bool | Mapping[str, bool]) -> None:
    """The estimators' classes as static hyperparameters, in SageMaker's spelling (JSON-quoted)."""
    definitions = request.get("TrainingJobDefinitions") or [request["TrainingJobDefinition"]]
    for part, definition in zip(parts, definitions, strict=True):
        if wanted.get(part.name or "", False) if isinstance(wanted, Mapping) else wanted:
            kind = type(part.estimator)
            names = {"class_name": kind.__name__, "module": kind.__module__}
            texts = {f"sagemaker_estimator_{key}": f'"{name}"' for key, name in names.items()}
            definition["StaticHyperParameters"].update(texts)
