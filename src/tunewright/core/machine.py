"""The state machine of a job. All that moves a job's state lives here, and nothing else does.

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

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tunewright.core import completion, keeping, pausing
from tunewright.core.change import Change, CurvePoint, Draft
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
from tunewright.core.history import Appeared, Emitted, Restarted, Weighed
from tunewright.core.job import SPARE_SECONDS, Ending, Job, JobStatus
from tunewright.core.outcome import finish, with_any_best
from tunewright.core.replicates import configuration_of
from tunewright.core.space import Point
from tunewright.core.trial import (
    Failure,
    Observation,
    Phase,
    StopCause,
    Transition,
    Trial,
    TrialStatus,
    trial_name,
)

_MESSAGES = {
    Phase.STARTING: "Preparing the training job",
    Phase.DOWNLOADING: "Downloading input data",
    Phase.TRAINING: "Training in progress.",
    Phase.UPLOADING: "Uploading generated training model",
    Phase.COMPLETED: "Training job completed",
    Phase.RESTARTING: "Restarting the training job",
    Phase.STOPPING: "Stopping the training job",
}

MAX_INTERRUPTIONS = 30
"""As often as AMT retries at most: a program that brings its machine down, again and again, must fail some day."""

_STOPPED_AS: dict[StopCause | None, Phase] = {
    StopCause.MAX_RUNTIME: Phase.MAX_RUNTIME,
    StopCause.MAX_WAIT: Phase.MAX_WAIT,
}


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
    started = (Transition(Phase.STARTING, draft.at, _MESSAGES[Phase.STARTING]),)
    draft.put(Trial(number, name, point, draft.at, definition, transitions=started))
    draft.job = replace(draft.job, next_number=number + 1)
    draft.facts.append(Appeared(number, definition, point))


def _proposed(draft: Draft, event: Proposed) -> None:
    for proposal in sorted(event.proposals, key=lambda proposal: proposal.number):
        if proposal.number == draft.job.next_number and draft.job.room():
            name = trial_name(draft.job.name, draft.job.uid, proposal.number)
            _add_trial(draft, name, proposal.point, proposal.definition)
    if draft.job.ending or draft.job.status.terminal:
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


# ---- events that move a trial ----


def _launched(draft: Draft, event: Launched) -> None:
    trial = draft.current(event.number, event.attempt)
    if trial is None or trial.handle == event.handle:
        return
    status = TrialStatus.RUNNING if trial.status is TrialStatus.PENDING else trial.status
    started = draft.at if trial.started is None else trial.started
    trial = replace(trial, status=status, handle=event.handle, choice=event.choice)
    draft.put(replace(trial, started=started, since=draft.at))


def _progressed(draft: Draft, event: Progressed) -> None:
    trial = draft.current(event.number, event.attempt)
    if trial is not None and trial.status is not TrialStatus.STOPPING and event.phase not in _entered(trial):
        draft.put(_enter(trial, event.phase, draft.at))


def _entered(trial: Trial) -> list[Phase]:
    """The phases of the current attempt; a controller that takes over may tell them all again."""
    phases = [transition.phase for transition in trial.transitions]
    return phases[len(phases) - 1 - phases[::-1].index(Phase.STARTING) :] if Phase.STARTING in phases else phases


def _enter(trial: Trial, phase: Phase, at: float, message: str | None = None) -> Trial:
    text = _MESSAGES.get(phase, str(phase)) if message is None else message
    return replace(trial, transitions=(*trial.transitions, Transition(phase, at, text)))


def _reported(draft: Draft, event: Reported) -> None:
    trial = draft.current(event.number, event.attempt)
    if trial is None or event.since != trial.cursor:
        return
    trial = replace(trial, cursor=event.cursor, note=event.note)
    # A verdict rests on the numbers it saw: what the program prints after it changes nothing.
    frozen = trial.cause in (StopCause.EARLY, StopCause.MAX_RESOURCE)
    objective = draft.job.spec.definitions[trial.definition].objective
    for seen in () if frozen else event.observations:
        if objective is not None and seen.metric == objective.metric:
            trial = _emitted(draft, trial, seen)
        else:
            draft.points.append(_point(trial, seen, seen.step))
    draft.put(trial)


def _point(trial: Trial, seen: Observation, epoch: int | None, *, objective: bool = False) -> CurvePoint:
    return CurvePoint(trial.number, trial.origin, seen.metric, epoch, seen.value, seen.at, objective)


def _emitted(draft: Draft, trial: Trial, seen: Observation) -> Trial:
    """The trial after it emitted its objective; the epoch is the step it named, else the next index."""
    epoch = trial.epoch + 1 if seen.step is None else seen.step
    draft.points.append(_point(trial, seen, epoch, objective=True))
    draft.facts.append(Emitted(trial.number, epoch, seen.value))
    alone = draft.job.spec.replicates == 1
    if (
        draft.job.ending is None
        and alone
        and math.isfinite(seen.value)
        and completion.reached_target(draft.job, seen.value)
    ):
        draft.end(completion.target_ending(draft.job, trial, seen.value, draft.at))
    return replace(trial, epoch=max(trial.epoch, epoch), last=seen.value)


def _judged(draft: Draft, event: Judged) -> None:
    trial = draft.current(event.number, event.attempt)
    if trial is None or trial.status is not TrialStatus.RUNNING or event.upto <= trial.judged:
        return
    trial = replace(trial, judged=event.upto, verdict=event.verdict)
    if draft.job.spec.promotes:
        draft.facts.append(Weighed(trial.number, event.upto))
        draft.heard()
    draft.put(_stopping(trial, event.verdict.cause, draft.at, event.verdict.why) if event.verdict.stop else trial)


def _trial_stop_asked(draft: Draft, event: TrialStopAsked) -> None:
    if (waiting := draft.job.paused.get(event.number)) is not None:
        _lay_down(draft, waiting, StopCause.USER)
        return
    trial = draft.job.live.get(event.number)
    if trial is not None and (trial.status is not TrialStatus.STOPPING or trial.cause is StopCause.PAUSED):
        draft.put(_stopping(trial, StopCause.USER, draft.at))
        if not draft.job.spec.tuning:
            draft.end(Ending(JobStatus.STOPPED, "stopped by the user", draft.at))


def _stopping(trial: Trial, cause: StopCause, at: float, why: str = "") -> Trial:
    trial = replace(trial, status=TrialStatus.STOPPING, cause=cause, reason=why or cause.value)
    return _enter(trial, Phase.STOPPING, at, why or cause.value)


def _exited(draft: Draft, event: Exited) -> None:
    trial = draft.current(event.number, event.attempt)
    if trial is None:
        return
    draft.heard()
    if draft.job.spec.promotes and draft.job.ending is None and pausing.pauses(trial, event):
        draft.put(pausing.paused(trial, event, draft.at))
        draft.facts.append(Weighed(trial.number, trial.judged, paused=True))
    elif _retried(draft.job, trial, event):
        _restart(draft, trial, event)
    else:
        finish(draft, _ended(trial, event, draft.at))


def _restart(draft: Draft, trial: Trial, event: Exited) -> None:
    """The next attempt after one that was lost. Its curve is void, unless it went on from a pause already."""
    spot = draft.job.spec.definitions[trial.definition].training.spot
    interrupted = event.failure is Failure.INTERRUPTED
    phase = Phase.INTERRUPTED if spot and interrupted else Phase.RESTARTING
    again = _enter(_enter(trial, phase, draft.at, event.reason), Phase.STARTING, draft.at)
    again = replace(again, ran=trial.runtime(event.at), interruptions=trial.interruptions + interrupted)
    if trial.carried:
        draft.put(replace(pausing.again(again), carried=trial.carried + 1))
        return
    draft.put(replace(pausing.again(again), epoch=0, last=None, judged=0, verdict=None))
    draft.facts.append(Restarted(trial.number))


def _retried(job: Job, trial: Trial, event: Exited) -> bool:
    if job.ending or trial.status is TrialStatus.STOPPING or event.killed:
        return False
    if event.failure is Failure.INTERRUPTED:
        return trial.interruptions < MAX_INTERRUPTIONS
    retries = job.spec.definitions[trial.definition].training.retries
    return event.failure is Failure.INTERNAL and trial.attempt - trial.interruptions - trial.resumptions <= retries


def _ended(trial: Trial, event: Exited, at: float) -> Trial:
    """The trial for good. A program that ended before its kill could be given keeps its own end."""
    started = trial.started if trial.started is not None else event.started
    if trial.since is None:
        trial = replace(trial, since=event.started)
    trial = replace(trial, ended=at, started=started, ran=trial.runtime(at), since=None)
    trial = replace(trial, exit_code=event.exit_code, model=event.model)
    if event.killed:
        cause = StopCause.EARLY if trial.cause is StopCause.PAUSED else trial.cause
        trial = replace(trial, status=TrialStatus.STOPPED, cause=cause)
        return _enter(trial, _STOPPED_AS.get(trial.cause, Phase.STOPPED), at, trial.reason)
    if event.failure is None:
        trial = replace(trial, status=TrialStatus.COMPLETED, cause=None, reason="")
        return _enter(trial, Phase.COMPLETED, at)
    reason = f"{event.failure}: {event.reason}"[:1024]
    trial = replace(trial, status=TrialStatus.FAILED, cause=None, failure=event.failure, reason=reason)
    return _enter(trial, Phase.FAILED, at, reason)


def _discarded(draft: Draft, event: Discarded) -> None:
    trial = draft.job.dropped.get(event.number)
    if trial is None:
        return
    left = {number: other for number, other in draft.job.dropped.items() if number != event.number}
    draft.job = replace(draft.job, dropped=left)
    if event.done:
        draft.trials[trial.number] = replace(trial, discarded=True)


# ---- what needs no event of its own ----


def _settle(draft: Draft) -> None:
    """Endings that the state brings, overdue trials, and what an ending does to live trials."""
    if draft.job.status.terminal:
        return
    for trial in _by_number(draft.job.paused):
        if completion.overdue(draft.job, trial, draft.at):
            _lay_down(draft, trial, StopCause.MAX_WAIT)
    if draft.job.ending is None:
        ending = completion.state_ending(draft.job, draft.at)
        if ending is not None:
            draft.end(ending)
    for trial in _by_number(draft.job.paused) if draft.job.ending is not None else ():
        _lay_down(draft, trial, StopCause.EARLY)
    for trial in list(draft.job.live.values()):
        if trial.status is not TrialStatus.STOPPING and (cause := _cause_to_stop(draft, trial)):
            draft.put(_stopping(trial, cause, draft.at))
    if (decided := draft.job.ending) is not None and not draft.job.live:
        draft.job = keeping.at_the_end(with_any_best(draft.job))
        if not draft.job.dropped:
            _close(draft, decided)


def _by_number(trials: Mapping[int, Trial]) -> list[Trial]:
    """In an order that does not depend on how the job came by them: it shows in what results bring."""
    return [trials[number] for number in sorted(trials)]


def _lay_down(draft: Draft, trial: Trial, cause: StopCause) -> None:
    """End a paused trial, at once: nothing of it runs."""
    draft.heard()
    finish(draft, pausing.laid_down(trial, cause, draft.at))


def _cause_to_stop(draft: Draft, trial: Trial) -> StopCause | None:
    ending = draft.job.ending
    if ending is not None:
        spared = trial.number == ending.spared and draft.at < ending.at + SPARE_SECONDS
        if not spared:
            return StopCause.ENDING if ending.status is not JobStatus.STOPPED else StopCause.USER
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
    Launched: _launched,
    Progressed: _progressed,
    Reported: _reported,
    Judged: _judged,
    Exited: _exited,
    Discarded: _discarded,
    StopAsked: _stop_asked,
    TrialStopAsked: _trial_stop_asked,
    Resumed: _resumed,
    Ticked: _ticked,
}
