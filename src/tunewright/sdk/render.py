"""A tuning job in one line and in a small piece of HTML with its curve; standard library only."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.sdk.facts import Facts, Row
from tunewright.sdk.values import short, short_text

WIDTH, HEIGHT, MARGIN = 320, 80, 6
MAX_POINTS = 400


def one_line(job: Mapping[str, Any]) -> str:
    """`digits-1: InProgress, 7/20 done, best 0.913 (digits-1-003-...)` from a description."""
    facts = Facts.of(job)
    best = job.get("BestTrainingJob")
    text = f"{facts.name}: {job['HyperParameterTuningJobStatus']}, {done_text(job, facts)}"
    value = best_value(best)
    return f"{text}, best {short(value)} ({best['TrainingJobName']})" if best and value is not None else text


def done_text(job: Mapping[str, Any], facts: Facts) -> str:
    """`7/20 done`, with failures when there are any."""
    counters = job["TrainingJobStatusCounters"]
    failed = counters["RetryableError"] + counters["NonRetryableError"]
    done = counters["Completed"] + counters["Stopped"] + failed
    total = "" if facts.total is None else f"/{facts.total}"
    return f"{done}{total} done" + (f" ({failed} failed)" if failed else "")


def best_value(best: Mapping[str, Any] | None) -> float | None:
    """The objective of a description's BestTrainingJob, or None."""
    metric = (best or {}).get("FinalHyperParameterTuningJobObjectiveMetric")
    return None if metric is None else float(metric["Value"])


def card(job: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """A tuning job for a notebook: name, status, counts, best configuration and curve, as static HTML."""
    facts = Facts.of(job)
    best = job.get("BestTrainingJob")
    value = best_value(best)
    parts = [
        f"<b>{html.escape(facts.name)}</b> &middot; {html.escape(job['HyperParameterTuningJobStatus'])}"
        f" &middot; {html.escape(done_text(job, facts))}"
    ]
    if best and value is not None:
        tuned = ", ".join(f"{name}={short_text(text)}" for name, text in best.get("TunedHyperParameters", {}).items())
        objective = facts.objective(best.get("TrainingJobDefinitionName"))
        parts.append(
            f"best {html.escape(objective)} <b>{short(value)}</b> &middot; {html.escape(best['TrainingJobName'])}"
        )
        parts.append(f"<code>{html.escape(tuned)}</code>")
    if job.get("FailureReason"):
        parts.append(html.escape(job["FailureReason"]))
    return f"<div>{'<br>'.join(parts)}{curve(rows, facts)}</div>"


def curve(rows: Sequence[Row], facts: Facts) -> str:
    """Values in the order in which they came, and the best so far, as SVG; empty below two values."""
    ended = sorted((row for row in rows if row.counts), key=lambda row: (row.ended or 0.0, row.order))
    values = [row.value for row in ended if row.value is not None]
    if len(values) < 2:
        return ""
    best = [values[0]]
    for value in values[1:]:
        best.append(value if facts.better(value, best[-1]) else best[-1])
    low, high = min(values), max(values)
    shown = range(0, len(values), max(1, len(values) // MAX_POINTS))
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="#888"/>'
        for x, y in (_place(index, values[index], len(values), low, high) for index in shown)
    )
    line = " ".join(
        f"{x:.1f},{y:.1f}"
        for x, y in (_place(index, best[index], len(best), low, high) for index in (*shown, len(best) - 1))
    )
    title = html.escape(f"{facts.objective()}: best {short(best[-1])} after {len(values)} values")
    return (
        f'<br><svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{title}"><title>{title}</title>{dots}'
        f'<polyline points="{line}" fill="none" stroke="#1f77b4" stroke-width="2"/></svg>'
    )


def _place(index: int, value: float, count: int, low: float, high: float) -> tuple[float, float]:
    x = MARGIN + (WIDTH - 2 * MARGIN) * index / max(1, count - 1)
    share = 0.5 if high == low else (value - low) / (high - low)
    return x, HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * share
