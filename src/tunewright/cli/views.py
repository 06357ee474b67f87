"""Read models as AMT's structures for `--json`: AMT's member names, float64 values, ISO 8601 times, strict JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from tunewright.aws.sagemaker.names import Arns
from tunewright.aws.sagemaker.translate_job import job_summary
from tunewright.aws.sagemaker.translate_trial import final_metrics, tuning_summary
from tunewright.cli.engine import Engine, best_of
from tunewright.core.reads import JobView, MetricValue, TrialView
from tunewright.core.replicates import Best
from tunewright.core.space import Value, decode_value
from tunewright.core.trial import Trial

Shape: TypeAlias = dict[str, Any]


def iso(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain(value: Any, name: str = "") -> Any:
    """A wire structure for people's JSON: no empty members, times as text, numbers that strict JSON has."""
    if isinstance(value, Mapping):
        return {key: plain(item, key) for key, item in value.items() if item is not None and key != "ResponseMetadata"}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return iso(value.timestamp())
    if isinstance(value, float) and (name.endswith("Time") or name == "Timestamp"):
        return iso(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def dumped(value: Any, *, indent: int | None = 2) -> str:
    """Strict JSON text."""
    return json.dumps(plain(value), indent=indent, allow_nan=False, ensure_ascii=False)


def emit(value: Any) -> None:
    """Print one strict JSON document."""
    print(dumped(value))


def typed(trial: Trial) -> dict[str, Value]:
    """The tuned hyperparameters with their types: categories as the values they were listed as."""
    return {name: decode_value(v) if isinstance(v, str) else v for name, v in trial.point.items()}


def training_job(view: TrialView, arns: Arns, metrics: Sequence[MetricValue] | None = None) -> Shape:
    """HyperParameterTrainingJobSummary, with the job that it belongs to and, where they are given, its last metrics."""
    shape = {"TuningJobName": view.job_name, **tuning_summary(view, arns)}
    return shape if metrics is None else {**shape, "FinalMetricDataList": final_metrics(view, metrics)}


def tuning_job(view: JobView, arns: Arns, *, in_charge: bool) -> Shape:
    """HyperParameterTuningJobSummary, and beside it what AMT has no member for."""
    job = view.job
    best = (
        None if job.best is None else {"TrainingJobName": job.best.name, "Value": job.best.value, **spread_of(job.best)}
    )
    own = {"InCharge": in_charge, "EndReason": job.ending.why if job.ending else None, "Best": best}
    return {**job_summary(job, arns), "Tunewright": {key: value for key, value in own.items() if value is not None}}


def spread_of(best: Best) -> Shape:
    """With replicates, how many training jobs a value is the mean of, and their standard deviation."""
    return {} if best.runs < 2 else {"Runs": best.runs, "Spread": best.spread}


def described(engine: Engine, name: str) -> Shape:
    """DescribeHyperParameterTuningJob, with exact values, and beside it what AMT has no member for."""
    arns = Arns.of(engine.settings)
    view = engine.reads.job(name)
    shape = engine.call("DescribeHyperParameterTuningJob", HyperParameterTuningJobName=name)
    if (best := best_of(engine, view.job)) is not None:
        shape["BestTrainingJob"] = training_job(best, arns)
    extra = tuning_job(view, arns, in_charge=engine.in_charge(view))["Tunewright"]
    if parents := engine.inherited(view.job):
        extra["WarmStart"] = [parent.shape() for parent in parents]
    return {**shape, "Tunewright": {**extra, "RandomSeed": view.job.spec.seed, "Strict": view.job.spec.strict}}
