"""What a server says: nobody waits for a reader, and what is not read is counted."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator

import pytest

from tunewright.cli.log_writer import LogHandler, LogWriter

LINE = "x" * 1000
TOLD = re.compile("tunewright: ([0-9]+) log lines were dropped because standard error was not read fast enough")


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for handle in (reader, writer):
        with contextlib.suppress(OSError):
            os.close(handle)


def read_all(reader: int) -> list[str]:
    with os.fdopen(os.dup(reader), encoding="utf-8") as file:
        return file.read().splitlines()


def test_lines_come_in_their_order(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    logs = LogWriter(writer)
    for number in range(50):
        logs.say(f"line {number}")
    logs.close()
    os.close(writer)
    assert read_all(reader) == [f"line {number}" for number in range(50)] and logs.dropped == 0


@pytest.mark.parametrize("blocking", [True, False])
def test_what_nobody_reads_is_dropped_and_told_of_later(pipe: tuple[int, int], blocking: bool) -> None:
    reader, writer = pipe
    os.set_blocking(writer, blocking)
    logs = LogWriter(writer, waiting=20)
    for _ in range(1000):
        logs.say(LINE)
    dropped = logs.dropped
    assert 1000 - 20 - 66 <= dropped < 1000, "what the pipe and the queue hold is kept"
    kept = told = 0
    text = ""
    while (kept, told) != (1000 - dropped, dropped):
        text += os.read(reader, 65536).decode()
        *lines, text = text.split("\n")
        for line in lines:
            if found := TOLD.fullmatch(line):
                told += int(found[1])
            else:
                assert line == LINE
                kept += 1
    logs.say("after")
    assert os.read(reader, 65536) == b"after\n"


def test_a_reader_that_is_gone_is_nobodys_error(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    logs = LogWriter(writer)
    for _ in range(10):
        logs.say(LINE)
    logs.close()
    assert logs.dropped == 10


def test_the_end_does_not_wait_for_a_reader(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunewright.cli.log_writer.FAREWELL_SECONDS", 0.01)
    logs = LogWriter(pipe[1], waiting=5)
    for _ in range(200):
        logs.say(LINE)
    logs.close()
    assert logs.dropped > 0


def test_records_of_the_log_are_said_with_their_tracebacks(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    logs = LogWriter(writer)
    log = logging.Logger("mine")
    log.addHandler(LogHandler(logs, "%(levelname)s %(message)s"))
    try:
        raise ValueError("here")
    except ValueError:
        log.exception("failed with %s", "\udcff")
    logs.close()
    os.close(writer)
    first, *rest = read_all(reader)
    assert first == "ERROR failed with \\udcff" and rest[-1] == "ValueError: here"
