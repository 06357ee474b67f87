"""What `list`, `describe`, `jobs`, `best` and `export` do."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunewright.aws.sagemaker.names import Arns
from tunewright.cli.commands.shared import FAILED
from tunewright.cli.engine import best_of, connect, find
from tunewright.cli.exporting import curves_csv, curves_json, write_csv, write_json
from tunewright.cli.out import print_table, say
from tunewright.cli.portrait import portrait
from tunewright.cli.ranking import HEADERS, columns, model_path, ordered
from tunewright.cli.views import Shape, described, emit, spread_of, training_job, tuning_job, typed
from tunewright.control.clock import SteadyClock
from tunewright.core.errors import Invalid
from tunewright.core.job import Job, JobStatus
from tunewright.core.reads import JobQuery, JobView, MetricValue, TrialView
from tunewright.sdk.facts import mean_text
from tunewright.sdk.inherited import line as warm_line

LIST_HEADERS = ("NAME", "STATUS", "STRATEGY", "DONE", "BEST", "CREATED", "")


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows of a table: a page from 1, rows a page, and their order."""

    number: int
    size: int
    sort: str


def list_jobs(status: str | None, contains: str | None, limit: int, *, as_json: bool) -> int | None:
    """List tuning jobs, newest first."""
    engine = connect()
    wanted = None if status is None else JobStatus(status)
    query = JobQuery(name_contains=contains, status=wanted, sort="CreationTime", descending=True, limit=limit)
    page = engine.reads.jobs(query)
    charge = {view.job.uid: engine.in_charge(view) for view in page.items}
    if as_json:
        arns = Arns.of(engine.settings)
        jobs = [tuning_job(view, arns, in_charge=charge[view.job.uid]) for view in page.items]
        emit({"HyperParameterTuningJobSummaries": jobs, "More": page.after is not None})
        return None
    if not page.items:
        say(f"There are no tuning jobs{'' if status is None and contains is None else ' like this'}.")
        return None
    print_table(LIST_HEADERS, [_job_row(view, charge[view.job.uid]) for view in page.items])
    if page.after is not None:
        say(f"... and more; see them with --limit {limit * 5}")
    return None


def _job_row(view: JobView, charge: bool) -> tuple[str, ...]:
    job = view.job
    total = "" if job.budget is None else f"/{job.budget}"
    remark = "" if charge else f"nobody runs it; take it over: tunewright resume {job.name}"
    best = "-" if job.best is None else mean_text(job.best.value, job.best.spread, 1)
    created = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created))
    done = f"{job.counters.ended}{total}"
    return (job.name, str(job.status), str(job.spec.strategy), done, best, created, remark)


def describe(name: str, *, as_json: bool) -> int | None:
    """Describe a tuning job."""
    engine = connect()
    view = find(engine, name)
    if as_json:
        emit(described(engine, view.job.name))
        return None
    warm = warm_line(view.job, engine.inherited(view.job))
    for line in portrait(view, charge=engine.in_charge(view), now=SteadyClock().now(), warm=warm):
        say(line)
    return None


def jobs(name: str, status: str | None, page: Page, *, as_json: bool) -> int | None:
    """List a tuning job's training jobs as a table."""
    engine = connect()
    view = find(engine, name)
    found = [each for each in engine.reads.all_trials(view.job.uid) if status is None or each.trial.status == status]
    rows = ordered(found, view.job.spec, page.sort)
    shown = rows[(page.number - 1) * page.size : page.number * page.size]
    if as_json:
        arns = Arns.of(engine.settings)
        metrics = engine.reads.final_metrics(shown)
        summaries = [training_job(each, arns, metrics.get(each.trial.number, [])) for each in shown]
        emit({"TrainingJobSummaries": summaries, "Total": len(rows), "Page": page.number})
        return None
    parameters = list(dict.fromkeys(name for each in shown for name in each.trial.point))
    print_table([*HEADERS, *parameters], [columns(each, parameters) for each in shown])
    pages = -(-len(rows) // page.size)
    if pages > 1:
        say(f"Page {page.number} of {pages}, {len(rows)} training jobs; another one with --page")
    return None


def best(name: str, *, as_json: bool) -> int | None:
    """Print the best training job, or that there is none."""
    engine = connect()
    view = find(engine, name)
    found = best_of(engine, view.job)
    if found is None:
        text = f"No training job of {view.job.name} has brought a value yet."
        if view.job.best is not None:
            text = f"The best training job of {view.job.name}, {view.job.best.name}, was deleted."
        if as_json:
            emit({"TuningJobName": view.job.name, "Message": text})
        else:
            say(text)
        return FAILED
    path = model_path(engine, found.trial.artifacts)
    metrics = engine.reads.metrics(found.trial.name)
    if as_json:
        emit(_best_shape(view.job, found, metrics, path, Arns.of(engine.settings)))
    else:
        _say_best(view.job, found, metrics, path)
    return None


def _best_shape(job: Job, found: TrialView, metrics: Sequence[MetricValue], path: str, arns: Arns) -> Shape:
    trial = found.trial
    artifacts = {"S3ModelArtifacts": trial.artifacts} if trial.artifacts else None
    model = {"ModelArtifacts": artifacts, "ModelPath": path or None}
    odd = {"ObjectiveReason": trial.objective_reason} if trial.objective_reason else {}
    shape = training_job(found, arns, metrics)
    return {**shape, "HyperParameters": typed(trial), **model, **odd, **_mean_shape(job)}


def _say_best(job: Job, found: TrialView, metrics: Sequence[MetricValue], path: str) -> None:
    objective = found.spec.definitions[found.trial.definition].objective
    say(f"{found.trial.name}  {objective.metric if objective else 'value'} {found.trial.value!r}")
    if (top := job.best) is not None and top.runs > 1:
        say(f"  the best of its configuration, whose value is {mean_text(top.value, top.spread, top.runs)}")
    _say_values(typed(found.trial))
    others = {each.metric: each.value for each in metrics if objective is None or each.metric != objective.metric}
    if others:
        say("Other metrics:")
        _say_values(others)
    say(f"Model: {path or 'none was written'}")
    if found.trial.objective_reason:
        say(f"Note: {found.trial.objective_reason}.")


def _say_values(values: Mapping[str, object]) -> None:
    width = max(map(len, values), default=0)
    for key, value in values.items():
        say(f"  {key.ljust(width)}  {value if isinstance(value, str) else repr(value)}")


def _mean_shape(job: Job) -> dict[str, object]:
    """With replicates, the mean that made its configuration the best, and the spread around it."""
    if job.best is None or job.best.runs < 2:
        return {}
    return {"Tunewright": {"Mean": job.best.value, **spread_of(job.best)}}


def export(name: str, form: str | None, output: Path | None, *, curves: bool) -> int | None:
    """Write every training job, or every value of every metric, to a file or to standard output."""
    engine = connect()
    view = find(engine, name)
    suffix = output.suffix.lower() if output is not None else ""
    as_json = (form or suffix.lstrip(".")) == "json"
    write = (curves_json if as_json else curves_csv) if curves else write_json if as_json else write_csv
    if output is None:
        write(engine.reads, view.job, sys.stdout)
        return None
    try:
        with output.open("w", encoding="utf-8", newline="") as file:
            count = write(engine.reads, view.job, file)
    except OSError as error:
        raise Invalid.one(str(output), f"cannot be written: {error.strerror or error}.") from error
    print(f"Wrote {count} {'values' if curves else 'training jobs'} to {output}.", file=sys.stderr)
    return None
