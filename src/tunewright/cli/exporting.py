"""Every training job of a tuning job as CSV or JSON, page by page, so that size does not matter."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from typing import TextIO

from tunewright.cli.views import iso
from tunewright.core.job import Job
from tunewright.core.reads import Reads, TrialQuery, TrialView
from tunewright.core.replicates import Configuration, configuration_of, configurations
from tunewright.core.space import Value, decode_value

PAGE = 500
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


def rows(reads: Reads, job: Job) -> Iterator[TrialView]:
    """Every training job in the order of creation, never more than a page in memory."""
    after: str | None = None
    while True:
        page = reads.trials(TrialQuery(job_uid=job.uid, sort="CreationTime", limit=PAGE, after=after))
        yield from page.items
        after = page.after
        if after is None:
            return


def record(view: TrialView) -> dict[str, Value | None]:
    """The columns of one training job that every tuning job has."""
    trial = view.trial
    took = None if trial.started is None or trial.ended is None else max(0.0, trial.ended - trial.started)
    status = trial.status.shown
    values: tuple[Value | None, ...] = (
        trial.name,
        str(status),
        str(trial.objective_status),
        trial.value,
        iso(trial.created),
        None if trial.started is None else iso(trial.started),
        None if trial.ended is None else iso(trial.ended),
        took,
        trial.reason or trial.objective_reason or None,
        trial.artifacts or None,
    )
    return dict(zip(FIXED, values, strict=True))


def parameters(view: TrialView) -> dict[str, Value]:
    """The tuned hyperparameters with their types."""
    return {name: decode_value(v) if isinstance(v, str) else v for name, v in view.trial.point.items()}


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


def write_csv(reads: Reads, job: Job, out: TextIO) -> int:
    """One line a training job: its hyperparameters, then the fixed columns. How many were written."""
    names = list(dict.fromkeys(name for d in job.spec.definitions for name in d.space.parameters))
    writer = csv.writer(out, lineterminator="\n")
    means = _means(reads, job)
    writer.writerow([*names, *FIXED, *(REPLICATED if job.spec.replicates > 1 else ())])
    count = 0
    for view in rows(reads, job):
        values = parameters(view)
        cells: list[Value | None] = [values.get(name) for name in names]
        more = _replicated(view, job, means).values()
        writer.writerow([_cell(value) for value in [*cells, *record(view).values(), *more]])
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
    count, means = 0, _means(reads, job)
    out.write("[")
    for view in rows(reads, job):
        shape = {**record(view), **_replicated(view, job, means), "HyperParameters": parameters(view)}
        out.write(",\n" if count else "\n")
        out.write(json.dumps(shape, allow_nan=False, ensure_ascii=False))
        count += 1
    out.write("\n]\n" if count else "]\n")
    return count
