"""The state machine of a job. All that moves a job's state lives here, what moves one trial of it in `attempts`.

Rules. `step(job, event)` folds one fact into a job; `todo(job)` lists what the outside still owes it. Both
are pure. `step` is total: a stale or repeated event changes nothing. `todo` is read off the state, never
remembered, so asking twice is asking once and a crash loses nothing but work in flight.

Theory. A job is InProgress until an *ending* is decided (a criterion met, five attempts without success, a
user's stop). From then on nothing is proposed and live trials are stopped; when the last one is gone the
job takes the ending's status. A trial is Pending (decided, perhaps started just before a crash), InProgress,
Stopping (a kill is owed), perhaps Paused (its program was stopped at a rung, its checkpoint may be gone on from),
and then Completed, Stopped or Failed for good. What an event does to rows and to
the history leaves `step` beside the job, so that the cost of an event does not grow with finished trials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tunewright.core import attempts, completion, keeping, pausing
from tunewright.core.change import Change, Draft
from tunewright.core.effects import Discard, Effect, Judge, Kill, Launch, Promote, Propose
from tunewright.core.events import (
    Created,
    Discarded,
    Event,
    Exited,
    Judged,
    Launched,
    Progressed,
    Promoted,
    Proposed,
    Reported,
    Resumed,
    StopAsked,
    Ticked,
    TrialStopAsked,
)
from tunewright.core.history import Appeared, Weighed
from tunewright.core.job import SPARE_SECONDS, Ending, Job, JobStatus
from tunewright.core.outcome import with_any_best
from tunewright.core.replicates import configuration_of
from tunewright.core.space import Point
from tunewright.core.trial import (
    Phase,
    StopCause,
    Trial,
    TrialStatus,
    trial_name,
)


def step(job: Job | None, event: Event) -> Change:
    """The change that `event` makes. `job` is None for Created alone.

    Raises:
        ValueError: an event other than Created for a job that does not exist.
    """
    if isinstance(event, Created):
        return _created(event) if job is None else Change(job)
    if job is None:
        raise ValueError(f"{type(event).__name__} before Created")
    draft = Draft(job, max(event.at, job.updated))
    _HANDLERS[type(event)](draft, event)
    _settle(draft)
    return draft.change(job)


def todo(job: Job) -> list[Effect]:
    """What is owed: kills first, then launches and verdicts in launch order, files to remove, then what is to run.

    A free place is for a paused trial that may go on, and for a new one only when there is none.
    """
    if job.status.terminal:
        return []
    kills: list[Effect] = []
    others: list[Effect] = []
    for trial in job.live.values():
        if trial.status is TrialStatus.STOPPING:
            kills.append(Kill(trial.number, trial.attempt))
        elif trial.status is TrialStatus.PENDING:
            others.append(Launch(trial.number, trial.attempt))
        elif job.spec.judged and trial.epoch > trial.judged:
            others.append(Judge(trial.number, trial.attempt, trial.epoch))
    others += [Discard(number) for number in job.dropped]
    return kills + others + _to_run(job)


def _to_run(job: Job) -> list[Effect]:
    if job.unsearched and (places := job.places()):
        return [Promote(places, job.news)]
    room = job.room()
    return [Propose(job.next_number, room)] if room else []


# ---- events that move a job ----


def _created(event: Created) -> Change:
    draft = Draft(Job(event.uid, event.spec, event.at, event.at, event.at), event.at)
    if not event.spec.tuning:
        _add_trial(draft, event.spec.name, {}, 0)
    return draft.change(None)


def _add_trial(draft: Draft, name: str, point: Point, definition: int) -> None:
    number = draft.job.next_number
    draft.put(Trial(number, name, point, draft.at, definition).entered(Phase.STARTING, draft.at))
    draft.job = replace(draft.job, next_number=number + 1)
    draft.facts.append(Appeared(number, definition, point))


def _proposed(draft: Draft, event: Proposed) -> None:
    for proposal in sorted(event.proposals, key=lambda proposal: proposal.number):
        if proposal.number == draft.job.next_number and draft.job.room():
            name = trial_name(draft.job.name, draft.job.uid, proposal.number)
            _add_trial(draft, name, proposal.point, proposal.definition)
    if draft.job.ending:
        return
    if event.exhausted and not draft.job.exhausted:
        draft.job = replace(draft.job, exhausted=True)
    if event.converged and draft.job.converged_at is None:
        draft.job = replace(draft.job, converged_at=draft.at)
        if draft.job.spec.completion.on_convergence:
            why = "converged: further training jobs are unlikely to improve the best by 1 %"
            draft.end(Ending(JobStatus.COMPLETED, why, draft.at))


def _promoted(draft: Draft, event: Promoted) -> None:
    if event.news != draft.job.news or not draft.job.places():
        return
    fit = {each.number: each.verdict for each in event.promotions if each.number in draft.job.paused}
    for number, verdict in list(fit.items())[: draft.job.places()]:
        trial = pausing.resumed(draft.job.paused[number], verdict, draft.at)
        draft.put(trial)
        draft.facts.append(Weighed(number, trial.judged))
    if fit:
        draft.heard()
    elif draft.job.unsearched:
        draft.job = replace(draft.job, searched=event.news)


def _stop_asked(draft: Draft, event: StopAsked) -> None:
    if draft.job.status.terminal:
        return
    # A user's wish overrules an ending that is still under way.
    ending = Ending(JobStatus.STOPPED, "stopped by the user", draft.at)
    if draft.job.ending is None or draft.job.ending.status is not JobStatus.STOPPED:
        draft.job = replace(draft.job, ending=ending, status=JobStatus.STOPPING)


def _resumed(draft: Draft, event: Resumed) -> None:
    job = draft.job
    if job.spec.strict or job.status not in (JobStatus.STOPPED, JobStatus.COMPLETED):
        return
    limit = job.spec.limits.max_runtime
    used_up = limit is not None and job.ran >= limit + job.granted
    # A best that stood in for a configuration which goes on now has won nothing yet.
    part = job.best is not None and configuration_of(job.best.number, job.spec.replicates) in job.groups
    draft.job = replace(
        job,
        granted=job.ran if used_up else job.granted,
        status=JobStatus.IN_PROGRESS,
        ending=None,
        ended=None,
        reason="",
        since=draft.at,
        added=job.added + max(0, event.add_jobs),
        exhausted=False,
        not_improving=0,
        converged_at=None,
        best=None if part else job.best,
    )


def _ticked(draft: Draft, event: Ticked) -> None:
    """Nothing of its own: settling looks at the time."""


# ---- what needs no event of its own ----


def _settle(draft: Draft) -> None:
    """Endings that the state brings, overdue trials, and what an ending does to live trials."""
    if draft.job.status.terminal:
        return
    for trial in _by_number(draft.job.paused):
        if completion.overdue(draft.job, trial, draft.at):
            attempts.lay_down(draft, trial, StopCause.MAX_WAIT)
    if draft.job.ending is None:
        ending = completion.state_ending(draft.job, draft.at)
        if ending is not None:
            draft.end(ending)
    for trial in _by_number(draft.job.paused) if draft.job.ending is not None else ():
        attempts.lay_down(draft, trial, StopCause.EARLY)
    for trial in list(draft.job.live.values()):
        if trial.status is not TrialStatus.STOPPING and (cause := _cause_to_stop(draft, trial)):
            draft.put(attempts.stopping(trial, cause, draft.at))
    if (decided := draft.job.ending) is not None and not draft.job.live:
        draft.job = keeping.at_the_end(with_any_best(draft.job))
        if not draft.job.dropped:
            _close(draft, decided)


def _by_number(trials: Mapping[int, Trial]) -> list[Trial]:
    """In an order that does not depend on how the job came by them: it shows in what results bring."""
    return [trials[number] for number in sorted(trials)]


def _cause_to_stop(draft: Draft, trial: Trial) -> StopCause | None:
    ending = draft.job.ending
    if ending is not None:
        spared = trial.number == ending.spared and draft.at < ending.at + SPARE_SECONDS
        if not spared:
            return attempts.cause_of(ending)
    return completion.overdue(draft.job, trial, draft.at)


def _close(draft: Draft, ending: Ending) -> None:
    job = draft.job
    status, reason = completion.final_status(job, ending)
    if not job.spec.tuning:
        reason = ending.why if status is JobStatus.FAILED else ""
    ran = job.runtime(draft.at)
    draft.job = replace(job, status=status, reason=reason[:1024], ended=draft.at, ran=ran)


_HANDLERS: dict[type[Any], Callable[[Draft, Any], None]] = {
    Proposed: _proposed,
    Promoted: _promoted,
    Launched: attempts.launched,
    Progressed: attempts.progressed,
    Reported: attempts.reported,
    Judged: attempts.judged,
    Exited: attempts.exited,
    Discarded: attempts.discarded,
    StopAsked: _stop_asked,
    TrialStopAsked: attempts.trial_stop_asked,
    Resumed: _resumed,
    Ticked: _ticked,
}
