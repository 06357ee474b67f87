"""Trials that wait at a rung: how one is paused, goes on from its checkpoint, or is laid down for good.

A pause is a stop whose end is not the trial's: its program is gone and its place is free, its curve stays. To go on
is to be attempted again, as after an interruption, except that the curve goes on too.
"""

from __future__ import annotations

from dataclasses import replace

from tunewright.core.events import Exited
from tunewright.core.trial import (
    Cursor,
    Failure,
    Phase,
    StopCause,
    Trial,
    TrialStatus,
    Verdict,
)


def pauses(trial: Trial, event: Exited) -> bool:
    """Whether this end of its program is what the trial was stopped for."""
    stopping = trial.status is TrialStatus.STOPPING and trial.cause is StopCause.PAUSED
    return stopping and (event.killed or event.failure is Failure.INTERRUPTED)


def paused(trial: Trial, event: Exited, at: float) -> Trial:
    """The trial when its program is gone: nothing runs, and the time does not count."""
    trial = replace(trial, status=TrialStatus.PAUSED, ran=trial.runtime(event.at), since=None, cause=None, reason="")
    trial = replace(trial, exit_code=event.exit_code, model=event.model or trial.model)
    return trial.entered(Phase.INTERRUPTED, at, f"Paused: {_why(trial)}")


def resumed(trial: Trial, verdict: Verdict, at: float) -> Trial:
    """The paused trial as it is to be started again: its next attempt, on the same curve."""
    trial = replace(again(trial), resumptions=trial.resumptions + 1, carried=trial.carried + 1)
    trial = replace(trial, judged=max(trial.judged, trial.epoch), verdict=verdict)
    return trial.entered(Phase.STARTING, at, f"Resuming the training job: {verdict.why}")


def again(trial: Trial) -> Trial:
    """The trial's next attempt, of which nothing was started or read."""
    trial = replace(trial, status=TrialStatus.PENDING, attempt=trial.attempt + 1, handle=None, since=None, choice=0)
    return replace(trial, cursor=Cursor(), note="")


def laid_down(trial: Trial, cause: StopCause, at: float) -> Trial:
    """The paused trial at its end; with the verdict that paused it as the reason where that is the cause."""
    reason = _why(trial) if cause is StopCause.EARLY else cause.value
    trial = replace(trial, status=TrialStatus.STOPPED, cause=cause, reason=reason, ended=at)
    phase = Phase.MAX_WAIT if cause is StopCause.MAX_WAIT else Phase.STOPPED
    return trial.entered(phase, at, reason)


def _why(trial: Trial) -> str:
    return trial.verdict.why if trial.verdict is not None and trial.verdict.why else StopCause.PAUSED.value
