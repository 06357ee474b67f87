"""Every training job of a tuning job as CSV or JSON, page by page, so that size does not matter."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TextIO

from tunewright.aws.sagemaker.translate_trial import final_metrics, start_time
from tunewright.cli.views import iso, plain, typed
from tunewright.core.change import CurvePoint
from tunewright.core.job import Job
from tunewright.core.reads import MetricValue, Reads, TrialQuery, TrialView
from tunewright.core.replicates import Configuration, configuration_of, configurations
from tunewright.core.space import Value

PAGE = 500
CURVES_PAGE = 50
"""Training jobs whose curves are in memory at once."""
FIXED = (
    "TrainingJobName",
    "TrainingJobStatus",
    "ObjectiveStatus",
    "FinalObjectiveValue",
    "CreationTime",
    "TrainingStartTime",
    "TrainingEndTime",
    "TrainingElapsedTimeSeconds",
    "FailureReason",
    "S3ModelArtifacts",
)


REPLICATED = ("Configuration", "ConfigurationMean", "ConfigurationSpread")
"""Further columns of a job with replicates: the number of the configuration, its mean so far, and the spread."""


CURVE = ("TrainingJobName", "MetricName", "Epoch", "Value", "Timestamp")


def pages(reads: Reads, job: Job, size: int) -> Iterator[tuple[TrialView, ...]]:
    """Every training job in the order of creation, never more than a page in memory."""
    after: str | None = None
    while True:
        page = reads.trials(TrialQuery(job_uid=job.uid, sort="CreationTime", limit=size, after=after))
        yield page.items
        after = page.after
        if after is None:
            return


def rows(reads: Reads, job: Job) -> Iterator[tuple[TrialView, list[MetricValue]]]:
    """Every training job in the order of creation, with the last value of each of its metrics."""
    for views in pages(reads, job, PAGE):
        metrics = reads.final_metrics(views)
        yield from ((view, metrics.get(view.trial.number, [])) for view in views)


def record(view: TrialView) -> dict[str, Value | None]:
    """The columns of one training job that every tuning job has."""
    trial = view.trial
    started = start_time(trial)
    took = None if started is None or trial.ended is None else max(0.0, trial.ended - started)
    status = trial.status.shown
    values: tuple[Value | None, ...] = (
        trial.name,
        str(status),
        str(trial.objective_status),
        trial.value,
        iso(trial.created),
        None if started is None else iso(started),
        None if trial.ended is None else iso(trial.ended),
        took,
        trial.reason or (trial.objective_reason if trial.value is None else "") or None,
        trial.artifacts or None,
    )
    return dict(zip(FIXED, values, strict=True))


def _means(reads: Reads, job: Job) -> dict[int, Configuration]:
    """With replicates, what each configuration came to; nothing without."""
    objective = job.spec.definitions[0].objective
    if job.spec.replicates == 1 or objective is None:
        return {}
    trials = [view.trial for view in reads.all_trials(job.uid)]
    return {found.number: found for found in configurations(trials, job.spec.replicates, objective)}


def _replicated(view: TrialView, job: Job, means: Mapping[int, Configuration]) -> dict[str, Value | None]:
    """The columns of `REPLICATED`; none without replicates."""
    if job.spec.replicates == 1:
        return {}
    number = configuration_of(view.trial.number, job.spec.replicates)
    found = means.get(number)
    result = found.result if found is not None else None
    mean, spread = (None, None) if result is None else (result.value, result.spread)
    return dict(zip(REPLICATED, (number, mean, spread), strict=True))


def other_metrics(reads: Reads, job: Job) -> dict[str, str]:
    """Metrics that are not the objective of every training job, each with the name of its column.

    Those of the definitions in their order, then those that were only reported. A name that another column has
    already gets `metric:` before it.
    """
    definitions = job.spec.definitions
    declared = [metric.name for definition in definitions for metric in definition.training.metrics]
    objectives = {definition.objective.metric if definition.objective else None for definition in definitions}
    names = dict.fromkeys([*declared, *reads.metric_names(job.uid)])
    only = objectives if len(objectives) == 1 else set()
    taken = {*FIXED, *REPLICATED, *(name for definition in definitions for name in definition.space.parameters)}
    return {name: f"metric:{name}" if name in taken else name for name in names if name not in only}


def write_csv(reads: Reads, job: Job, out: TextIO) -> int:
    """One line a training job: its hyperparameters, the fixed columns, its other metrics. How many were written."""
    names = list(dict.fromkeys(name for d in job.spec.definitions for name in d.space.parameters))
    writer = csv.writer(out, lineterminator="\n")
    means, others = _means(reads, job), other_metrics(reads, job)
    writer.writerow([*names, *FIXED, *(REPLICATED if job.spec.replicates > 1 else ()), *others.values()])
    count = 0
    for view, metrics in rows(reads, job):
        values = typed(view.trial)
        cells: list[Value | None] = [values.get(name) for name in names]
        more = _replicated(view, job, means).values()
        last = {each.metric: each.value for each in metrics if math.isfinite(each.value)}
        told = [last.get(name) for name in others]
        writer.writerow([_cell(value) for value in [*cells, *record(view).values(), *more, *told]])
        count += 1
    return count


def _cell(value: Value | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def write_json(reads: Reads, job: Job, out: TextIO) -> int:
    """A JSON array with one object a line. How many were written."""
    means = _means(reads, job)
    return _array(
        (
            {
                **record(view),
                **_replicated(view, job, means),
                "HyperParameters": typed(view.trial),
                "FinalMetricDataList": plain(final_metrics(view, metrics)),
            }
            for view, metrics in rows(reads, job)
        ),
        out,
    )


def _array(shapes: Iterable[Mapping[str, object]], out: TextIO) -> int:
    count = 0
    out.write("[")
    for shape in shapes:
        out.write(",\n" if count else "\n")
        out.write(json.dumps(shape, allow_nan=False, ensure_ascii=False))
        count += 1
    out.write("\n]\n" if count else "]\n")
    return count


# ---- curves ----


def _points(reads: Reads, job: Job) -> Iterator[tuple[TrialView, CurvePoint]]:
    """Every value of every metric: training jobs in the order of creation, values in that of emission."""
    for views in pages(reads, job, CURVES_PAGE):
        found = reads.points(views)
        for view in views:
            yield from ((view, one) for one in found.get(view.trial.number, []))


def curves_csv(reads: Reads, job: Job, out: TextIO) -> int:
    """One line a value. How many were written."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CURVE)
    count = 0
    for view, one in _points(reads, job):
        writer.writerow(_cell(value) for value in (view.trial.name, one.metric, one.epoch, one.value, iso(one.at)))
        count += 1
    return count


def curves_json(reads: Reads, job: Job, out: TextIO) -> int:
    """A JSON array with one object a value and line. How many were written."""
    found = (
        (view.trial.name, one.metric, one.epoch, plain(one.value), iso(one.at)) for view, one in _points(reads, job)
    )
    return _array((dict(zip(CURVE, values, strict=True)) for values in found), out)
