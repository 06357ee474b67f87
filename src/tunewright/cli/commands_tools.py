"""Commands that help: logs, test-metric, replay, doctor."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tunewright.cli.command import FAILED, AsJson, Name
from tunewright.cli.engine import connect, find
from tunewright.cli.out import emit, print_table, say
from tunewright.core.errors import Invalid


def logs(
    name: Name,
    training_job: Annotated[
        str | None, typer.Argument(metavar="[TRAINING_JOB]", help="Its name or number; the newest by default.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on while the training job runs.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Only the last lines; 0 is all of them.")] = 0,
    path: Annotated[bool, typer.Option("--path", help="Print where the files lie instead.")] = False,
    as_json: AsJson = False,
) -> int | None:
    """Print what a training job wrote.

    Its output goes to standard output, its errors to standard error."""
    from tunewright.cli.follow import Interrupts
    from tunewright.cli.tailing import chosen, tail

    engine = connect()
    view = find(engine, name)
    training = chosen(engine, view.job, training_job)
    stdout, stderr = (Path(each) for each in engine.log_paths(training))
    if as_json:
        texts = [file.read_text("utf-8", "replace") if file.is_file() else "" for file in (stdout, stderr)]
        paths = {"OutputPath": str(stdout), "ErrorsPath": str(stderr)}
        emit({"TrainingJobName": training, **paths, "Output": texts[0], "Errors": texts[1]})
        return None
    if path:
        say(str(stdout))
        say(str(stderr))
        return None
    with Interrupts().heard() as interrupts:
        tail(
            engine,
            training,
            ((stdout, sys.stdout), (stderr, sys.stderr)),
            lines=lines,
            going_on=lambda: follow and not interrupts.count,
        )
        return 130 if interrupts.count else None


def test_metric(
    regex: Annotated[str, typer.Argument(metavar="REGEX", help="The pattern; its first group is the value.")],
    logfile: Annotated[Path, typer.Argument(metavar="LOGFILE", help="A log; '-' reads standard input.")],
    as_json: AsJson = False,
) -> int | None:
    """Try a metric's regular expression on a log.

    The answers are the same as while training."""
    from tunewright.cli.trying import tried

    try:
        data = sys.stdin.buffer.read() if str(logfile) == "-" else logfile.read_bytes()
    except OSError as error:
        raise Invalid.one(str(logfile), f"cannot be read: {error.strerror}.") from error
    result = tried(regex, data)
    if as_json:
        emit(result.shape())
        return None if result.values else FAILED
    for line in result.lines():
        say(line)
    return None if result.values else FAILED


def replay(name: Name, as_json: AsJson = False) -> int | None:
    """Fold a tuning job's journal again.

    Says whether the events give the rows that are stored."""
    from tunewright.cli.replaying import replayed

    engine = connect()
    view = find(engine, name)
    found = replayed(engine.reads, view.job)
    if as_json:
        emit(found.shape(view.job.name))
    else:
        for line in found.lines(view.job.name):
            say(line)
    return FAILED if found.differences else None


def doctor(as_json: AsJson = False) -> int | None:
    """Check this installation.

    Python, home, disk, slots, fork server, store, who runs the jobs, and whether journals fold."""
    from tunewright.cli.checkup import checkup

    findings = checkup()
    bad = any(finding.bad for finding in findings)
    if as_json:
        emit({"Healthy": not bad, "Findings": [finding.shape() for finding in findings]})
    else:
        print_table(("", "CHECK", "FOUND"), [finding.row() for finding in findings])
    return FAILED if bad else None
