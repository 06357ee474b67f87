"""What events do to one trial: its program starts, goes through phases, reports, is judged, ends, is tried again.

Each of these moves the `Draft` of a change; `machine` says which event calls which.
"""

from __future__ import annotations

import math
from dataclasses import replace

from tunewright.core import completion, pausing
from tunewright.core.change import CurvePoint, Draft
from tunewright.core.events import Discarded, Exited, Judged, Launched, Progressed, Reported, TrialStopAsked
from tunewright.core.history import Emitted, Restarted, Weighed
from tunewright.core.job import Ending, Job, JobStatus
from tunewright.core.outcome import finish
from tunewright.core.trial import Failure, Observation, Phase, StopCause, Trial, TrialStatus

MAX_INTERRUPTIONS = 30
"""As often as AMT retries at most: a program that brings its machine down, again and again, must fail some day."""

_STOPPED_AS: dict[StopCause | None, Phase] = {
    StopCause.MAX_RUNTIME: Phase.MAX_RUNTIME,
    StopCause.MAX_WAIT: Phase.MAX_WAIT,
}


def launched(draft: Draft, event: Launched) -> None:
    trial = draft.current(event.number, event.attempt)
    if trial is None or trial.handle == event.handle:
        return
    status = TrialStatus.RUNNING if trial.status is TrialStatus.PENDING else trial.status
    started = draft.at if trial.started is None else trial.started
    trial = replace(trial, status=status, handle=event.handle, choice=event.choice)
    draft.put(replace(trial, started=started, since=draft.at))


def progressed(draft: Draft, event: Progressed) -> None:
    trial = draft.current(event.number, event.attempt)
    if trial is not None and trial.status is not TrialStatus.STOPPING and event.phase not in _entered(trial):
        trial = _begun(trial, event.at)
        draft.put(trial.entered(event.phase, _moment(trial, event, draft.at)))


def _begun(trial: Trial, at: float) -> Trial:
    """The trial as begun by `at`: its start is heard of late where a controller ended between a start and its commit.

    It is not begun before it was to start.
    """
    if trial.since is None or at >= trial.since:
        return trial
    since = min(trial.since, max(at, *(each.at for each in trial.transitions[-1:]), 0.0))
    return replace(trial, started=since if trial.started == trial.since else trial.started, since=since)


def _entered(trial: Trial) -> list[Phase]:
    """The phases of the current attempt; a controller that takes over may tell them all again."""
    phases = [transition.phase for transition in trial.transitions]
    return phases[len(phases) - 1 - phases[::-1].index(Phase.STARTING) :] if Phase.STARTING in phases else phases


def reported(draft: Draft, event: Reported) -> None:
    trial = draft.current(event.number, event.attempt)
    if trial is None or event.since != trial.cursor:
        return
    trial = replace(trial, cursor=event.cursor, note=event.note)
    # A verdict rests on the numbers it saw: what the program prints after it changes nothing.
    frozen = trial.cause in (StopCause.EARLY, StopCause.MAX_RESOURCE)
    objective = draft.job.spec.definitions[trial.definition].objective
    epoch, last = trial.epoch, trial.last
    # A log may hold objectives by the hundred thousand: the trial is made anew once for all of them.
    for seen in () if frozen else event.observations:
        if objective is not None and seen.metric == objective.metric:
            epoch, last = max(epoch, _emitted(draft, trial, seen, epoch)), seen.value
        else:
            draft.points.append(_point(trial, seen, seen.step, objective=False))
    draft.put(replace(trial, epoch=epoch, last=last))


def _point(trial: Trial, seen: Observation, epoch: int | None, *, objective: bool) -> CurvePoint:
    return CurvePoint(trial.number, trial.origin, seen.metric, epoch, seen.value, seen.at, objective)


def _emitted(draft: Draft, trial: Trial, seen: Observation, before: int) -> int:
    """Take in a value of the objective; its epoch is the step it named, else the one after the largest `before` it."""
    epoch = before + 1 if seen.step is None else seen.step
    draft.points.append(_point(trial, seen, epoch, objective=True))
    draft.facts.append(Emitted(trial.number, epoch, seen.value))
    reached = completion.reached_target(draft.job, seen.value) and math.isfinite(seen.value)
    if reached and draft.job.spec.replicates == 1:
        draft.end(completion.target_ending(draft.job, trial, seen.value, draft.at))
    return epoch


def judged(draft: Draft, event: Judged) -> None:
    trial = draft.current(event.number, event.attempt)
    if trial is None or trial.status is not TrialStatus.RUNNING or event.upto <= trial.judged:
        return
    trial = replace(trial, judged=event.upto, verdict=event.verdict)
    if draft.job.spec.promotes:
        draft.facts.append(Weighed(trial.number, event.upto))
        draft.heard()
    draft.put(stopping(trial, event.verdict.cause, draft.at, event.verdict.why) if event.verdict.stop else trial)


def trial_stop_asked(draft: Draft, event: TrialStopAsked) -> None:
    if (waiting := draft.job.paused.get(event.number)) is not None:
        lay_down(draft, waiting, StopCause.USER)
        return
    trial = draft.job.live.get(event.number)
    if trial is not None and (trial.status is not TrialStatus.STOPPING or trial.cause is StopCause.PAUSED):
        draft.put(stopping(trial, StopCause.USER, draft.at))
        if not draft.job.spec.tuning:
            draft.end(Ending(JobStatus.STOPPED, "stopped by the user", draft.at))


def stopping(trial: Trial, cause: StopCause, at: float, why: str = "") -> Trial:
    trial = replace(trial, status=TrialStatus.STOPPING, cause=cause, reason=why or cause.value)
    return trial.entered(Phase.STOPPING, at, why or cause.value)


def exited(draft: Draft, event: Exited) -> None:
    trial = draft.current(event.number, event.attempt)
    if trial is None:
        return
    draft.heard()
    if draft.job.spec.promotes and draft.job.ending is None and pausing.pauses(trial, event):
        draft.put(pausing.paused(trial, event, draft.at))
        draft.facts.append(Weighed(trial.number, trial.judged, paused=True))
    elif _retried(draft.job, trial, event):
        _restart(draft, trial, event)
    elif event.failure is Failure.INTERRUPTED and (trial.status is TrialStatus.STOPPING or draft.job.ending):
        # It was to end in any case, and what it has shown counts.
        trial = replace(trial, cause=trial.cause or cause_of(draft.job.ending))
        finish(draft, _ended(trial, replace(event, killed=True, failure=None), _moment(trial, event, draft.at)))
    else:
        trial = trial if event.started is None else _begun(trial, event.started)
        finish(draft, _ended(trial, event, _moment(trial, event, draft.at)))


def _moment(trial: Trial, event: Progressed | Exited, at: float) -> float:
    """When a program went on or ended: before that was heard of, perhaps, and not before anything else that it did."""
    return min(at, max(event.at, trial.since or 0.0, *(each.at for each in trial.transitions[-1:])))


def cause_of(ending: Ending | None) -> StopCause:
    """Why a trial is stopped when its job ends."""
    by_user = ending is not None and ending.status is JobStatus.STOPPED
    return StopCause.USER if by_user else StopCause.ENDING


def _restart(draft: Draft, trial: Trial, event: Exited) -> None:
    """The next attempt after one that was lost. Its curve is void, unless it went on from a pause already."""
    spot = draft.job.spec.definitions[trial.definition].training.spot
    interrupted = event.failure is Failure.INTERRUPTED
    phase = Phase.INTERRUPTED if spot and interrupted else Phase.RESTARTING
    again = trial.entered(phase, draft.at, event.reason).entered(Phase.STARTING, draft.at)
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
        return trial.entered(_STOPPED_AS.get(trial.cause, Phase.STOPPED), at, trial.reason)
    if event.failure is None:
        trial = replace(trial, status=TrialStatus.COMPLETED, cause=None, reason="")
        return trial.entered(Phase.COMPLETED, at)
    reason = f"{event.failure}: {event.reason}"[:1024]
    trial = replace(trial, status=TrialStatus.FAILED, cause=None, failure=event.failure, reason=reason)
    return trial.entered(Phase.FAILED, at, reason)


def discarded(draft: Draft, event: Discarded) -> None:
    trial = draft.job.dropped.get(event.number)
    if trial is None:
        return
    left = {number: other for number, other in draft.job.dropped.items() if number != event.number}
    draft.job = replace(draft.job, dropped=left)
    if event.done:
        draft.trials[trial.number] = replace(trial, discarded=True)


def lay_down(draft: Draft, trial: Trial, cause: StopCause) -> None:
    """End a paused trial, at once: nothing of it runs."""
    draft.heard()
    finish(draft, pausing.laid_down(trial, cause, draft.at))
