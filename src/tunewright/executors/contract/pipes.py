"""Pipe mode: an input channel as named pipes `<channel>_0`, `<channel>_1`, ..., one for each epoch.

A program opens the pipe of its next epoch and reads all files of the channel, one after the other, to the end.
A process of ours feeds each channel for as long as the program runs. What it feeds may be unpacked on the way
(CompressionType Gzip) and each file wrapped as one record (RecordWrapperType RecordIO, the format of MXNet: a magic
number and the length, four bytes each, little endian, then the data, padded to a multiple of four bytes).
"""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import resource
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from tunewright.core.errors import Invalid
from tunewright.core.ports import Task
from tunewright.core.spec import Channel
from tunewright.executors.clock import pause
from tunewright.executors.workdir import Workdir, write_all

MODE = "Pipe"
GZIP, RECORD_IO = "Gzip", "RecordIO"
MOST_HANDLES = 1 << 20
"""So many descriptors are looked at where the system names no limit."""
MAX_RECORD = (1 << 29) - 1
"""The length of a record has 29 bits."""

_HEAD = struct.Struct("<II")
_MAGIC = 0xCED7230A
_CHUNK = 1 << 20
_PAUSE = 0.01


def source(workdir: Workdir, channel: str) -> str:
    """Where the files lie that feed a channel's pipes."""
    return workdir.at("pipe", channel)


def make_pipes(task: Task, workdir: Workdir) -> None:
    """Make the pipes of the first epoch."""
    for channel in task.training.channels:
        if channel.input_mode == MODE:
            _make(f"{workdir.channel(channel.name)}_0")


def start_feeders(task: Task, workdir: Workdir) -> list[int]:
    """Fork one feeder for each channel in Pipe mode; their process ids. They end with the calling process."""
    feeders = []
    for channel in task.training.channels:
        if channel.input_mode == MODE:
            parent, pid = os.getpid(), os.fork()
            if pid == 0:
                _feed(channel, source(workdir, channel.name), workdir.channel(channel.name), parent)
            feeders.append(pid)
    return feeders


def check(channel: Channel, folder: Path) -> None:
    """Raise Invalid for a file that cannot be fed as the channel says, for a feeder has nobody to tell."""
    for path in _files(str(folder)):
        if channel.compression == GZIP:
            with open(path, "rb") as file:
                if file.read(2) != b"\x1f\x8b":
                    reason = "is not gzipped, as the channel's CompressionType says; leave it out or gzip all objects."
                    raise Invalid.one(os.path.relpath(path, folder), reason)
        if channel.record_wrapper == RECORD_IO and _size(channel, path) > MAX_RECORD:
            reason = (
                "is too large for one record (512 MiB); split it, or store RecordIO and leave RecordWrapperType out."
            )
            raise Invalid.one(os.path.relpath(path, folder), reason)


def _files(folder: str) -> list[str]:
    """All files below a directory, in order of their names."""
    return sorted(os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)


def _size(channel: Channel, path: str) -> int:
    """How many bytes a file gives. A gzipped one has to be read for that."""
    if channel.compression != GZIP:
        return os.path.getsize(path)
    try:
        return sum(len(data) for data in _pieces(channel, path))
    except (OSError, EOFError) as error:
        raise Invalid.one(path, f"cannot be unpacked: {error}.") from error


def _pieces(channel: Channel, path: str) -> Iterator[bytes]:
    """What a file holds, unpacked where the channel says that it is gzipped."""
    with gzip.open(path, "rb") if channel.compression == GZIP else open(path, "rb") as file:
        while data := file.read(_CHUNK):
            yield data


def content(channel: Channel, path: str) -> Iterator[bytes]:
    """What a file gives to a pipe, piece by piece."""
    pieces = _pieces(channel, path)
    if channel.record_wrapper != RECORD_IO:
        yield from pieces
        return
    size = _size(channel, path)
    yield _HEAD.pack(_MAGIC, size)
    yield from pieces
    yield b"\0" * (-size % 4)


def order(channel: Channel, folder: str, files: list[str], epoch: int) -> list[str]:
    """The order of an epoch: that of the names, or one drawn from the channel's seed and the epoch.

    What belongs to one line of an augmented manifest stays together.
    """
    if channel.seed is None:
        return files
    whole = channel.data_type == "AugmentedManifestFile"
    units: dict[str, list[str]] = {}
    for path in files:
        units.setdefault(os.path.relpath(path, folder).partition("/")[0] if whole else path, []).append(path)
    drawn = random.Random(f"{channel.seed}-{epoch}").sample(list(units.values()), len(units))
    return [path for unit in drawn for path in unit]


def _feed(channel: Channel, folder: str, pipe: str, parent: int) -> NoReturn:
    """Write all files into the pipe of one epoch after the other, until the parent is gone."""
    try:
        # Locks and lines of the parent must end with the parent.
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        os.closerange(3, limit if 0 < limit < MOST_HANDLES else MOST_HANDLES)
        files = _files(folder)
        epoch = 0
        while True:
            _make(f"{pipe}_{epoch + 1}")
            writing = _wait_for_reader(f"{pipe}_{epoch}", parent)
            with contextlib.suppress(BrokenPipeError):  # the program had enough of this epoch
                for path in order(channel, folder, files, epoch):
                    for data in content(channel, path):
                        write_all(writing, data)
            os.close(writing)
            epoch += 1
    finally:
        os._exit(1)


def _wait_for_reader(pipe: str, parent: int) -> int:
    while os.getppid() == parent:
        try:
            handle = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            pause(_PAUSE)
            continue
        os.set_blocking(handle, True)
        return handle
    raise SystemExit


def _make(path: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkfifo(path)
