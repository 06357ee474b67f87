"""Logs of a training job: which one is meant, and printing what its files hold and what is added to them."""

from __future__ import annotations

import codecs
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TextIO

from tunewright.cli.engine import Engine
from tunewright.cli.out import warn
from tunewright.core.errors import NotFound, WrongState
from tunewright.core.job import Job
from tunewright.core.suggest import did_you_mean
from tunewright.core.trial import trial_name

POLL_SECONDS = 0.25
CHUNK = 1 << 16


class Out(Protocol):
    """Where a log is printed."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> None: ...


def chosen(engine: Engine, job: Job, wanted: str | None) -> str:
    """The training job that is meant: by name, by number, or the newest.

    Raises:
        NotFound: there is none of that name, or it belongs to another tuning job.
        WrongState: there is none at all.
    """
    if wanted is None:
        return _newest(engine, job)
    if job.launched == 0:
        raise NotFound("training job", wanted, f"{job.name} has started none yet.")
    if wanted.isdecimal() and 1 <= int(wanted) < job.next_number:
        return trial_name(job.name, job.uid, int(wanted))
    try:
        view = engine.reads.trial(wanted)
    except NotFound:
        names = [trial_name(job.name, job.uid, number) for number in range(1, min(job.next_number, 500))]
        hint = did_you_mean(wanted, names).strip() or f"{job.name} has numbers 1 to {job.launched}."
        raise NotFound("training job", wanted, hint) from None
    if view.job_uid != job.uid:
        raise NotFound("training job", wanted, f"It belongs to {view.job_name}.")
    return view.trial.name


def _newest(engine: Engine, job: Job) -> str:
    """The newest training job that was not deleted."""
    for number in range(job.next_number - 1, 0, -1):
        with contextlib.suppress(NotFound):
            return engine.reads.trial(trial_name(job.name, job.uid, number)).trial.name
    why = "All of its training jobs were deleted." if job.launched else "It has started no training job yet."
    raise WrongState(f"There is no log of {job.name}. {why}")


def hosts_of(engine: Engine, training_job: str, wanted: str | None) -> list[str]:
    """The hosts whose logs are meant: the one that is wanted, else all of the training job's.

    Raises:
        NotFound: it has no host of that name.
    """
    view = engine.reads.trial(training_job)
    names = view.spec.definitions[view.trial.definition].training.chosen(view.trial.choice).host_names
    if wanted is None:
        return names
    if wanted not in names:
        known = f"{names[0]} to {names[-1]}" if len(names) > 1 else f"{names[0]} alone"
        raise NotFound("host", wanted, f"{training_job} ran on {known}.")
    return [wanted]


class Labelled:
    """Whole lines with a host's name before each, so that several hosts can be printed together."""

    def __init__(self, out: TextIO, label: str) -> None:
        self._out, self._label, self._rest = out, label, ""

    def write(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        self._out.write("".join(f"{self._label}  {line}\n" for line in lines))

    def flush(self) -> None:
        self._out.flush()

    def end(self) -> None:
        """Print a last line that has no end."""
        if self._rest:
            self.write("\n")


def tail(
    engine: Engine,
    training_job: str,
    files: Callable[[], Sequence[tuple[Path, Out]]],
    *,
    lines: int,
    going_on: Callable[[], bool],
) -> None:
    """Print files (or their last lines), and what is added while `going_on` and the training job runs.

    Where there is no file at all, standard error says so.

    Args:
        files: those of the latest attempt; each further one is printed whole.
    """
    places = {path: _last_lines(path, lines) if lines else 0 for path, _ in files()}
    decoders: dict[Path, codecs.IncrementalDecoder] = {}
    while True:
        view = engine.reads.trial(training_job)
        found = files()
        for path, out in found:
            decoder = decoders.setdefault(path, codecs.getincrementaldecoder("utf-8")("replace"))
            places[path] = _copy(path, out, places.get(path, 0), decoder)
        if not view.trial.status.live or not going_on():
            break
        engine.wait(view.job_name, POLL_SECONDS)
    if not any(path.exists() for path, _ in found):
        why = "It has not started yet." if view.trial.status.live else "It never started, or its directory was removed."
        warn(f"There is no log of {training_job} at {found[0][0]}. {why}")


def _copy(path: Path, out: Out, place: int, decoder: codecs.IncrementalDecoder) -> int:
    """Print a file from a byte on; where it ends. Bytes that are not UTF-8 are replaced.

    Args:
        decoder: keeps the beginning of a character of which the rest is still to come.
    """
    try:
        with path.open("rb") as file:
            file.seek(place)
            while data := file.read(CHUNK):
                place += len(data)
                out.write(decoder.decode(data))
    except FileNotFoundError:
        return place
    out.flush()
    return place


def _last_lines(path: Path, count: int) -> int:
    """The byte at which the last lines of a file begin."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            start, data = size, b""
            while start > 0 and data.rstrip(b"\n").count(b"\n") < count:
                step = min(CHUNK, start)
                start -= step
                file.seek(start)
                data = file.read(step) + data
    except FileNotFoundError:
        return 0
    kept = b"".join(data.splitlines(keepends=True)[-count:])
    return size - len(kept)
