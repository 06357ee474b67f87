"""What `logs`, `test-metric`, `replay` and `doctor` do."""

from __future__ import annotations

import sys
from pathlib import Path

from tunewright.cli.commands.shared import FAILED, INTERRUPTED
from tunewright.cli.diagnosis import checkup
from tunewright.cli.engine import connect, find
from tunewright.cli.interrupts import Interrupts
from tunewright.cli.out import print_table, say
from tunewright.cli.replaying import replayed
from tunewright.cli.supposing import supposed
from tunewright.cli.tailing import Labelled, Out, chosen, hosts_of, tail
from tunewright.cli.trying import tried
from tunewright.cli.views import emit
from tunewright.core.errors import Invalid


def logs(name: str, training_job: str | None, *, host: str | None, follow: bool, lines: int) -> int | None:
    """Print a training job's log, and with `follow` what is added while it runs."""
    engine = connect()
    training = chosen(engine, find(engine, name).job, training_job)
    hosts = hosts_of(engine, training, host)
    labels = [Labelled(out, each) for each in hosts for out in (sys.stdout, sys.stderr)]
    outs: list[Out] = [*labels] if len(hosts) > 1 else [sys.stdout, sys.stderr]

    def streams() -> list[tuple[Path, Out]]:
        """The files of the latest attempt."""
        paths = [path for each in hosts for path in engine.log_paths(training, each)]
        return list(zip(paths, outs, strict=True))

    with Interrupts().heard() as interrupts:
        tail(engine, training, streams, lines=lines, going_on=lambda: follow and not interrupts.count)
        for label in labels:
            label.end()
        return INTERRUPTED if interrupts.count else None


def log_files(name: str, training_job: str | None, *, host: str | None, as_json: bool) -> int | None:
    """Where a training job's log lies, and with `as_json` what is in it."""
    engine = connect()
    training = chosen(engine, find(engine, name).job, training_job)
    hosts = hosts_of(engine, training, host)
    files = {each: engine.log_paths(training, each) for each in hosts}
    if not as_json:
        for file in (file for pair in files.values() for file in pair):
            say(str(file))
        return None
    shapes = [{"Host": each, **_log_shape(*pair)} for each, pair in files.items()]
    emit({"TrainingJobName": training, **(shapes[0] if len(shapes) == 1 else {"Hosts": shapes})})
    return None


def _log_shape(stdout: Path, stderr: Path) -> dict[str, str]:
    texts = [file.read_text("utf-8", "replace") if file.is_file() else "" for file in (stdout, stderr)]
    return {"OutputPath": str(stdout), "ErrorsPath": str(stderr), "Output": texts[0], "Errors": texts[1]}


def test_metric(regex: str, logfile: Path, *, as_json: bool) -> int | None:
    """Try a pattern on a log; `-` is standard input."""
    try:
        data = sys.stdin.buffer.read() if str(logfile) == "-" else logfile.read_bytes()
    except OSError as error:
        raise Invalid.one(str(logfile), f"cannot be read: {error.strerror or error}.") from error
    result = tried(regex, data)
    if as_json:
        emit(result.shape())
    else:
        for line in result.lines():
            say(line)
    return FAILED if result.objective is None else None


def replay(name: str, *, as_json: bool) -> int | None:
    """Fold a journal again and say whether it gives the stored rows."""
    engine = connect()
    view = find(engine, name)
    found = replayed(engine.reads, view.job)
    if as_json:
        emit(found.shape(view.job.name))
    else:
        for line in found.lines(view.job.name):
            say(line)
    return FAILED if found.differences else None


def suppose(name: str, rule: str, *, as_json: bool) -> int | None:
    """Say what another rule of stopping would have done to a finished job."""
    engine = connect()
    found = supposed(engine.reads, find(engine, name).job, rule)
    if as_json:
        emit(found.shape())
    else:
        for line in found.lines():
            say(line)
    return None


def doctor(*, clean: bool, as_json: bool) -> int | None:
    """Look at this installation and say what was found."""
    findings = checkup(clean=clean)
    bad = any(finding.bad for finding in findings)
    if as_json:
        emit({"Healthy": not bad, "Findings": [finding.shape() for finding in findings]})
    else:
        print_table(("", "CHECK", "FOUND"), [finding.row() for finding in findings])
    return FAILED if bad else None
