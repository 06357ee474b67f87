"""The small configuration values of a tuner, with the names and arguments that SageMaker's Python SDK v2 has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tunewright.core.spec import IDENTICAL, TRANSFER
from tunewright.sdk.shapes import Shape


class WarmStartTypes(StrEnum):
    """How a new tuning job uses its parents' results."""

    IDENTICAL_DATA_AND_ALGORITHM = IDENTICAL
    TRANSFER_LEARNING = TRANSFER


class WarmStartConfig:
    """Earlier tuning jobs whose results a new one begins with.

    Args:
        warm_start_type: one of `WarmStartTypes`, or its text.
        parents: the names of one to five finished tuning jobs.
    """

    def __init__(self, warm_start_type: WarmStartTypes | str, parents: Iterable[str]) -> None:
        try:
            self.type = WarmStartTypes(warm_start_type)
        except ValueError:
            known = ", ".join(WarmStartTypes)
            raise ValueError(f"warm_start_type: {warm_start_type!r} is not one of {known}.") from None
        listed = [parents] if isinstance(parents, str) else sorted(set(parents))
        if not listed:
            raise ValueError("parents: name at least one finished tuning job.")
        self.parents = set(listed)

    def __repr__(self) -> str:
        return f"WarmStartConfig({self.type.value!r}, parents={sorted(self.parents)!r})"

    def to_input_req(self) -> Shape:
        """AMT's WarmStartConfig."""
        parents = [{"HyperParameterTuningJobName": parent} for parent in sorted(self.parents)]
        return {"WarmStartType": self.type.value, "ParentHyperParameterTuningJobs": parents}

    @classmethod
    def from_job_desc(cls, warm_start_config: Mapping[str, Any] | None) -> WarmStartConfig | None:
        """The value in a job's description, or None."""
        if not warm_start_config:
            return None
        parents = [
            parent["HyperParameterTuningJobName"] for parent in warm_start_config["ParentHyperParameterTuningJobs"]
        ]
        return cls(warm_start_config["WarmStartType"], parents)


@dataclass(slots=True)
class HyperbandStrategyConfig:
    """Resources are epochs (emissions of the objective): none is stopped before the least, all end at the most."""

    max_resource: int | None = None
    min_resource: int | None = None

    def to_input_req(self) -> Shape:
        """AMT's HyperbandStrategyConfig."""
        given = {"MinResource": self.min_resource, "MaxResource": self.max_resource}
        return {key: int(value) for key, value in given.items() if value is not None}

    @classmethod
    def from_job_desc(cls, hyperband_strategy_config: Mapping[str, Any] | None) -> HyperbandStrategyConfig | None:
        """The value in a job's description, or None."""
        if hyperband_strategy_config is None:
            return None
        return cls(hyperband_strategy_config.get("MaxResource"), hyperband_strategy_config.get("MinResource"))


@dataclass(slots=True)
class StrategyConfig:
    """What a strategy can be told; only Hyperband takes anything."""

    hyperband_strategy_config: HyperbandStrategyConfig | None = None

    def to_input_req(self) -> Shape:
        """AMT's StrategyConfig."""
        if self.hyperband_strategy_config is None:
            return {}
        return {"HyperbandStrategyConfig": self.hyperband_strategy_config.to_input_req()}

    @classmethod
    def from_job_desc(cls, strategy_config: Mapping[str, Any] | None) -> StrategyConfig | None:
        """The value in a job's description, or None."""
        if not strategy_config:
            return None
        return cls(HyperbandStrategyConfig.from_job_desc(strategy_config.get("HyperbandStrategyConfig")))


@dataclass(slots=True)
class TuningJobCompletionCriteriaConfig:
    """When to end before the limits are used up; whichever is met first.

    Args:
        max_number_of_training_jobs_not_improving: finished jobs in a row that fail to improve the best by 1 %.
        complete_on_convergence: end when the search has converged.
        target_objective_metric_value: end when a job reaches this value.
    """

    max_number_of_training_jobs_not_improving: int | None = None
    complete_on_convergence: bool | None = None
    target_objective_metric_value: float | None = None

    def to_input_req(self) -> Shape:
        """AMT's TuningJobCompletionCriteria."""
        shape: Shape = {}
        if self.max_number_of_training_jobs_not_improving is not None:
            limit = int(self.max_number_of_training_jobs_not_improving)
            shape["BestObjectiveNotImproving"] = {"MaxNumberOfTrainingJobsNotImproving": limit}
        if self.target_objective_metric_value is not None:
            shape["TargetObjectiveMetricValue"] = float(self.target_objective_metric_value)
        if self.complete_on_convergence is not None:
            word = "Enabled" if self.complete_on_convergence else "Disabled"
            shape["ConvergenceDetected"] = {"CompleteOnConvergence": word}
        return shape

    @classmethod
    def from_job_desc(
        cls, completion_criteria_config: Mapping[str, Any] | None
    ) -> TuningJobCompletionCriteriaConfig | None:
        """The value in a job's description, or None."""
        if not completion_criteria_config:
            return None
        stagnation = completion_criteria_config.get("BestObjectiveNotImproving", {})
        convergence = completion_criteria_config.get("ConvergenceDetected", {}).get("CompleteOnConvergence")
        return cls(
            stagnation.get("MaxNumberOfTrainingJobsNotImproving"),
            None if convergence is None else convergence == "Enabled",
            completion_criteria_config.get("TargetObjectiveMetricValue"),
        )


@dataclass(slots=True)
class InstanceConfig:
    """One choice of instances among which the service may pick."""

    instance_count: int | None = None
    instance_type: str | None = None
    volume_size: int | None = 30

    def to_input_req(self) -> Shape:
        """One of AMT's InstanceConfigs."""
        given = {
            "InstanceCount": self.instance_count,
            "InstanceType": self.instance_type,
            "VolumeSizeInGB": self.volume_size,
        }
        return {key: value for key, value in given.items() if value is not None}

    @classmethod
    def from_job_desc(cls, instance_config: Mapping[str, Any]) -> InstanceConfig:
        """The value in a job's description."""
        return cls(
            instance_config.get("InstanceCount"),
            instance_config.get("InstanceType"),
            instance_config.get("VolumeSizeInGB"),
        )
