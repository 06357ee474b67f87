"""Pipe mode: an input channel as named pipes `<channel>_0`, `<channel>_1`, ..., one for each epoch.

A program opens the pipe of its next epoch and reads all files of the channel, one after the other, to the end.
A process of ours feeds each channel for as long as the program runs.
"""

from __future__ import annotations

import contextlib
import os
from typing import NoReturn

from tunewright.core.ports import Task
from tunewright.executors.clock import pause
from tunewright.executors.workdir import Workdir

MODE = "Pipe"
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
                _feed(source(workdir, channel.name), workdir.channel(channel.name), parent)
            feeders.append(pid)
    return feeders


def _feed(folder: str, pipe: str, parent: int) -> NoReturn:
    """Write all files into the pipe of one epoch after the other, until the parent is gone."""
    try:
        os.closerange(3, 1024)  # locks and lines of the parent must end with the parent
        files = sorted(os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)
        epoch = 0
        while True:
            _make(f"{pipe}_{epoch + 1}")
            writing = _wait_for_reader(f"{pipe}_{epoch}", parent)
            with contextlib.suppress(BrokenPipeError):  # the program had enough of this epoch
                for path in files:
                    _write_file(path, writing)
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


def _write_file(path: str, writing: int) -> None:
    with open(path, "rb") as file:
        while data := file.read(_CHUNK):
            while data:
                data = data[os.write(writing, data) :]


def _make(path: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkfifo(path)
