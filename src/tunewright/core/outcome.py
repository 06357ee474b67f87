"""What the end of a trial brings: counters, the best, and the criteria that a result meets."""

from __future__ import annotations

import math
from dataclasses import replace

from tunewright.core import completion, keeping
from tunewright.core.change import Draft
from tunewright.core.history import Ended
from tunewright.core.job import Best, Ending, Group, Job, JobStatus
from tunewright.core.replicates import configuration_of, needed
from tunewright.core.trial import StopCause, Trial, TrialStatus

NEVER = "never appeared in the log"
"""Said of an objective that no line and no report had, whatever else they had."""
DIVERGED = "diverged"
"""What the reason begins with when the last value of the objective is NaN or infinite."""


def finish(draft: Draft, trial: Trial) -> None:
    """Counters, best and criteria after a trial ended."""
    value = trial.value
    if draft.job.spec.tuning:
        trial = replace(trial, objective_reason=_missing(draft.job, trial) if value is None else trial.note)
    draft.retire(trial)
    job = draft.job
    end = end_of(trial)
    draft.facts.append(end)
    if not job.spec.tuning:
        _end_training(draft, trial)
    elif value is None:
        counts = end.failed and trial.cause not in (StopCause.ENDING, StopCause.USER)
        hint = f"{trial.name}: {trial.reason or trial.objective_reason}"
        tells = counts or (end.diverged and not job.hint)
        draft.job = replace(job, attempts=job.attempts + counts, hint=hint if tells else job.hint)
    elif job.spec.replicates == 1:
        _succeeded(draft, Best(trial.number, trial.name, value))
    if not job.spec.tuning:
        return
    if job.spec.replicates > 1:
        _replicated(draft, trial)
    draft.job = keeping.with_ended(draft.job, trial)


def end_of(trial: Trial) -> Ended:
    """What strategies are told of the end of a trial."""
    value, stopped = trial.value, trial.status is TrialStatus.STOPPED
    failed = trial.status is TrialStatus.FAILED or (value is None and not trial.diverged)
    return Ended(trial.number, value, failed, trial.diverged, stopped, trial.cut)


def _replicated(draft: Draft, trial: Trial) -> None:
    """One more of a configuration's training jobs ended; the last one makes the configuration's result."""
    job, count = draft.job, draft.job.spec.replicates
    number = configuration_of(trial.number, count)
    group = job.groups.get(number, Group()).add(trial)
    others = {place: other for place, other in job.groups.items() if place != number}
    if group.ended < count:
        draft.job = replace(job, groups={**others, number: group})
        return
    draft.job = replace(job, groups=others)
    mine = completion.result_of(job, group, needed(count))
    if mine is not None:
        _succeeded(draft, mine)


def _succeeded(draft: Draft, mine: Best) -> None:
    job = draft.job
    count = 0 if completion.improves(job, mine.value) else job.not_improving + mine.runs
    draft.job = replace(job, best=completion.better_best(job, mine), not_improving=count)
    ending = completion.mean_ending(draft.job, mine, draft.at) or completion.result_ending(draft.job, draft.at)
    if ending is not None:
        draft.end(ending)


def _end_training(draft: Draft, trial: Trial) -> None:
    """A plain training job ends with its one trial."""
    outcome = {TrialStatus.FAILED: JobStatus.FAILED, TrialStatus.STOPPED: JobStatus.STOPPED}
    status = outcome.get(trial.status, JobStatus.COMPLETED)
    draft.job = replace(draft.job, ending=Ending(status, trial.reason, draft.at))


def _missing(job: Job, trial: Trial) -> str:
    """Why an ended trial has no objective that counts."""
    objective = job.spec.definitions[trial.definition].objective
    name = objective.metric if objective else ""
    if trial.last is not None and not math.isfinite(trial.last):
        return not_used(name, trial.last)
    if trial.status is TrialStatus.FAILED:
        return "the training job failed"
    return trial.note or f"{name!r} {NEVER}"


def with_any_best(job: Job) -> Job:
    """Where no configuration was run to its end, what there is of them is better than nothing."""
    if job.best is None:
        for group in job.groups.values():
            if (mine := completion.result_of(job, group, 1)) is not None:
                job = replace(job, best=completion.better_best(job, mine))
    return job


def not_used(metric: str, last: float) -> str:
    """What to say of a last value that is NaN or infinite."""
    return f"{DIVERGED}: the last value of {metric!r} is {last!r}, which is not used"
