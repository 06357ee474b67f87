"""A tuning job described for a person, as lines of text. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tunewright.core.reads import JobView
from tunewright.core.space import CategoricalParameter, Parameter, Space, decode_value
from tunewright.core.spec import JobSpec
from tunewright.sdk.facts import mean_text
from tunewright.sdk.phrases import duration
from tunewright.sdk.values import short


def portrait(view: JobView, *, charge: bool, now: float, warm: str = "") -> list[str]:
    """What was asked for, how far it is, why it ended; `warm` is what its parents gave it."""
    job = view.job
    pairs = [("Name", job.name), ("Status", str(job.status)), *_state(view, charge, now), *_asked(job.spec, warm)]
    width = max(len(name) for name, _ in pairs)
    lines = [f"{name.ljust(width)}  {text}" for name, text in pairs if text]
    for definition in job.spec.definitions:
        lines.append(f"Parameters{f' of {definition.name}' if definition.name else ''}")
        longest = max(map(len, definition.space.parameters), default=0)
        for name, parameter in definition.space.parameters.items():
            lines.append(f"  {name.ljust(longest)}  {_range(parameter)}{_only_if(definition.space, name)}")
        lines += [f"  never {text}" for text in definition.space.forbidden]
    return lines


def _state(view: JobView, charge: bool, now: float) -> Iterator[tuple[str, str]]:
    job = view.job
    failed = job.counters.retryable + job.counters.non_retryable
    counts = {"completed": job.counters.completed, "stopped": job.counters.stopped, "failed": failed}
    counts |= {"running": len(job.live), "paused": len(job.paused)}
    total = "" if job.budget is None else f" of {job.budget}"
    words = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    yield "Training jobs", f"{job.counters.ended}{total} ended ({words or 'none yet'})"
    if job.best is not None:
        yield "Best", f"{mean_text(job.best.value, job.best.spread, job.best.runs)} by {job.best.name}"
    if job.ending is not None:
        yield "Ended because", job.ending.why
    yield "Failure reason", job.reason
    yield "Created", _clock(job.created)
    if job.ended is not None:
        yield "Ended", _clock(job.ended)
    yield "Ran for", duration(job.runtime(now))
    if not charge:
        yield "In charge", f"nobody; take it over with: tunewright resume {job.name}"
    elif view.owner is not None and not job.status.terminal:
        yield "In charge", f"process {view.owner.pid} on {view.owner.host}"


def _asked(spec: JobSpec, warm: str) -> Iterator[tuple[str, str]]:
    yield "Strategy", str(spec.strategy) + (" (strict)" if spec.strict else "")
    for definition in spec.definitions:
        if definition.objective is not None:
            yield "Objective", f"{definition.objective.direction} {definition.objective.metric}"
    yield "At a time", str(spec.limits.max_parallel)
    yield "Keeps", "" if spec.keep_best is None else f"the models of the best {spec.keep_best} training jobs"
    yield "Replicates", "" if spec.replicates == 1 else f"{spec.replicates} training jobs for each configuration"
    yield "Early stopping", "Auto" if spec.early_stopping else "Off"
    if spec.hyperband is not None:
        how = ", pauses and resumes training jobs" if spec.promotes else ""
        yield "Hyperband", f"{spec.hyperband.min_resource} to {spec.hyperband.max_resource} values{how}"
    done = spec.completion
    criteria = (
        f"target {short(done.target)}" if done.target is not None else "",
        f"{done.not_improving} training jobs without improvement" if done.not_improving is not None else "",
        "convergence" if done.on_convergence else "",
        f"{spec.limits.max_runtime:g} s" if spec.limits.max_runtime is not None else "",
    )
    yield "Ends at", ", ".join(filter(None, criteria))
    yield "Warm start", warm
    yield "Seed", str(spec.seed)


def _range(parameter: Parameter) -> str:
    if isinstance(parameter, CategoricalParameter):
        values = [decode_value(value) if isinstance(value, str) else value for value in parameter.values]
        return f"one of {', '.join(map(short, values))}"
    kind = type(parameter).__name__.removesuffix("Parameter").lower()
    step = "" if parameter.step is None else f" in steps of {short(parameter.step)}"
    return f"{kind} {short(parameter.min_value)} to {short(parameter.max_value)}{step}, {parameter.scaling_type}"


def _only_if(space: Space, name: str) -> str:
    return f", only if {space.conditions[name]}" if name in space.conditions else ""


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(seconds))
