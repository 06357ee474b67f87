"""The training script's source: brought into the job's own `code` directory, so that jobs cannot disturb each other."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tunewright.core.errors import Invalid
from tunewright.core.ports import Objects, Task
from tunewright.core.trial import Failure
from tunewright.executors.contract import packing
from tunewright.executors.contract.files import script
from tunewright.executors.reasons import Refused
from tunewright.executors.workdir import Workdir, write_all

MAX_FILES = 20_000
MAX_BYTES = 1024**3

SKIPPED = frozenset((".git", ".hg", ".svn", ".venv", "venv", ".tox", "node_modules", "__pycache__"))
SKIPPED |= frozenset((".ipynb_checkpoints", ".mypy_cache", ".ruff_cache", ".pytest_cache"))
"""Directories that are no part of a source: version control, environments and caches."""

_ARCHIVES = (".tar.gz", ".tgz", ".tar")


def bring_code(task: Task, workdir: Workdir, objects: Objects) -> str | None:
    """Put a task's source below `code`; the script's name there, or None when the task names no script.

    The source is a directory, an archive (`sourcedir.tar.gz`) or a single file, at `file://` or `s3://`. Of a
    local directory version control, caches and virtual environments stay behind; links stay links.

    Raises:
        Refused: the source is missing, unreadable or far too large, or the script is not in it.
    """
    named = script(task.hyperparameters)
    if named is None:
        return None
    program, source = named
    if source.startswith("/opt/ml/"):
        if not os.path.normpath(source).startswith("/opt/ml/"):
            raise Refused(Failure.CLIENT, f"The training script's source {source} leads outside /opt/ml.")
        source = Path(workdir.base + source.removeprefix("/opt/ml")).as_uri()
    if not source and os.path.isabs(program):
        source, program = Path(program).as_uri(), os.path.basename(program)
    try:
        _bring(source, workdir, objects)
    except Invalid as error:
        raise Refused(Failure.CLIENT, f"The training script's source cannot be used. {error}") from error
    except OSError as error:
        raise Refused(Failure.CLIENT, f"The training script's source {source} cannot be read: {error}") from error
    return _checked(program, source, workdir)


def _bring(source: str, workdir: Workdir, objects: Objects) -> None:
    if not source:
        raise Invalid.one(
            "sagemaker_submit_directory", "names no source; give file:///absolute/directory or an s3:// URI."
        )
    if source.endswith(_ARCHIVES):
        folder = workdir.at("source")
        if not objects.fetch(source, Path(folder)):
            raise Invalid.one(source, "does not exist.")
        packing.unpack(os.path.join(folder, next(iter(os.listdir(folder)))), workdir.code)
        shutil.rmtree(folder, ignore_errors=True)
        return
    directory = str(objects.path(source)) if source.startswith("file://") else ""
    if directory and os.path.isdir(directory):
        home = os.path.dirname(os.path.dirname(workdir.shared))
        _Copy(home, directory).tree(directory, workdir.code)
    elif not objects.fetch(source, Path(workdir.code)):
        raise Invalid.one(source, "does not exist.")


class _Copy:
    """One copying of a source directory, with its budget."""

    def __init__(self, home: str, source: str) -> None:
        self._home = home
        self._source = source
        self._files = 0
        self._bytes = 0

    def tree(self, source: str, target: str) -> None:
        """Copy what is below `source` into `target`, which exists. Raises Invalid when it is far too much."""
        with os.scandir(source) as entries:
            found = list(entries)
        for entry in found:
            goal = f"{target}/{entry.name}"
            if entry.is_symlink():
                os.symlink(os.path.realpath(entry.path), goal)
            elif entry.is_dir():
                if not self._skipped(entry):
                    os.mkdir(goal)
                    self.tree(entry.path, goal)
            elif entry.is_file():
                self._file(entry, goal)

    def _skipped(self, entry: os.DirEntry[str]) -> bool:
        if entry.name in SKIPPED or os.path.exists(entry.path + "/pyvenv.cfg"):
            return True
        return os.path.samefile(entry.path, self._home)

    def _file(self, entry: os.DirEntry[str], goal: str) -> None:
        info = entry.stat()
        self._files += 1
        self._bytes += info.st_size
        if self._files > MAX_FILES or self._bytes > MAX_BYTES:
            raise Invalid.one(
                self._source,
                f"holds more than {MAX_FILES} files or 1 GiB, which every training job would copy. Name a source"
                " directory with the code alone and give data as input channels.",
            )
        reading = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)
        writing = os.open(goal, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, info.st_mode & 0o777 | 0o600)
        try:
            while data := os.read(reading, 1 << 20):
                write_all(writing, data)
        finally:
            os.close(reading)
            os.close(writing)


def is_module(directory: str, program: str) -> bool:
    """Whether a script's name is that of a module below its source, such as `package.train`."""
    if not all(part.isidentifier() for part in program.split(".")):
        return False
    path = os.path.join(directory, *program.split("."))
    return os.path.isfile(f"{path}.py") or os.path.isfile(f"{path}/__main__.py")


def _checked(program: str, source: str, workdir: Workdir) -> str:
    path = os.path.normpath(os.path.join(workdir.code, program))
    if not path.startswith(workdir.code + "/"):
        raise Refused(Failure.CLIENT, f"The script {program!r} lies outside its source directory {source}.")
    if not os.path.isfile(path) and not is_module(workdir.code, program):
        present = sorted(name for name in os.listdir(workdir.code) if name.endswith((".py", ".sh")))
        there = ", ".join(present[:8]) or "no scripts"
        raise Refused(Failure.CLIENT, f"There is no script {program!r} in {source} (found there: {there}).")
    return program
