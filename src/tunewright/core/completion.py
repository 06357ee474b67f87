"""When a job is done, and when time alone will change something.

Criteria that a result meets (target, no improvement) are looked at when the result arrives; those that a
state meets (budget, exhaustion, run time, five attempts) whenever the job settles.
"""

from __future__ import annotations

from tunewright.core.job import SPARE_SECONDS, Best, Ending, Group, Job, JobStatus
from tunewright.core.spec import Objective
from tunewright.core.trial import StopCause, Trial, TrialStatus

MAX_ATTEMPTS = 5
IMPROVEMENT = 0.01
EXHAUSTED = "search space exhausted"
"""What the reason begins with when every configuration has run."""
FIVE_ATTEMPTS = (
    "No training job succeeded after 5 attempts. For additional details, please take a look at the training "
    "job failures by listing training jobs for the hyperparameter tuning job."
)


def improves(job: Job, value: float) -> bool:
    """Whether `value` is better than the best by at least 1 % of |best| (the first value always is)."""
    if job.best is None:
        return True
    gain = job.spec.sign * (job.best.value - value)
    return gain > 0 and gain >= IMPROVEMENT * max(abs(job.best.value), 1e-12)


def better_best(job: Job, mine: Best) -> Best:
    """The best after this configuration ended."""
    best = job.best
    if best is None or _objective(job).better(mine.value, best.value):
        return mine
    return mine if mine.value == best.value and mine.number < best.number else best


def result_of(job: Job, group: Group, least: int) -> Best | None:
    """What a configuration's training jobs come to, with at least so many objectives."""
    return group.result(_objective(job), least)


def reached_target(job: Job, value: float) -> bool:
    """Whether a finite value is as good as the target, where there is one."""
    target = job.spec.completion.target
    return target is not None and _objective(job).reaches(value, target)


def target_ending(job: Job, trial: Trial, value: float, at: float) -> Ending:
    """The ending that a trial brings by reaching the target; it may finish by itself."""
    why = f"target reached: {trial.name} has {value!r}, the target is {job.spec.completion.target!r}"
    return Ending(JobStatus.COMPLETED, why, at, spared=trial.number)


def mean_ending(job: Job, mine: Best, at: float) -> Ending | None:
    """The ending that a configuration brings whose mean over several training jobs reaches the target, if any."""
    if mine.runs < 2 or not reached_target(job, mine.value):
        return None
    target = job.spec.completion.target
    why = f"target reached: the mean of {mine.runs} training jobs is {mine.value!r}, the target is {target!r}"
    return Ending(JobStatus.COMPLETED, why, at)


def result_ending(job: Job, at: float) -> Ending | None:
    """The ending that the latest finished trial brings by failing to improve, if any."""
    limit = job.spec.completion.not_improving
    if limit is None or job.not_improving < limit or job.best is None:
        return None
    why = f"no improvement by 1 % over {job.best.value!r} in {job.not_improving} training jobs (limit {limit})"
    return Ending(JobStatus.COMPLETED, why, at)


def state_ending(job: Job, now: float) -> Ending | None:
    """The ending that the job's own state brings, if any."""
    brought = job.counters.succeeded or job.paused
    if job.spec.tuning and not brought and job.attempts >= MAX_ATTEMPTS:
        return Ending(JobStatus.FAILED, FIVE_ATTEMPTS, now)
    limit = job.spec.limits.max_runtime
    if limit is not None and job.runtime(now) >= limit + job.granted:
        return Ending(JobStatus.COMPLETED, f"run time is up: {limit:g} s (MaxRuntimeInSeconds)", now)
    if job.live or job.unsearched:
        return None
    left = f", {len(job.paused)} of them up to a pause" if job.paused else ""
    if job.budget is not None and job.launched >= job.budget:
        return Ending(JobStatus.COMPLETED, f"all {job.budget} training jobs have run{left}", now)
    if job.exhausted:
        return Ending(JobStatus.COMPLETED, f"{EXHAUSTED} ({job.launched}{left})", now)
    return None


def final_status(job: Job, ending: Ending) -> tuple[JobStatus, str]:
    """Status and FailureReason once the last live trial is gone: no success at all is a failure.

    A job that failed says why also when one of those that were running then brought a value.
    """
    failed = ending.status is JobStatus.FAILED
    if not job.spec.tuning or ending.status is JobStatus.STOPPED or (job.counters.succeeded and not failed):
        return ending.status, ""
    first = ending.why if failed else f"No training job succeeded ({ending.why})."
    return JobStatus.FAILED, f"{first} Last failure: {job.hint}" if job.hint else first


def overdue(job: Job, trial: Trial, now: float) -> StopCause | None:
    """The limit of time that the trial has used up, over all its attempts, if any.

    MaxRuntimeInSeconds counts while a program runs; MaxWaitTimeInSeconds counts from the creation on, the wait for
    slots and between attempts included.
    """
    training = job.spec.definitions[trial.definition].training
    if training.max_runtime is not None and trial.since is not None and trial.runtime(now) >= training.max_runtime:
        return StopCause.MAX_RUNTIME
    if training.max_wait is not None and now - trial.created >= training.max_wait:
        return StopCause.MAX_WAIT
    return None


def deadline(job: Job) -> float | None:
    """The next moment at which Ticked would change the job, or None."""
    if job.status.terminal:
        return None
    times = []
    if job.spec.limits.max_runtime is not None and job.ending is None:
        times.append(job.since + job.spec.limits.max_runtime + job.granted - job.ran)
    spared = None if job.ending is None or job.ending.spared is None else job.live.get(job.ending.spared)
    if job.ending is not None and spared is not None and spared.status is not TrialStatus.STOPPING:
        times.append(job.ending.at + SPARE_SECONDS)
    for trial in (*job.live.values(), *job.paused.values()):
        training = job.spec.definitions[trial.definition].training
        if training.max_runtime is not None and trial.since is not None and trial.status is TrialStatus.RUNNING:
            times.append(trial.since + training.max_runtime - trial.ran)
        if training.max_wait is not None and trial.status is not TrialStatus.STOPPING:
            times.append(trial.created + training.max_wait)
    return min(times, default=None)


def _objective(job: Job) -> Objective:
    """The objective, whose direction all definitions of a tuning job share."""
    objective = job.spec.definitions[0].objective
    assert objective is not None, "only tuning jobs compare results"
    return objective
