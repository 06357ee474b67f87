"""Small texts about training jobs for people: durations, what was saved, the ends of logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunewright.core.trial import StopCause
from tunewright.sdk.facts import Row, Running
from tunewright.sdk.values import short, short_text

STOPPED = {
    StopCause.EARLY: "stopped early",
    StopCause.USER: "stopped",
    StopCause.ENDING: "stopped, the tuning job ended",
    StopCause.MAX_RUNTIME: "stopped, its time was up",
    StopCause.MAX_WAIT: "stopped, its waiting time was up",
}
"""What is said of a training job that was stopped; the cause's own words for any other."""


def running_text(job: Running, objective: str, now: float) -> str:
    """One line about a live training job."""
    value = "no value yet" if job.value is None else f"{objective} {short(job.value)}"
    epoch = f" at {job.epoch}" if job.epoch else ""
    since = "" if job.started is None else f"  {duration(max(0.0, now - job.started))}"
    state = "" if job.status == "InProgress" else f"  {job.status}"
    return f"{job.name}  {value}{epoch}{since}{state}"


def saved(rows: Sequence[Row]) -> str:
    """What early stopping or Hyperband spared: stopped jobs, and their time against that of the full ones."""
    ended = [row for row in rows if row.seconds is not None]
    stopped = [row.seconds or 0.0 for row in ended if row.early]
    whole = (row for row in ended if row.status == "Completed" or row.cause is StopCause.MAX_RESOURCE)
    full = sorted(row.seconds or 0.0 for row in whole)
    if not stopped:
        return "Early stopping ended none of them before its time."
    text = f"Early stopping ended {len(stopped)} of {len(rows)} training jobs before their time"
    if not full:
        return text + "."
    typical = full[len(full) // 2]
    spared = sum(max(0.0, typical - seconds) for seconds in stopped)
    return f"{text} and saved about {duration(spared)} of training (a full job takes {duration(typical)})."


def onward(name: str, add_jobs: int = 0, *, strict: bool, python: bool = False) -> str:
    """How to go on with a tuning job that has ended: by `resume`, which a strict one does not know.

    Args:
        add_jobs: training jobs to add; 0 where some are left to be run.
        python: name the tuner's own way too.
    """
    if strict:
        return f"Go on with it: a new tuning job with a warm start from {name}; in strict mode none is resumed"
    way = f"Go on with it: tunewright resume {name}" + (f" --add-jobs {add_jobs}" if add_jobs else "")
    return f"{way} | tuner.resume({f'add_jobs={add_jobs}' if add_jobs else ''})" if python else way


def duration(seconds: float) -> str:
    """Seconds for people: `0.8 s`, `34 s`, `5 min 12 s`, `3 h 20 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def bar_of(done: int, total: int | None) -> str:
    """`[#####...............] 5/20`; `5 done` where no total is known."""
    width = 20
    if total is None:
        return f"{done} done"
    filled = min(width, width * done // max(1, total))
    return f"[{'#' * filled}{'.' * (width - filled)}] {done}/{total}"


def first_of(parameters: Mapping[str, str], count: int) -> str:
    """The first so many parameters as `name=value`, with dots when there are more."""
    shown = [f"{name}={short_text(text)}" for name, text in list(parameters.items())[:count]]
    return " ".join(shown) + (" ..." if len(parameters) > count else "")


def indented(text: str, count: int) -> list[str]:
    """The last so many lines of a log, set in below a training job's line."""
    return [f"      {line}" for line in text.rstrip().splitlines()[-count:] if line.strip()]


def says(reason: str, log: str) -> bool:
    """Whether the reason holds the log's last line already."""
    last = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "")
    return last[:80] in reason
