"""Which training jobs' models are kept: with `keep_best` those of the best few, and never without the best one's.

A job holds the kept ones (no more than it may keep, and those of configurations that are not complete yet) and the
dropped ones whose files are still to be removed. What is dropped is dropped by the same commit that records its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tunewright.core.job import Job
from tunewright.core.trial import Trial


def with_ended(job: Job, trial: Trial) -> Job:
    """The job after this trial ended and counters and best were settled."""
    if job.spec.keep_best is None:
        return job
    return _sorted(job, {**job.kept, trial.number: trial}, _waiting(job))


def at_the_end(job: Job) -> Job:
    """The job when nothing runs any more: what waited for its configuration to be complete waits no longer."""
    return job if job.spec.keep_best is None else _sorted(job, job.kept, frozenset())


def _waiting(job: Job) -> frozenset[int]:
    """Trials of configurations that are not complete: one of them may yet be known as the best."""
    return frozenset(each.number for group in job.groups.values() for each in group.values)


def _sorted(job: Job, held: Mapping[int, Trial], waiting: frozenset[int]) -> Job:
    staying = _staying(job, held) | waiting
    kept = {number: trial for number, trial in held.items() if number in staying}
    gone = {n: trial for n, trial in held.items() if n not in staying and has_files(job, trial)}
    if kept == job.kept and not gone:
        return job
    return replace(job, kept=kept, dropped={**job.dropped, **gone})


def _staying(job: Job, held: Mapping[int, Trial]) -> frozenset[int]:
    ranked = sorted((job.spec.sign * trial.value, number) for number, trial in held.items() if trial.value is not None)
    best = {number for _, number in ranked[: job.spec.keep_best]}
    return frozenset(best | ({job.best.number} if job.best is not None else set()))


def has_files(job: Job, trial: Trial) -> bool:
    """Whether there is anything to remove: a model, or checkpoints."""
    return bool(trial.model) or job.spec.definitions[trial.definition].training.checkpoint_uri is not None
