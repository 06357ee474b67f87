"""What `run`, `watch`, `stop`, `resume` and `delete` do."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunewright.cli.commands.do_files import advice, looked_over
from tunewright.cli.commands.shared import Voice
from tunewright.cli.engine import Engine, connect, find, orphans
from tunewright.cli.follow import Human, Json, Teller, follow, ways_back
from tunewright.cli.interrupts import Interrupts
from tunewright.cli.names import listed
from tunewright.cli.out import say, warn
from tunewright.cli.screen import choose
from tunewright.cli.tunefile.shelf import BucketShelf, HomeShelf
from tunewright.cli.views import emit
from tunewright.core.errors import WrongState
from tunewright.core.job import JobStatus
from tunewright.sdk.display import Lines
from tunewright.sdk.phrases import onward
from tunewright.sdk.resuming import cannot_resume

STOP_SECONDS = 0.25


def run(file: Path, name: str | None, voice: Voice, *, detach: bool, strict: bool) -> int | None:
    """Create the job of a tuning file and follow it, or leave it to a controller of its own."""
    found, _ = looked_over(file, name, strict=strict)
    engine = connect(strict)
    request = found.request(BucketShelf(engine.objects) if strict else HomeShelf(engine.settings.home))
    for text in advice(request):
        warn(f"Warning: {text}")
    _tell_of_orphans(engine, found.name)
    with Interrupts().heard() as interrupts:
        if detach:
            made = engine.call("CreateHyperParameterTuningJob", **request)
            engine.detach()
            _left_behind(found.name, voice, made)
            return None
        engine.client.create_hyper_parameter_tuning_job(**request)
        return follow(engine, found.name, _teller(engine, voice), interrupts, owns=True)


def _tell_of_orphans(engine: Engine, but: str) -> None:
    """Say which other jobs the loop of this process will take over."""
    if names := orphans(engine, but):
        warn(
            f"Going on with {listed(names, 3)} as well, which nobody ran. Stop one that is not wanted:"
            f" tunewright stop {names[0]}"
        )


def _left_behind(name: str, voice: Voice, members: Mapping[str, Any]) -> None:
    if voice.as_json:
        emit({"HyperParameterTuningJobName": name, **members})
        return
    say(f"Tuning job {name} runs in the background.")
    say(ways_back(name))


def _teller(engine: Engine, voice: Voice) -> Teller:
    if voice.as_json:
        teller: Teller = Json(engine, Lines(sys.stdout))
    else:
        teller = Human(engine, choose(), quiet=voice.quiet, verbose=voice.verbose)
    log = logging.getLogger("tunewright")
    log.handlers = [_Remarks(teller)]
    log.propagate = False
    return teller


class _Remarks(logging.Handler):
    """What the loop warns of becomes a line among the others, not a tear in the live region."""

    def __init__(self, teller: Teller) -> None:
        super().__init__(logging.WARNING)
        self._teller = teller

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        # Threads may have something to say when the terminal is closed already: nobody is there to hear it.
        with contextlib.suppress(ValueError, OSError):
            self._teller.remark(record.getMessage() + (f": {error}" if error is not None else ""))


def watch(name: str, voice: Voice) -> int | None:
    """Follow a job that somebody else runs."""
    engine = connect()
    job = find(engine, name).job
    with Interrupts().heard() as interrupts:
        return follow(engine, job.name, _teller(engine, voice), interrupts, owns=False)


def stop(name: str, *, wait: bool, as_json: bool) -> int | None:
    """Stop a job; one that nobody runs is taken over for as long as its training jobs need to end."""
    engine = connect()
    view = find(engine, name)
    job = view.job
    if job.status.terminal:
        raise WrongState(f"The tuning job {job.name!r} is {job.status} already.")
    orphan = not engine.in_charge(view)
    if orphan:
        _tell_of_orphans(engine, job.name)
        engine.start()
    if job.status is not JobStatus.STOPPING:
        engine.call("StopHyperParameterTuningJob", HyperParameterTuningJobName=job.name)
    with Interrupts().heard() as interrupts:
        while (job := engine.reads.job(job.name).job) and wait and not job.status.terminal and not interrupts.count:
            engine.wait(job.name, STOP_SECONDS)
    if as_json:
        emit({"HyperParameterTuningJobName": job.name, "HyperParameterTuningJobStatus": str(job.status)})
        return None
    best = f" Best so far: {job.best.value!r} by {job.best.name}." if job.best else ""
    say(f"The tuning job {job.name} is {job.status}.{best}")
    say(onward(job.name, strict=job.spec.strict))
    return None


def resume(name: str, add_jobs: int, voice: Voice, *, detach: bool) -> int | None:
    """Go on with a job and follow it; one that somebody else runs is watched, and taken over when they are gone."""
    engine = connect()
    view = find(engine, name)
    job = view.job
    if refusal := cannot_resume(job, add_jobs):
        raise WrongState(refusal)
    elsewhere = not job.status.terminal and engine.in_charge(view)
    if not elsewhere:
        _tell_of_orphans(engine, job.name)
    with Interrupts().heard() as interrupts:
        if not elsewhere:
            engine.resume(job.name, add_jobs)
        if detach:
            engine.detach()
            _left_behind(job.name, voice, {})
            return None
        teller = _teller(engine, voice)
        if elsewhere:
            teller.remark(f"{job.name} is run by somebody already; watching it.")
        return follow(engine, job.name, teller, interrupts, owns=not elsewhere, heir=elsewhere)


def delete(name: str, *, as_json: bool) -> int | None:
    """Delete a job that has ended."""
    engine = connect()
    job = find(engine, name).job
    if not job.status.terminal:
        text = f"The tuning job {job.name!r} is {job.status}; stop it first: tunewright stop {job.name}"
        raise WrongState(text)
    engine.call("DeleteHyperParameterTuningJob", HyperParameterTuningJobName=job.name)
    if as_json:
        emit({"HyperParameterTuningJobName": job.name, "Deleted": True})
    else:
        say(f"The tuning job {job.name} is deleted; its {job.launched} training jobs stay.")
    return None
