"""A training job's directory: what lies where. Laid out like `/opt/ml`, with the executor's own files beside.

    <home>/jobs/<training job>/          first attempt; later ones in attempt-<n>/ below it
        input/config/*.json   input/data/<channel>/   model/   output/data/   output/failure   code/   checkpoints/
        stdout.log  stderr.log  metrics.jsonl             what the program said
        hosts/algo-<n>/                                   the same for each further host; `hosts/ended` lists all
        owner       whose job's it is
        lock        held by the one process that runs this attempt; inside: who that is, and the phases
        exit.json   how it ended, written whole or not at all       tombstone   it shall end, or never start

No directory name holds hyperparameters, and no path of ours is longer than 240 characters for a home of 100.
"""

from __future__ import annotations

import errno
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from tunewright.core.errors import Invalid
from tunewright.core.ports import FIRST_HOST, ExitReport, Task
from tunewright.core.reads import LogTail
from tunewright.core.trial import Cursor, Failure
from tunewright.executors.clock import now
from tunewright.executors.codec import exit_from_json, exit_to_json

STREAMS = ("stdout", "stderr", "metrics")
TAIL_BYTES = 1 << 18
UNREADABLE = (IsADirectoryError, NotADirectoryError, PermissionError, ValueError, KeyError, TypeError, AttributeError)
"""What reading a record raises that is there and is none."""
APPENDING = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
_FILES = {"stdout": "stdout.log", "stderr": "stderr.log", "metrics": "metrics.jsonl", "hosts": "hosts/ended"}
_HOST = re.compile(r"algo-[1-9][0-9]{0,5}")


@dataclass(frozen=True, slots=True)
class Workdir:
    """Paths of one attempt of a training job. Making one touches nothing on disk.

    Args:
        base: the attempt's directory, absolute.
        shared: the training job's directory, the same for every attempt; holds the checkpoints.
    """

    base: str
    shared: str

    @classmethod
    def of(cls, home: Path | str, name: str, attempt: int = 1) -> Workdir:
        """The directory of an attempt below `home`.

        Raises:
            Invalid: the name is not a training job's name (it becomes a directory's name).
        """
        if not _NAME.fullmatch(name) or attempt < 1:
            raise Invalid.one(name, "is not a training job's name: 1 to 63 letters, digits and hyphens.")
        shared = os.path.join(home, "jobs", name)
        return cls(shared if attempt == 1 else os.path.join(shared, f"attempt-{attempt}"), shared)

    def at(self, *parts: str) -> str:
        """A path below the attempt's directory."""
        return "/".join((self.base, *parts))

    @property
    def config(self) -> str:
        return self.base + "/input/config"

    @property
    def data(self) -> str:
        return self.base + "/input/data"

    @property
    def model(self) -> str:
        return self.base + "/model"

    @property
    def output(self) -> str:
        return self.base + "/output"

    @property
    def output_data(self) -> str:
        return self.base + "/output/data"

    @property
    def failure(self) -> str:
        return self.base + "/output/failure"

    @property
    def code(self) -> str:
        return self.base + "/code"

    @property
    def checkpoints(self) -> str:
        return self.shared + "/checkpoints"

    @property
    def lock(self) -> str:
        return self.base + "/lock"

    @property
    def exit(self) -> str:
        return self.base + "/exit.json"

    @property
    def tombstone(self) -> str:
        return self.base + "/tombstone"

    def stream(self, name: str) -> str:
        """The file of `stdout`, `stderr` or `metrics`; with `algo-2/` and the like in front, of that host.

        `hosts` is the list of all hosts in the order in which they ended. Raises KeyError for anything else.
        """
        host, _, name = name.rpartition("/")
        return f"{self.of_host(host or FIRST_HOST).base}/{_FILES[name]}"

    def append(self, name: str) -> int:
        """A descriptor that adds to the file of a stream, which is made when it is missing. Raises OSError."""
        return os.open(self.stream(name), APPENDING, 0o644)

    def of_host(self, host: str) -> Workdir:
        """The directory of one host of a training job that has several. Raises KeyError for another name."""
        if not _HOST.fullmatch(host):
            raise KeyError(host)
        return self if host == FIRST_HOST else Workdir(f"{self.base}/hosts/{host}", self.shared)

    def channel(self, name: str) -> str:
        """The directory of an input channel. Raises Invalid when the name is not one of a directory here."""
        if not name or name in (".", "..") or "/" in name or "\0" in name:
            raise Invalid.one(name, "cannot be the name of an input channel; use letters, digits, '-', '_' and '.'.")
        return f"{self.data}/{name}"

    def make(self) -> None:
        """Make the directories that every program may rely on."""
        for path in (self.base + "/input", self.config, self.data, self.model, self.output, self.output_data):
            make_directory(path)
        make_directory(self.code)

    def sizes(self) -> Cursor:
        """Bytes of each stream; zeros while a file does not exist."""
        return Cursor(*(_size(self.stream(name)) for name in STREAMS))

    def read(self, stream: str, offset: int, limit: int) -> bytes:
        """At most `limit` bytes of a stream from `offset`; empty while there is nothing."""
        try:
            handle = os.open(self.stream(stream), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return b""
        except OSError as error:
            if error.errno == errno.ELOOP:  # a program put a link there: what it leads to is not the program's word
                return b""
            raise
        try:
            return os.pread(handle, limit, offset)
        finally:
            os.close(handle)


def last_lines(path: Path, count: int) -> str:
    """The last lines of a stream's file, of its last 256 KiB; empty when it cannot be read."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW)) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-count:])


def end_of_log(paths: tuple[Path, Path], lines: int) -> LogTail:
    """The end of standard error, or of standard output while that is empty; with both, `extra["stdout"]` is the other.

    Args:
        paths: the files of standard output and standard error.
    """
    out, errors = (last_lines(path, lines) for path in paths)
    if errors.strip():
        return LogTail(str(paths[1]), errors, {"stdout": out} if out.strip() else {})
    return LogTail(str(paths[0]), out)


def make_directory(path: str) -> None:
    """Make a directory, and those above it where they are missing; one that is there is left as it is."""
    try:
        os.mkdir(path)
    except FileExistsError:
        return
    except FileNotFoundError:
        os.makedirs(path, exist_ok=True)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def write_whole(path: str, text: str) -> None:
    """Write a small file so that readers see all of it or nothing. Its directory must exist."""
    temporary = f"{path}.{os.getpid()}.tmp"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        write_all(handle, text.encode())
    finally:
        os.close(handle)
    os.replace(temporary, path)


def write_plain(path: str, text: str) -> None:
    """Write a small file that nobody reads before its writer is done."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        write_all(handle, text.encode())
    finally:
        os.close(handle)


def write_all(handle: int, data: bytes) -> None:
    """Write all of it: on a disk that is nearly full the system may take a part and refuse the rest the next time."""
    while data:
        data = data[os.write(handle, data) :]


def write_exit(workdir: Workdir, report: ExitReport) -> None:
    """Record for good how an attempt ended. Its directory is made when missing."""
    make_directory(workdir.base)
    write_whole(workdir.exit, json.dumps(exit_to_json(report)))


def read_exit(workdir: Workdir) -> ExitReport | None:
    """How an attempt ended, or None while it has not."""
    try:
        with open(workdir.exit, encoding="utf-8") as file:
            return exit_from_json(json.load(file))
    except FileNotFoundError:
        return None


def read_settled(workdir: Workdir, task: Task) -> ExitReport | None:
    """`read_exit` of an attempt that nobody works on any more: what cannot be read now never can, and is a failure."""
    try:
        return read_exit(workdir)
    except UNREADABLE as error:
        reason = f"how the training job ended cannot be read: {error}"
        return ExitReport(task.name, task.attempt, None, Failure.INTERNAL, reason, ended=now())
