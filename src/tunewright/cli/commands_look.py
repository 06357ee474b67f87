"""Commands that only look: list, describe, jobs, best, export."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from tunewright.cli.command import FAILED, AsJson, Name
from tunewright.cli.engine import Engine, connect, find
from tunewright.cli.out import emit, print_table, say
from tunewright.core.errors import Invalid

if TYPE_CHECKING:
    from tunewright.core.ports import JobView, TrialView

JobWord: TypeAlias = Literal["InProgress", "Stopping", "Completed", "Stopped", "Failed"]
TrialWord: TypeAlias = Literal["Pending", "InProgress", "Stopping", "Completed", "Stopped", "Failed"]
Sort: TypeAlias = Literal["objective", "number", "status", "time"]
Form: TypeAlias = Literal["csv", "json"]


def list_jobs(
    status: Annotated[JobWord | None, typer.Option("--status", help="Only jobs of this status.")] = None,
    contains: Annotated[str | None, typer.Option("--contains", help="Only jobs whose name contains this.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, newest first.")] = 20,
    as_json: AsJson = False,
) -> int | None:
    """List tuning jobs, newest first.

    Those that nobody runs are named, with how to take them over."""
    from tunewright.core.job import JobStatus
    from tunewright.core.ports import JobQuery

    engine = connect()
    wanted = None if status is None else JobStatus(status)
    query = JobQuery(name_contains=contains, status=wanted, sort="CreationTime", descending=True, limit=limit)
    page = engine.reads.jobs(query)
    charge = {view.job.uid: engine.in_charge(view) for view in page.items}
    if as_json:
        from tunewright.aws.names import Arns
        from tunewright.cli.views import tuning_job

        arns = Arns.of(engine.settings)
        jobs = [tuning_job(view, arns, in_charge=charge[view.job.uid]) for view in page.items]
        emit({"HyperParameterTuningJobSummaries": jobs, "More": page.after is not None})
        return None
    if not page.items:
        say(f"There are no tuning jobs{'' if status is None and contains is None else ' like this'}.")
        return None
    headers = ("NAME", "STATUS", "STRATEGY", "DONE", "BEST", "CREATED", "")
    print_table(headers, [_job_row(view, charge[view.job.uid]) for view in page.items])
    if page.after is not None:
        say(f"... and more; see them with --limit {limit * 5}")
    return None


def _job_row(view: JobView, charge: bool) -> tuple[str, ...]:
    from tunewright.sdk.values import short

    job = view.job
    total = "" if job.budget is None else f"/{job.budget}"
    remark = "" if charge else f"nobody runs it; take it over: tunewright resume {job.name}"
    best = "-" if job.best is None else short(job.best.value)
    created = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created))
    done = f"{job.counters.ended}{total}"
    return (job.name, str(job.status), str(job.spec.strategy), done, best, created, remark)


def describe(name: Name, as_json: AsJson = False) -> int | None:
    """Describe a tuning job.

    What was asked for, how far it is, and why it ended."""
    engine = connect()
    view = find(engine, name)
    if as_json:
        from tunewright.cli.views import described

        emit(described(engine, view.job.name))
        return None
    from tunewright.cli.portrait import portrait

    for line in portrait(view, charge=engine.in_charge(view), now=time.time()):
        say(line)
    return None


def jobs(
    name: Name,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Rows of a page.")] = 20,
    page: Annotated[int, typer.Option("--page", "-p", min=1, help="Which page, from 1.")] = 1,
    sort: Annotated[Sort, typer.Option("--sort", help="objective is best first.")] = "objective",
    status: Annotated[TrialWord | None, typer.Option("--status", help="Only training jobs of this status.")] = None,
    as_json: AsJson = False,
) -> int | None:
    """List a tuning job's training jobs, best first."""
    from tunewright.cli.ranking import HEADERS, columns, ordered

    engine = connect()
    view = find(engine, name)
    found = [each for each in engine.reads.all_trials(view.job.uid) if status is None or each.trial.status == status]
    rows = ordered(found, view.job.spec, sort)
    shown = rows[(page - 1) * limit : page * limit]
    if as_json:
        from tunewright.aws.names import Arns
        from tunewright.cli.views import training_job

        arns = Arns.of(engine.settings)
        emit({"TrainingJobSummaries": [training_job(each, arns) for each in shown], "Total": len(rows), "Page": page})
        return None
    parameters = list(dict.fromkeys(name for each in shown for name in each.trial.point))
    print_table([*HEADERS, *parameters], [columns(each, parameters) for each in shown])
    pages = -(-len(rows) // limit)
    if pages > 1:
        say(f"Page {page} of {pages}, {len(rows)} training jobs; another one with --page")
    return None


def best(name: Name, as_json: AsJson = False) -> int | None:
    """Print the best training job.

    Its value, its hyperparameters with their types, and where its model lies."""
    from tunewright.cli.ranking import model_path
    from tunewright.cli.views import typed

    engine = connect()
    view = find(engine, name)
    if view.job.best is None:
        text = f"No training job of {view.job.name} has brought a value yet."
        if as_json:
            emit({"TuningJobName": view.job.name, "Message": text})
        else:
            say(text)
        return FAILED
    found = engine.reads.trial(view.job.best.name)
    values = typed(found.spec, found.trial)
    path = model_path(engine, found.trial.model)
    if as_json:
        emit(_best_shape(engine, found, values, path))
        return None
    objective = found.spec.definitions[found.trial.definition].objective
    say(f"{found.trial.name}  {objective.metric if objective else 'value'} {found.trial.value!r}")
    width = max(map(len, values), default=0)
    for key, value in values.items():
        say(f"  {key.ljust(width)}  {value!r}" if not isinstance(value, str) else f"  {key.ljust(width)}  {value}")
    say(f"Model: {path or 'none was written'}")
    return None


def _best_shape(engine: Engine, view: TrialView, values: Mapping[str, object], path: str) -> dict[str, object]:
    from tunewright.aws.names import Arns
    from tunewright.cli.views import training_job

    shape = training_job(view, Arns.of(engine.settings))
    artifacts = {"S3ModelArtifacts": view.trial.model} if view.trial.model else None
    return {**shape, "HyperParameters": dict(values), "ModelArtifacts": artifacts, "ModelPath": path or None}


def export(
    name: Name,
    form: Annotated[Form | None, typer.Option("--format", help="By the output's suffix, else csv.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; standard output by default.")] = None,
    as_json: AsJson = False,
) -> int | None:
    """Export every training job as CSV or JSON.

    Values keep their types; rows are written one by one, however many there are."""
    from tunewright.cli.exporting import write_csv, write_json

    engine = connect()
    view = find(engine, name)
    suffix = output.suffix.lower() if output is not None else ""
    chosen: Form = "json" if as_json else form or ("json" if suffix == ".json" else "csv")
    writers = {"csv": write_csv, "json": write_json}
    if output is None:
        writers[chosen](engine.reads, view.job, sys.stdout)
        return None
    try:
        with output.open("w", encoding="utf-8", newline="") as file:
            count = writers[chosen](engine.reads, view.job, file)
    except OSError as error:
        raise Invalid.one(str(output), f"cannot be written: {error.strerror}.") from error
    print(f"Wrote {count} training jobs to {output}.", file=sys.stderr)
    return None
