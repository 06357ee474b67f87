"""The one table of limits: what AMT allows, and what extended mode makes of it.

Tests keep the strict values equal to botocore's model where the model knows them, and `docs/limits.md` equal to the
table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunewright.core.errors import Invalid


@dataclass(frozen=True, slots=True)
class Limit:
    """An upper limit.

    Args:
        what: in words.
        strict: AMT's value.
        extended: the value in extended mode; None is none at all.
        shapes: the model's shapes that carry it; none for limits that only the service knows.
        quota: whether exceeding it is ResourceLimitExceeded rather than a ValidationException.
    """

    what: str
    strict: int
    extended: int | None
    shapes: tuple[str, ...] = ()
    quota: bool = False

    def of(self, strict: bool) -> int | None:
        """The limit in this mode; None is none at all."""
        return self.strict if strict else self.extended

    def exceeded(self, count: float, strict: bool) -> bool:
        """Whether a count is over the limit of this mode."""
        limit = self.of(strict)
        return limit is not None and count > limit


LIMITS: dict[str, Limit] = {
    "job_name": Limit("characters of a tuning job's name", 32, 63, ("HyperParameterTuningJobName",)),
    "training_job_name": Limit("characters of a training job's name", 63, 63),
    "definition_name": Limit("characters of DefinitionName", 64, 64, ("HyperParameterTrainingJobDefinitionName",)),
    "definitions": Limit("training job definitions", 10, 10, ("HyperParameterTrainingJobDefinitions",)),
    "parents": Limit("warm-start parents", 5, 5, ("ParentHyperParameterTuningJobs",)),
    "ranges": Limit(
        "parameter ranges of a definition, all kinds together",
        30,
        None,
        ("IntegerParameterRanges", "ContinuousParameterRanges", "CategoricalParameterRanges"),
    ),
    "auto_parameters": Limit("AutoParameters", 100, None, ("AutoParameters",)),
    "values": Limit("values of a categorical parameter", 30, None, ("ParameterValues",)),
    "parameter_name": Limit("characters of a parameter's name", 256, 256, ("ParameterKey", "HyperParameterKey")),
    "value_length": Limit("characters of a bound or a category", 256, None, ("ParameterValue",)),
    "static_length": Limit("characters of a static hyperparameter", 2500, None, ("HyperParameterValue",)),
    "hyperparameters": Limit(
        "hyperparameters of a training job: static, tuned and the injected `_tuning_objective_metric`",
        100,
        None,
        ("HyperParameters",),
    ),
    "metrics": Limit("metric definitions", 40, None, ("MetricDefinitionList",)),
    "metric_name": Limit("characters of a metric's name", 255, 255, ("MetricName",)),
    "regex": Limit("characters of a metric's regular expression", 500, 2000, ("MetricRegex",)),
    "channels": Limit("input channels", 20, None, ("InputDataConfig",)),
    "environment": Limit(
        "environment variables, summed over all definitions", 48, None, ("HyperParameterTrainingJobEnvironmentMap",)
    ),
    "training_environment": Limit(
        "environment variables of a plain training job", 100, None, ("TrainingEnvironmentMap",)
    ),
    "environment_value": Limit(
        "characters of an environment variable",
        512,
        None,
        ("HyperParameterTrainingJobEnvironmentValue", "TrainingEnvironmentValue"),
    ),
    "tags": Limit("tags of a job", 50, 50, ("TagList",)),
    "max_resource": Limit("Hyperband's MaxResource", 20_000, 20_000),
    "tuning_runtime": Limit(
        "seconds of a tuning job's MaxRuntimeInSeconds",
        15_768_000,
        None,
        ("HyperParameterTuningMaxRuntimeInSeconds",),
    ),
    "training_runtime": Limit("seconds of a training job's MaxRuntimeInSeconds (28 days)", 2_419_200, None),
    "warm_start_changes": Limit("changes of hyperparameters between a job and its parent", 10, 10),
    "parallel": Limit("training jobs of a tuning job at the same time", 10, None, quota=True),
    "jobs": Limit("training jobs of a tuning job, parents' included", 750, None, quota=True),
    "running": Limit("tuning jobs at the same time", 100, None, quota=True),
}

QUOTAS = tuple(name for name, limit in LIMITS.items() if limit.quota)


def quotas_of(setting: str) -> Mapping[str, int]:
    """The quotas that a setting such as `parallel=100,jobs=10000` changes, in both modes.

    Raises:
        Invalid: the setting is not of that form.
    """
    changed: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in setting.split(","))):
        name, _, number = (word.strip() for word in part.partition("="))
        if name not in QUOTAS or not (number.isascii() and number.isdigit() and 0 < len(number) <= 9 and int(number)):
            known = ", ".join(QUOTAS)
            raise Invalid.one("quotas", f"{part!r} is not of the form parallel=100,jobs=10000; quotas are {known}.")
        changed[name] = int(number)
    return changed


DEFAULT_MAX_JOBS = LIMITS["jobs"].strict
"""Training jobs of a job that names no MaxNumberOfTrainingJobs."""

EXTENDED_PATTERNS = {
    "S3Uri": r"(?:(?:https|s3)://[^/\n]+/?|file:///)[^\n]*",
    "HyperParameterTuningJobName": r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
    "ParameterValue": r"[\s\S]*",
    "HyperParameterValue": r"[\s\S]*",
}
"""What the model's patterns become in extended mode, by shape."""

_BY_SHAPE = {shape: limit for limit in LIMITS.values() for shape in limit.shapes}


def extended_maximum(shape: str, strict: int) -> int | None:
    """The largest length or value that extended mode allows for a shape whose model says `strict`."""
    limit = _BY_SHAPE.get(shape)
    return strict if limit is None else limit.extended
