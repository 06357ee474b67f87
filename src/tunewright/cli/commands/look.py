"""Commands that only look: list, describe, jobs, best, export. What they do is in `do_look`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from tunewright.cli.commands.shared import AsJson, Name

JobWord: TypeAlias = Literal["InProgress", "Stopping", "Completed", "Stopped", "Failed"]
TrialWord: TypeAlias = Literal["Pending", "InProgress", "Stopping", "Paused", "Completed", "Stopped", "Failed"]
Sort: TypeAlias = Literal["objective", "number", "status", "time"]
Form: TypeAlias = Literal["csv", "json"]


def list_jobs(
    status: Annotated[JobWord | None, typer.Option("--status", help="Only jobs of this status.")] = None,
    contains: Annotated[str | None, typer.Option("--contains", help="Only jobs whose name contains this.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, newest first.")] = 20,
    as_json: AsJson = False,
) -> int | None:
    """List tuning jobs, newest first.

    Those that nobody runs are named, with how to take them over.
    """
    from tunewright.cli.commands import do_look

    return do_look.list_jobs(status, contains, limit, as_json=as_json)


def describe(name: Name, as_json: AsJson = False) -> int | None:
    """Describe a tuning job.

    What was asked for, how far it is, and why it ended.
    """
    from tunewright.cli.commands import do_look

    return do_look.describe(name, as_json=as_json)


def jobs(
    name: Name,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Rows of a page.")] = 20,
    page: Annotated[int, typer.Option("--page", "-p", min=1, help="Which page, from 1.")] = 1,
    sort: Annotated[Sort, typer.Option("--sort", help="objective is best first.")] = "objective",
    status: Annotated[TrialWord | None, typer.Option("--status", help="Only training jobs of this status.")] = None,
    as_json: AsJson = False,
) -> int | None:
    """List a tuning job's training jobs, best first."""
    from tunewright.cli.commands import do_look

    return do_look.jobs(name, status, do_look.Page(page, limit, sort), as_json=as_json)


def best(name: Name, as_json: AsJson = False) -> int | None:
    """Print the best training job.

    Its value, its hyperparameters with their types, and where its model lies.
    """
    from tunewright.cli.commands import do_look

    return do_look.best(name, as_json=as_json)


def export(
    name: Name,
    form: Annotated[Form | None, typer.Option("--format", help="By the output's suffix, else csv.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; standard output by default.")] = None,
    curves: Annotated[bool, typer.Option("--curves", help="Every value of every metric, a row each.")] = False,
    as_json: AsJson = False,
) -> int | None:
    """Export every training job as CSV or JSON.

    With its hyperparameters and the last value of each metric. Values keep their types; rows are written one by one,
    however many there are.
    """
    from tunewright.cli.commands import do_look

    return do_look.export(name, "json" if as_json else form, output, curves=curves)
