"""Pipe mode: one named pipe for each epoch, fed as often as it is read."""

from __future__ import annotations

import os
import signal

import pytest

from tunewright.core.spec import Channel
from tunewright.core.trial import Failure

from .bench import Bench

READS = """
import os
place = os.environ["SM_CHANNEL_TRAIN"]
for epoch in range(3):
    with open(f"{place}_{epoch}") as file:
        print(file.read() if epoch != 1 else file.read(3), end="|")
print(os.path.isdir(place))
"""


@pytest.fixture
def channel(bench: Bench) -> Channel:
    for name, text in (("b.csv", "second\n"), ("sub/c.csv", "third\n"), ("a.csv", "first\n")):
        path = bench.objects / "bucket" / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Channel("train", "s3://bucket/data", input_mode="Pipe")


def test_each_epoch_reads_all_files(bench: Bench, channel: Channel) -> None:
    report = bench.run(bench.task("pipe-1", READS, channels=(channel,)))
    assert report.exit_code == 0, report.reason
    whole = "first\nsecond\nthird\n"
    assert bench.stdout("pipe-1") == f"{whole}|fir|{whole}|False\n"


def test_more_than_a_pipe_holds(bench: Bench, channel: Channel) -> None:
    (bench.objects / "bucket" / "data" / "big").write_bytes(b"x" * 3_000_000)
    text = "import os\nprint(len(open(os.environ['SM_CHANNEL_TRAIN'] + '_0').read()))\n"
    bench.run(bench.task("pipe-2", text, channels=(channel,)))
    assert bench.stdout("pipe-2") == "3000019\n"


def test_a_pipe_that_nobody_reads_holds_nothing_up(bench: Bench, channel: Channel) -> None:
    assert bench.run(bench.task("pipe-3", "pass", channels=(channel,))).exit_code == 0
    left = [path for path in bench.job("pipe-3").rglob("*") if path.is_fifo() or path.suffix == ".csv"]
    assert left == []


def test_feeders_end_with_their_shim(bench: Bench, channel: Channel) -> None:
    text = "import time\nprint('x', flush=True)\ntime.sleep(600)\n"
    bench.executor.launch(bench.task("pipe-4", text, channels=(channel,)))
    bench.seen.said("pipe-4", b"x")
    os.kill(bench.pid("pipe-4", "shim"), signal.SIGKILL)
    assert bench.seen.exit("pipe-4").failure is Failure.INTERNAL


def test_an_empty_channel_is_refused(bench: Bench) -> None:
    nothing = Channel("train", "s3://bucket/none", input_mode="Pipe")
    assert bench.run(bench.task("pipe-5", READS, channels=(nothing,))).failure is Failure.CLIENT
