"""Commands that help: logs, test-metric, replay, doctor. What they do is in `do_tools`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunewright.cli.commands.shared import AsJson, Name


def logs(
    name: Name,
    training_job: Annotated[
        str | None, typer.Argument(metavar="[TRAINING_JOB]", help="Its name or number; the newest by default.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on while the training job runs.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Only the last lines; 0 is all of them.")] = 0,
    host: Annotated[str | None, typer.Option("--host", help="One host, such as algo-2; all by default.")] = None,
    path: Annotated[bool, typer.Option("--path", help="Print where the files lie instead.")] = False,
    as_json: AsJson = False,
) -> int | None:
    """Print what a training job wrote.

    Its output goes to standard output, its errors to standard error. Of several hosts all are printed, with the
    host's name before each line.
    """
    from tunewright.cli.commands import do_tools

    if path or as_json:
        return do_tools.log_files(name, training_job, host=host, as_json=as_json)
    return do_tools.logs(name, training_job, host=host, follow=follow, lines=lines)


def test_metric(
    regex: Annotated[str, typer.Argument(metavar="REGEX", help="The pattern; its first group is the value.")],
    logfile: Annotated[Path, typer.Argument(metavar="LOGFILE", help="A log; '-' reads standard input.")],
    as_json: AsJson = False,
) -> int | None:
    """Try a metric's regular expression on a log.

    The answers are the same as while training.
    """
    from tunewright.cli.commands import do_tools

    return do_tools.test_metric(regex, logfile, as_json=as_json)


def replay(
    name: Name,
    early_stopping: Annotated[
        str | None,
        typer.Option(
            "--early-stopping",
            metavar="RULE",
            help="Auto, Off, hyperband, or hyperband(MIN,MAX): what would it have done?",
        ),
    ] = None,
    as_json: AsJson = False,
) -> int | None:
    """Fold a tuning job's journal again.

    Says whether the events give the rows that are stored; with --early-stopping, which training jobs another rule
    would have stopped, what that would have saved, and what it would have lost.
    """
    from tunewright.cli.commands import do_tools

    if early_stopping is not None:
        return do_tools.suppose(name, early_stopping, as_json=as_json)
    return do_tools.replay(name, as_json=as_json)


def doctor(
    clean: Annotated[
        bool,
        typer.Option("--clean", help="Remove functions that no job of this store refers to, unused for a week."),
    ] = False,
    as_json: AsJson = False,
) -> int | None:
    """Check this installation.

    Python, home, disk, slots, fork server, store, who runs the jobs, whether journals fold, and stored functions.
    """
    from tunewright.cli.commands import do_tools

    return do_tools.doctor(clean=clean, as_json=as_json)
