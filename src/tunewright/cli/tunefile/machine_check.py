"""Checking a tuning file by this machine: what it would refuse once the file runs, before anything is made."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tunewright.cli.tunefile.document import Plain, Where
from tunewright.cli.tunefile.places import interpreter_of, source_of
from tunewright.cli.tunefile.rules import Finding, table
from tunewright.core.errors import Invalid, Problem
from tunewright.executors.functions.look import look
from tunewright.executors.functions.takes import Takes
from tunewright.executors.slots import Slots
from tunewright.sdk.functions import lacking, signature_problems
from tunewright.sdk.inputs import local_path
from tunewright.settings import Settings

FUNCTION: Where = ("training", "function")


def unready(
    base: Path, data: Mapping[str, Plain], given: Mapping[str, Plain], settings: Settings, *, strict: bool
) -> Iterator[Finding]:
    """An interpreter, a function, directories or GPUs that there are not.

    Args:
        base: the file's directory.
        data: the parts of the file in which nothing is wrong.
        given: the file as it stands, for the names in it.
    """
    training = table(data, "training")
    yield from _python(base, training)
    if "function" in training:
        yield from _function(base, training, given)
    for name in ("output_path", "checkpoint_path") if not strict else ():
        yield from _directory(base, training, name)
    yield from _gpus(training, settings)


def _python(base: Path, training: Mapping[str, Plain]) -> Iterator[Finding]:
    if "python" not in training:
        return
    text = str(training["python"])
    if shutil.which(interpreter_of(base, text)) is None:
        why = "does not exist or is not executable" if os.sep in text else "is not in PATH"
        remedy = "Name an interpreter that is there, or leave it out to use Tunewright's own."
        yield ("training", "python"), f"{text!r} {why}. {remedy}", False


def _function(base: Path, training: Mapping[str, Plain], given: Mapping[str, Plain]) -> Iterator[Finding]:
    source = source_of(base, training)
    path = [] if source is None else [str(source)]
    takes = look(str(training["function"]), path)
    if isinstance(takes, str):
        yield FUNCTION, f"{takes}. Looked in {', '.join(path) or 'the installed packages'}.", False
    elif takes is not None:
        yield from _signature(takes, given)


def _signature(takes: Takes, given: Mapping[str, Plain]) -> Iterator[Finding]:
    tuned, fixed = table(given, "parameters"), table(table(given, "training"), "hyperparameters")
    for text in takes.never():
        yield FUNCTION, text, False
    for problem in signature_problems(takes, [*tuned, *fixed], table(given, "conditions")):
        yield _field(problem, tuned), problem.message, False
    for problem in lacking(takes, {*tuned, *fixed}):
        yield FUNCTION, problem.message, False


def _field(problem: Problem, tuned: Mapping[str, Plain]) -> Where:
    kind, _, name = problem.path.partition(".")
    if kind == "conditions":
        return ("conditions", name)
    return ("parameters", name) if name in tuned else ("training", "hyperparameters", name)


def _directory(base: Path, training: Mapping[str, Plain], name: str) -> Iterator[Finding]:
    """A directory to write to, by making something for a moment where it would begin."""
    text = str(training.get(name, ""))
    try:
        path = local_path(text) if "://" in text else base / Path(text).expanduser()
    except Invalid as error:
        yield from ((("training", name), problem.message, False) for problem in error.problems)
        return
    if not text or path is None:
        return
    there = next(each for each in (path, *path.parents) if os.path.exists(each))
    try:
        tempfile.TemporaryDirectory(dir=there, prefix=".tunewright-").cleanup()
    except OSError as error:
        reason = f"{there}: {error.strerror or error}"
        yield ("training", name), f"{text!r} cannot be written ({reason}). Name a directory that can be.", False


def _gpus(training: Mapping[str, Plain], settings: Settings) -> Iterator[Finding]:
    gpus, hosts = training.get("gpus", 0), training.get("instance_count", 1)
    if isinstance(gpus, int) and isinstance(hosts, int) and gpus:
        impossible = Slots(settings.home / "slots", settings.slots).impossible(gpus * hosts)
        if impossible:
            yield ("training", "gpus"), f"{impossible}.", False
