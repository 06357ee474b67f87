"""Commands that move a tuning job: run, watch, stop, resume, delete."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunewright.cli.command import AsJson, Name, Quiet, Strict, Verbose
from tunewright.cli.engine import Engine, connect, find
from tunewright.cli.out import emit, say, warn
from tunewright.core.errors import WrongState

if TYPE_CHECKING:
    from tunewright.cli.follow import Teller

STOP_SECONDS = 0.25


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The tuning file (YAML, TOML or JSON).")],
    name: Annotated[str | None, typer.Option("--name", help="The tuning job's name, whatever the file says.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Leave the job to a controller in the background.")] = False,
    strict: Strict = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int | None:
    """Run a tuning file and tell what happens to the end."""
    from tunewright.cli.commands_files import advice
    from tunewright.cli.follow import Interrupts, follow
    from tunewright.cli.shelf import BucketShelf, HomeShelf
    from tunewright.cli.tunefile import load

    found = load(file, strict=strict, now=time.time(), name=name)
    engine = connect(strict)
    shelf = BucketShelf(engine.objects) if strict else HomeShelf(engine.settings.home)
    request = found.request(shelf)
    for text in advice(request):
        warn(f"Warning: {text}")
    with Interrupts().heard() as interrupts:
        if detach:
            _detached(engine, request, as_json)
            return None
        engine.client.create_hyper_parameter_tuning_job(**request)
        return follow(engine, found.name, _teller(engine, as_json, quiet, verbose), interrupts, owns=True)


def _detached(engine: Engine, request: dict[str, object], as_json: bool) -> None:
    name = str(request["HyperParameterTuningJobName"])
    made = engine.call("CreateHyperParameterTuningJob", **request)
    engine.detach()
    _left_behind(name, as_json, made)


def _left_behind(name: str, as_json: bool, members: dict[str, object]) -> None:
    if as_json:
        emit({"HyperParameterTuningJobName": name, **members})
        return
    say(f"Tuning job {name} runs in the background.")
    say(f"Watch it: tunewright watch {name}   Stop it: tunewright stop {name}")


def _teller(engine: Engine, as_json: bool, quiet: bool, verbose: bool) -> Teller:
    from tunewright.cli.follow import Human, Json
    from tunewright.cli.screen import choose
    from tunewright.sdk.display import Lines

    teller: Teller = (
        Json(engine, Lines(sys.stdout)) if as_json else Human(engine, choose(), quiet=quiet, verbose=verbose)
    )
    log = logging.getLogger("tunewright")
    log.addHandler(_Remarks(teller))
    log.propagate = False
    return teller


class _Remarks(logging.Handler):
    """What the loop warns of becomes a line among the others, not a tear in the live region."""

    def __init__(self, teller: Teller) -> None:
        super().__init__(logging.WARNING)
        self._teller = teller

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._teller.remark(record.getMessage() + (f": {error}" if error is not None else ""))


def watch(name: Name, as_json: AsJson = False, quiet: Quiet = False, verbose: Verbose = False) -> int | None:
    """Tell what happens in a tuning job; Ctrl-C only leaves."""
    from tunewright.cli.follow import Interrupts, follow

    engine = connect()
    view = find(engine, name)
    with Interrupts().heard() as interrupts:
        return follow(engine, view.job.name, _teller(engine, as_json, quiet, verbose), interrupts, owns=False)


def stop(
    name: Name,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Return when its training jobs have ended.")] = True,
    as_json: AsJson = False,
) -> int | None:
    """Stop a tuning job; resume goes on with it.

    No training job is started any more, and the running ones are ended."""
    from tunewright.cli.follow import Interrupts

    engine = connect()
    view = find(engine, name)
    job = view.job
    if job.status.terminal:
        raise WrongState("tuning job", job.name, job.status, f"The tuning job {job.name!r} is {job.status} already.")
    if not engine.in_charge(view):
        engine.start()
    engine.call("StopHyperParameterTuningJob", HyperParameterTuningJobName=job.name)
    with Interrupts().heard() as interrupts:
        while wait and not (job := engine.reads.job(job.name).job).status.terminal and not interrupts.count:
            engine.wait(job.name, STOP_SECONDS)
    job = engine.reads.job(job.name).job
    if not job.status.terminal and not engine.in_charge(engine.reads.job(job.name)):
        engine.detach()
    if as_json:
        emit({"HyperParameterTuningJobName": job.name, "HyperParameterTuningJobStatus": str(job.status)})
        return None
    best = f" Best so far: {job.best.value!r} by {job.best.name}." if job.best else ""
    say(f"The tuning job {job.name} is {job.status}.{best}")
    say(f"Go on with it: tunewright resume {job.name}")
    return None


def resume(
    name: Name,
    add_jobs: Annotated[int, typer.Option("--add-jobs", min=0, help="Run this many more training jobs.")] = 0,
    detach: Annotated[bool, typer.Option("--detach", help="Leave the job to a controller in the background.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int | None:
    """Go on with a tuning job.

    One that was stopped or has completed goes on; one that nobody runs is taken over."""
    from tunewright.cli.follow import Interrupts, follow

    engine = connect()
    view = find(engine, name)
    job = view.job
    refusal = _cannot_resume(view.job.status, job.spec.strict, job.name)
    if refusal:
        raise WrongState("tuning job", job.name, job.status, refusal)
    with Interrupts().heard() as interrupts:
        engine.resume(job.name, add_jobs)
        if detach:
            engine.detach()
            _left_behind(job.name, as_json, {})
            return None
        return follow(engine, job.name, _teller(engine, as_json, quiet, verbose), interrupts, owns=True)


def _cannot_resume(status: str, strict: bool, name: str) -> str:
    if status == "Failed":
        return f"The tuning job {name!r} has Failed, which cannot be resumed; run it again under another name."
    if strict and status in ("Stopped", "Completed"):
        return f"The tuning job {name!r} is {status} and was made in strict mode, where AMT knows no resuming."
    return ""


def delete(name: Name, as_json: AsJson = False) -> int | None:
    """Delete a tuning job that has ended.

    Its training jobs, logs and models stay."""
    engine = connect()
    job = find(engine, name).job
    if not job.status.terminal:
        text = f"The tuning job {job.name!r} is {job.status}; stop it first: tunewright stop {job.name}"
        raise WrongState("tuning job", job.name, job.status, text)
    engine.call("DeleteHyperParameterTuningJob", HyperParameterTuningJobName=job.name)
    if as_json:
        emit({"HyperParameterTuningJobName": job.name, "Deleted": True})
    else:
        say(f"The tuning job {job.name} is deleted; its {job.launched} training jobs stay.")
    return None
