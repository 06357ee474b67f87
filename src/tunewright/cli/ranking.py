"""Training jobs as rows of a table: their order and their columns."""

from __future__ import annotations

from collections.abc import Sequence

from tunewright.cli.engine import Engine
from tunewright.cli.views import typed
from tunewright.core.errors import Invalid
from tunewright.core.reads import TrialView
from tunewright.core.spec import JobSpec
from tunewright.core.suggest import did_you_mean
from tunewright.core.trial import TrialStatus
from tunewright.sdk.causes import cause
from tunewright.sdk.phrases import duration
from tunewright.sdk.values import short

HEADERS = ("#", "TRAINING JOB", "STATUS", "VALUE", "TIME", "REMARK")
SORTS = ("objective", "number", "status", "time")


def ordered(rows: Sequence[TrialView], spec: JobSpec, sort: str) -> list[TrialView]:
    """Rows by objective (best first, those without one last), number, status or length. Raises Invalid."""
    if sort not in SORTS:
        raise Invalid.one("--sort", f"{sort!r} is not one of {', '.join(SORTS)}.{did_you_mean(sort, SORTS)}")

    def key(row: TrialView) -> tuple[float | str, ...]:
        trial = row.trial
        if sort == "objective":
            return (1.0, 0.0) if trial.value is None else (0.0, spec.sign * trial.value)
        if sort == "status":
            return (str(trial.status),)
        return (-seconds(row),) if sort == "time" else ()

    return sorted(rows, key=lambda row: (*key(row), row.trial.number))


def seconds(row: TrialView) -> float:
    """That its program ran, over all attempts; 0 while it has not ended."""
    return 0.0 if row.trial.started is None or row.trial.ended is None else row.trial.ran


def columns(row: TrialView, parameters: Sequence[str]) -> list[str]:
    """A training job's cells, then one for each of these parameters."""
    trial = row.trial
    texts = {name: short(value) for name, value in typed(trial).items()}
    value = trial.value if trial.value is not None else trial.last if trial.status.live else None
    took = duration(seconds(row)) if trial.ended is not None and trial.started is not None else "-"
    status = trial.status.shown
    first = [str(trial.number), trial.name, str(status), "-" if value is None else short(value), took, remark(row)]
    return [*first, *(texts.get(name, "-") for name in parameters)]


def remark(row: TrialView) -> str:
    """Why it has no value, why it was stopped, or what is odd about its value, in a few words."""
    trial = row.trial
    if trial.status is TrialStatus.FAILED:
        return _cut(cause(trial.reason))
    if trial.value is None and not trial.status.live:
        return _cut(trial.objective_reason)
    if trial.status is TrialStatus.PAUSED and trial.verdict is not None:
        return _cut(trial.verdict.why)
    gone = "model removed (keep_best)" if trial.discarded else ""
    return _cut(trial.reason if trial.cause is not None else gone or trial.objective_reason)


def _cut(text: str) -> str:
    return text if len(text) <= 50 else text[:49] + "…"


def model_path(engine: Engine, uri: str) -> str:
    """Where a model lies on this disk, or its address when it lies elsewhere."""
    try:
        return str(engine.objects.path(uri)) if uri else ""
    except Invalid:
        return uri
