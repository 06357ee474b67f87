"""Draw docs/states.md from the state machine itself: every event is tried in every status.

    python docs/draw_states.py            write the page
    python docs/draw_states.py --check    exit 1 when the page is stale
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tunewright.core.events import (
    Created,
    Event,
    Exited,
    Judged,
    Launched,
    Progressed,
    Promoted,
    Promotion,
    Proposal,
    Proposed,
    Reported,
    Resumed,
    StopAsked,
    Ticked,
    TrialStopAsked,
)
from tunewright.core.job import Ending, Job, JobStatus
from tunewright.core.machine import step
from tunewright.core.space import ContinuousParameter, Space
from tunewright.core.spec import Completion, Definition, Direction, JobSpec, Limits, Objective, Strategy, Training
from tunewright.core.trial import Cursor, Failure, Observation, Phase, StopCause, TrialStatus, Verdict

PAGE = Path(__file__).with_name("states.md")
NOW = 1000.0

INTRO = """# States

This page is drawn from `tunewright/core/machine.py` by `python docs/draw_states.py`; a test fails when it is stale.
A cell says which status the event leads to; a dot says that it changes nothing, which is how stale and repeated
events end. `InProgress`, `Stopping` and the rest are AMT's own words; `Pending` is ours and means decided and
committed, but not known to have started. `Paused` is ours too: the program was stopped at a rung of Hyperband's, and may
be gone on with from its checkpoint. The wire shows both as `InProgress`.
"""


def spec() -> JobSpec:
    objective = Objective("loss", Direction.MINIMIZE)
    training = Training(retries=1, max_runtime=100.0)
    definition = Definition(Space({"x": ContinuousParameter(0.0, 1.0)}), objective, training)
    limits = Limits(max_parallel=3, max_jobs=3, max_runtime=1000.0)
    completion, options = Completion(target=0.1), {"hyperband_mode": '"promotion"'}
    return JobSpec("job", (definition,), Strategy.HYPERBAND, limits, completion, options=options)


def fresh() -> Job:
    """A job whose training job 1 is to be seen and whose training job 2 keeps it going."""
    created = step(None, Created(NOW, "uid", spec())).job
    return step(created, Proposed(NOW, (Proposal(1, {"x": 0.1}), Proposal(2, {"x": 0.2})))).job


# ---- training jobs ----

PAUSING = "Stopping, to be paused"
PAUSE = Verdict(stop=True, cause=StopCause.PAUSED)
LIVE = (TrialStatus.PENDING, TrialStatus.RUNNING, TrialStatus.STOPPING, PAUSING, TrialStatus.PAUSED)

TRIAL_EVENTS: dict[str, Event] = {
    "its program was started": Launched(NOW, 1, 1, "handle"),
    "it entered a phase": Progressed(NOW, 1, 1, Phase.TRAINING),
    "it reported a value": Reported(NOW, 1, 1, Cursor(), Cursor(9), (Observation("loss", 0.5, NOW),)),
    "verdict: go on": Judged(NOW, 1, 1, 1, Verdict(stop=False)),
    "verdict: stop": Judged(NOW, 1, 1, 1, Verdict(stop=True)),
    "verdict: pause": Judged(NOW, 1, 1, 1, PAUSE),
    "it is to go on": Promoted(NOW, 0, (Promotion(1, Verdict(stop=False)),)),
    "a user stopped it": TrialStopAsked(NOW, 1),
    "a user stopped the tuning job": StopAsked(NOW),
    "its run time is up": Ticked(NOW + 100),
    "its program ended with 0": Exited(NOW, 1, 1, 0),
    "its program failed": Exited(NOW, 1, 1, 1, Failure.ALGORITHM),
    "its program was ended by a kill": Exited(NOW, 1, 1, -15, killed=True),
    "it was lost, retries are left": Exited(NOW, 1, 1, None, Failure.INTERNAL),
    "it was lost, none are left": Exited(NOW, 1, 2, None, Failure.INTERNAL),
    "its function died with the controller": Exited(NOW, 1, 1, None, Failure.INTERRUPTED),
}


def trial_after(status: str, event: Event) -> str:
    job = fresh()
    attempt = getattr(event, "attempt", 1)
    started = None if status == TrialStatus.PENDING else NOW
    real = TrialStatus.STOPPING if status == PAUSING else TrialStatus(status)
    trial = replace(job.live[1], status=real, attempt=attempt, started=started)
    trial = replace(trial, since=None if real is TrialStatus.PAUSED else started)
    trial = replace(trial, cause=StopCause.PAUSED if status == PAUSING else None, epoch=1 if started else 0)
    others = {2: job.live[2]}
    before = replace(job, live=others, paused={1: trial})
    if real is not TrialStatus.PAUSED:
        before = replace(job, live={1: trial, **others})
    rows = {row.number: row for row in step(before, event).trials}
    after = rows.get(1, trial)
    if after == trial:
        return "·"
    return str(after.status) + (", next attempt" if after.attempt > attempt else "")


# ---- tuning jobs ----


def in_status(status: JobStatus, *, last: bool) -> Job:
    """A job in a status. `last`: one live training job is left and nothing more may be started."""
    job = fresh()
    good = replace(job.counters, completed=1, succeeded=1)
    word = TrialStatus.STOPPING if status is JobStatus.STOPPING else TrialStatus.RUNNING
    running = {n: replace(t, status=word, started=NOW, last=0.5) for n, t in job.live.items()}
    job = replace(job, live=running, counters=good)
    if last:
        job = replace(job, live={1: running[1]}, exhausted=True)
    if status is JobStatus.STOPPING:
        return replace(job, status=status, ending=Ending(JobStatus.STOPPED, "stopped by the user", NOW))
    if status.terminal:
        return replace(job, status=status, ending=Ending(status, "why", NOW), live={}, ended=NOW)
    return job


ANY, LAST = False, True
JOB_EVENTS: dict[str, tuple[bool, Callable[[Job], Event]]] = {
    "a strategy proposed": (ANY, lambda job: Proposed(NOW, (Proposal(job.next_number, {"x": 0.3}),))),
    "a training job ended, others run": (ANY, lambda job: Exited(NOW, 1, 1, 0)),
    "the last training job ended": (LAST, lambda job: Exited(NOW, 1, 1, 0)),
    "a training job reached the target": (ANY, lambda job: Reported(NOW, 1, 1, Cursor(), Cursor(9), (TARGET,))),
    "the run time is up": (ANY, lambda job: Ticked(NOW + 1000)),
    "a user stopped it": (ANY, lambda job: StopAsked(NOW)),
    "a user resumed it (extended)": (ANY, lambda job: Resumed(NOW, 5)),
}
TARGET = Observation("loss", 0.05, NOW)


def job_after(status: JobStatus, last: bool, make: Callable[[Job], Event]) -> str:
    before = in_status(status, last=last)
    after = step(before, make(before)).job
    if after is before:
        return "·"
    ending = " and ends" if after.ending is not None and before.ending is None and not after.status.terminal else ""
    return str(after.status) + ending


# ---- the page ----


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def draw() -> str:
    trials = [[name, *(trial_after(status, event) for status in LIVE)] for name, event in TRIAL_EVENTS.items()]
    jobs = [
        [name, *(job_after(status, last, make) for status in JobStatus)] for name, (last, make) in JOB_EVENTS.items()
    ]
    parts = [
        INTRO,
        "## A training job\n",
        table(["event", *map(str, LIVE)], trials),
        "\n`Completed`, `Stopped` and `Failed` are for good: no event changes them.\n",
        "## A tuning job\n",
        table(["event", *map(str, JobStatus)], jobs),
        '\n"and ends" says that an ending was decided: nothing more is proposed, the running training jobs are stopped,'
        "\nand when the last one is gone the job is `Completed`, `Failed` or `Stopped`. A job without any success is"
        "\n`Failed`, whatever ended it but a user's stop.\n",
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text(encoding="utf-8") != draw() and "docs/states.md is stale: python docs/draw_states.py")
    PAGE.write_text(draw(), encoding="utf-8")
