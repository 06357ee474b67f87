"""What progress is told of: a tuning job as a whole, training jobs that ended, and those that run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tunewright.core.trial import StopCause
from tunewright.sdk.extensions import join_extension, replicates_in
from tunewright.sdk.values import short, short_text

_NUMBER = re.compile(r"-(\d{3,})-[0-9a-f]{8}$")
_PHASES = {"MaxRuntimeExceeded": StopCause.MAX_RUNTIME, "MaxWaitTimeExceeded": StopCause.MAX_WAIT}


@dataclass(frozen=True, slots=True)
class Row:
    """A training job as progress sees it.

    Args:
        value: its final objective, or None.
        parameters: tuned values as the wire's strings.
        started, ended: seconds since the epoch, or None.
        ran: seconds that its program ran, pauses left out, or None when nobody knows more than when it began and ended.
        cause: why it was stopped before its program ended; None when it was not, and when nobody knows.
        runs: training jobs of its configuration that `value` is the mean of; `spread` is their standard deviation.
    """

    name: str
    status: str
    objective_status: str = "Pending"
    value: float | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    definition: str | None = None
    started: float | None = None
    ended: float | None = None
    ran: float | None = None
    cause: StopCause | None = None
    runs: int = 1
    spread: float | None = None

    @classmethod
    def of(
        cls,
        summary: Mapping[str, Any],
        value: float | None = None,
        *,
        reason: str = "",
        ran: float | None = None,
        cause: StopCause | None = None,
    ) -> Row:
        """From a HyperParameterTrainingJobSummary; `value` and `reason` are better than the wire's, or empty."""
        wire = summary.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value")
        return cls(
            name=summary["TrainingJobName"],
            status=summary["TrainingJobStatus"],
            objective_status=summary.get("ObjectiveStatus", "Pending"),
            value=wire if value is None else value,
            parameters=summary.get("TunedHyperParameters", {}),
            reason=reason or summary.get("FailureReason", ""),
            definition=summary.get("TrainingJobDefinitionName"),
            started=_seconds(summary.get("TrainingStartTime")),
            ended=_seconds(summary.get("TrainingEndTime")),
            ran=ran,
            cause=cause,
        )

    @property
    def finished(self) -> bool:
        return self.status in ("Completed", "Stopped", "Failed")

    @property
    def early(self) -> bool:
        """Whether early stopping or a rung of Hyperband ended it, short of its full resource."""
        return self.status == "Stopped" and self.cause is StopCause.EARLY

    @property
    def counts(self) -> bool:
        """Whether its value may be the best."""
        return self.objective_status == "Succeeded" and self.value is not None

    @property
    def seconds(self) -> float | None:
        """How long it ran; None while it has not ended."""
        if self.started is None or self.ended is None:
            return None
        return max(0.0, self.ended - self.started) if self.ran is None else self.ran

    def number(self) -> str:
        """The number in its name, else the name itself."""
        found = _NUMBER.search(self.name)
        return found.group(1) if found else self.name

    @property
    def order(self) -> tuple[int, str]:
        """What sorts training jobs by their creation; names alone do not beyond the number 999."""
        number = self.number()
        return int(number) if number.isdigit() else 0, self.name

    def worth(self) -> str:
        """Its objective for people: the value, with replicates their mean and spread."""
        return mean_text(self.value, self.spread, self.runs)

    def text(self) -> str:
        """Its tuned values as `name=value` for people."""
        return " ".join(f"{name}={short_text(text)}" for name, text in self.parameters.items())


@dataclass(frozen=True, slots=True)
class Running:
    """A live training job: its last objective and epoch, and when it began (seconds since the epoch)."""

    name: str
    value: float | None = None
    epoch: int = 0
    started: float | None = None
    status: str = "InProgress"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a description says about the job as a whole, and how it may be resumed.

    Args:
        objectives: the objective metric by definition; None is the only definition.
        patterns: the regular expression of each metric that is read from the log.
        total: training jobs that it may have in all; None where there is no such limit.
        judged: whether early stopping or Hyperband may end a training job before its time.
        replicates: training jobs of each configuration.
        strict: it was made in strict mode, so that it cannot be resumed.
        python: it is this process's, so that a tuner can resume it as well as the command line.
    """

    name: str
    objectives: Mapping[str | None, str]
    patterns: Mapping[str, str]
    maximize: bool
    total: int | None
    judged: bool
    replicates: int = 1
    strict: bool = False
    python: bool = False

    @classmethod
    def of(cls, job: Mapping[str, Any]) -> Facts:
        """From DescribeHyperParameterTuningJob."""
        config = job["HyperParameterTuningJobConfig"]
        definitions = job.get("TrainingJobDefinitions") or [job.get("TrainingJobDefinition", {})]
        objectives: dict[str | None, str] = {}
        patterns: dict[str, str] = {}
        kind = "Maximize"
        for definition in definitions:
            objective = definition.get("TuningObjective") or config.get("HyperParameterTuningJobObjective") or {}
            objectives[definition.get("DefinitionName")] = objective.get("MetricName", "the objective")
            kind = objective.get("Type", kind)
            for metric in definition.get("AlgorithmSpecification", {}).get("MetricDefinitions", []):
                patterns.setdefault(metric["Name"], metric["Regex"])
        judged = config.get("TrainingJobEarlyStoppingType") == "Auto" or config.get("Strategy") == "Hyperband"
        total = config.get("ResourceLimits", {}).get("MaxNumberOfTrainingJobs")
        name = job["HyperParameterTuningJobName"]
        replicates = replicates_in(join_extension(definitions[0].get("StaticHyperParameters", {}))[1])
        return cls(name, objectives, patterns, kind == "Maximize", total, judged, replicates)

    @property
    def more(self) -> int:
        """Training jobs to add where one likes to go on: ten, or as many more as make whole configurations."""
        return -(-10 // self.replicates) * self.replicates

    def better(self, one: float, other: float) -> bool:
        return one > other if self.maximize else one < other

    def objective(self, definition: str | None = None) -> str:
        """The objective metric of a definition, else the first one's."""
        return self.objectives.get(definition) or next(iter(self.objectives.values()))


def cause_told(training_job: Mapping[str, Any]) -> StopCause | None:
    """Why a training job was stopped, from its DescribeTrainingJob; None when its status transitions do not say.

    The words of a rule of early stopping are its numbers, so that words which are none of ours are taken for its.
    """
    changes = training_job.get("SecondaryStatusTransitions") or []
    if not changes:
        return None
    status, said = changes[-1]["Status"], changes[-1].get("StatusMessage", "")
    if status in _PHASES:
        return _PHASES[status]
    if "maximum resource" in said:
        return StopCause.MAX_RESOURCE
    return next((cause for cause in StopCause if cause.value == said), StopCause.EARLY)


def mean_text(value: float | None, spread: float | None, runs: int) -> str:
    """A value for people; a mean with its spread: `0.91 ± 0.02 (mean of 3)`."""
    if runs < 2:
        return short(value)
    around = "" if spread is None else f" ± {short(float(f'{spread:.2g}'))}"
    return f"{short(value)}{around} (mean of {runs})"


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()
