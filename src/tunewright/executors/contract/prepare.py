"""Between a task and a program that can be started: checkpoints, the interpreter and the command."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tunewright.core.errors import Invalid
from tunewright.core.ports import Objects, Task
from tunewright.core.trial import Failure
from tunewright.executors import rooms
from tunewright.executors.contract.files import arguments, program_parameters, script
from tunewright.executors.contract.launchers import launcher
from tunewright.executors.images import Image
from tunewright.executors.reasons import Refused
from tunewright.executors.rooms import OPT_ML
from tunewright.executors.workdir import Workdir

_PLAIN = re.compile(r"[A-Za-z0-9/._+-]+")
FAST_FILE = "FastFile"
_SYSTEM = ("dev", "proc", "sys")
DRIVERS = "sm_drivers"
"""The channel in which newer SageMaker SDKs send shell scripts that name `/opt/ml`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A command that can be executed: its first element is the path of an executable file."""

    command: tuple[str, ...]
    directory: str


def alias(task: Task, workdir: Workdir) -> str:
    """What stands for `/opt/ml` in commands and shell scripts: the job's directory, or a plain link to it.

    Text such as `ls /opt/ml/input` is split by a shell where the directory's path holds blanks, so a link
    without any takes its place; `drop_alias` removes it.
    """
    named = task.training.entrypoint or any(channel.name == DRIVERS for channel in task.training.channels)
    if not named or _PLAIN.fullmatch(workdir.base):
        return workdir.base
    link = os.path.join(tempfile.mkdtemp(prefix="tunewright-"), "ml")
    os.symlink(workdir.base, link)
    return link


def drop_alias(path: str) -> None:
    """Remove the link that `alias` made."""
    os.unlink(path)
    os.rmdir(os.path.dirname(path))


def read_only(task: Task, workdir: Workdir) -> list[str]:
    """The directories of the channels in FastFile mode, which a program may read and nothing else."""
    channels = task.training.channels
    return [workdir.channel(channel.name) for channel in channels if channel.input_mode == FAST_FILE]


def protect(directories: list[str]) -> None:
    """Take the right to write from what lies in directories: what can be done where no mount does it.

    Links are left alone, for their permissions are those of the originals.
    """
    for directory in directories:
        for folder, _, names in os.walk(directory):
            for name in names:
                info = os.lstat(f"{folder}/{name}")
                if stat.S_ISREG(info.st_mode) and info.st_nlink == 1:
                    os.chmod(f"{folder}/{name}", info.st_mode & 0o555)
            os.chmod(folder, 0o555)


def bring_checkpoints(task: Task, workdir: Workdir, objects: Objects) -> None:
    """Make the checkpoint directory hold what is at the checkpoint URI.

    Where the URI lies on this disk, the directory is a link to it, so that whatever the program writes or
    deletes there is kept at once. Otherwise files are fetched now and stored by `keep_checkpoints`.
    """
    if task.checkpoint_uri is None:
        return
    try:
        place = str(objects.path(task.checkpoint_uri))
    except Invalid:
        os.makedirs(workdir.checkpoints, exist_ok=True)
        objects.fetch(task.checkpoint_uri, Path(workdir.checkpoints))
        return
    os.makedirs(place, exist_ok=True)
    if os.path.islink(workdir.checkpoints):
        os.unlink(workdir.checkpoints)
    elif os.path.isdir(workdir.checkpoints):
        os.rmdir(workdir.checkpoints)
    os.symlink(place, workdir.checkpoints)


def show_checkpoints(task: Task, workdir: Workdir) -> None:
    """Let the checkpoints be found also where the request wants them (LocalPath), if that is below `/opt/ml`."""
    if task.checkpoint_uri is None:
        return
    path = os.path.normpath(task.training.checkpoint_path)
    wanted = workdir.base + path.removeprefix(OPT_ML)
    if path.startswith(f"{OPT_ML}/") and not os.path.lexists(wanted):
        os.makedirs(os.path.dirname(wanted), exist_ok=True)
        os.symlink(workdir.checkpoints, wanted)


def checkpoints_elsewhere(task: Task, *needed: str, roomy: bool) -> str | None:
    """Where the request wants the checkpoints to be found (LocalPath), if that is not below `/opt/ml`.

    Args:
        needed: paths that the program needs, which a mount there must not hide.
        roomy: whether the program has a room of its own, in which they can be mounted.

    Raises:
        Refused: they cannot be shown there.
    """
    wanted = task.training.checkpoint_path
    path = os.path.normpath(wanted)
    if task.checkpoint_uri is None or path.startswith(f"{OPT_ML}/"):
        return None
    if not os.path.isabs(path):
        raise no_checkpoints(wanted, "it is not an absolute path")
    if not roomy:
        raise no_checkpoints(wanted, f"without a mount namespace of its own a program finds them below {OPT_ML} alone")
    if rooms.hides(OPT_ML, *needed, point=path) or path.split("/")[1] in _SYSTEM:
        raise no_checkpoints(wanted, "the program needs what is there")
    return path


def no_checkpoints(wanted: str, why: str) -> Refused:
    """The checkpoints cannot be shown where LocalPath wants them."""
    reason = (
        f"CheckpointConfig.LocalPath {wanted!r} can't be had here: {why}. Leave it out, or name a directory below"
        f" {OPT_ML} such as {OPT_ML}/checkpoints; TUNEWRIGHT_CHECKPOINT_DIR says where checkpoints are."
    )
    return Refused(Failure.CLIENT, reason)


def keep_checkpoints(task: Task, workdir: Workdir, objects: Objects) -> None:
    """Store new checkpoints under the checkpoint URI, where they are not there already."""
    if task.checkpoint_uri is not None and not os.path.islink(workdir.checkpoints):
        objects.put_tree(Path(workdir.checkpoints), task.checkpoint_uri)


def interpreter(task: Task, image: Image | None = None) -> str:
    """The absolute path of the Python that runs a task: its own, else the image's, else the one we run in.

    Raises:
        Refused: there is no such interpreter.
    """
    wanted, whose = task.training.python, "the Python interpreter for the script"
    if wanted is None and image is not None and image.python:
        wanted, whose = image.interpreter(), f"the setting images names it for {image.pattern}"
    if wanted is None:
        return sys.executable
    found = shutil.which(os.path.expanduser(wanted))
    if found is None:
        why = "it is not in PATH" if os.sep not in wanted else "it does not exist or is not executable"
        raise Refused(Failure.CLIENT, f"No such file: {wanted} ({whose}; {why})")
    return os.path.abspath(found)


def check(task: Task) -> None:
    """Raise Refused, before anything is fetched, when a task names nothing that can be run without its image."""
    training = task.training
    if training.entrypoint or script(task.hyperparameters) is not None:
        return
    if training.algorithm is not None:
        raise Refused(
            Failure.CLIENT,
            f"There is no built-in training program for the algorithm {training.algorithm!r} here. Name a TrainingImage"
            " with a script, or one that the setting images maps to a container engine.",
        )
    raise Refused(
        Failure.CLIENT,
        f"The training image {training.image or ''!r} cannot be run here by itself. Name a script with the"
        ' hyperparameters sagemaker_program ("train.py") and sagemaker_submit_directory'
        ' ("s3://bucket/sourcedir.tar.gz", or "file:///directory" in extended mode), as SageMaker\'s estimators with'
        " entry_point and source_dir do; or run the image with a container engine, by the setting images in"
        f' tunewright.toml: "{training.image or "*"}" = {{engine = "docker"}}; or tune a Python function with'
        " tunewright.estimator.FunctionEstimator.",
    )


def plan(task: Task, base: str, program: str | None, python: str, environment: Mapping[str, str]) -> Plan:
    """The command that a task means: its entrypoint, else its script; `check` has refused one that has neither.

    Args:
        base: stands for `/opt/ml` in an entrypoint: the job's directory, a link to it, or in a room that path itself.
        program: the script's name below `code`.
        python: path of the interpreter for scripts.

    Raises:
        Refused: the task names nothing that can be run here.
    """
    training = task.training
    directory = f"{base}/code"
    if training.entrypoint:
        words = [word.replace(OPT_ML, base) for word in (*training.entrypoint, *training.arguments)]
        return Plan(_executable(words, environment, directory), directory)
    given = [*arguments(program_parameters(task.hyperparameters)), *training.arguments]
    assert program is not None, "a task without entrypoint and script is refused"
    runner = _runner(program, python, directory, launcher(task, environment))
    return Plan((*runner, *given), directory)


def _runner(program: str, python: str, directory: str, launched: tuple[str, ...]) -> tuple[str, ...]:
    if program.endswith(".py"):
        return (python, *launched, program)
    path = f"{directory}/{program}"
    if not os.path.isfile(path):
        return (python, *launched, "-m", program)
    if os.access(path, os.X_OK):
        return (path,)
    return ("/bin/sh", program) if program.endswith(".sh") else (python, program)


def _executable(words: list[str], environment: Mapping[str, str], directory: str) -> tuple[str, ...]:
    """The words with the first one as a path. Raises Refused when it names nothing executable."""
    first = words[0]
    if os.sep in first:
        path = os.path.join(directory, first)
        found = path if os.access(path, os.X_OK) and os.path.isfile(path) else None
    else:
        found = shutil.which(first, path=environment.get("PATH", os.defpath))
    if found is None:
        raise Refused(Failure.CLIENT, f"No such file: {first} (the training job's ContainerEntrypoint)")
    return (found, *words[1:])
