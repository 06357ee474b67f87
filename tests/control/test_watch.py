"""One running trial as the loop follows it: everything it printed is read before its end is told."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from tunewright.control.watch import CHUNK, Watch
from tunewright.core.events import Event, Exited, Reported
from tunewright.core.ports import ExitReport, PhaseReport, Task
from tunewright.core.spec import MetricDefinition, Training
from tunewright.core.trial import Cursor, Phase, Trial, TrialStatus
from tunewright.testing.world import Disk, FakeClock, Hostility, Program, SimulatedExecutor


class Streams(SimulatedExecutor):
    """An executor whose streams are what a test says, and that calls back before it reads one."""

    def __init__(self) -> None:
        super().__init__(Disk(lambda _: Program((), 1.0)), FakeClock(), random.Random(0), Hostility())
        self.data = {"stdout": b"", "metrics": b""}
        self.before: Callable[[], None] = lambda: None

    def sizes(self, name: str, attempt: int) -> Cursor:
        return Cursor(stdout=len(self.data["stdout"]), metrics=len(self.data["metrics"]))

    def read(self, name: str, attempt: int, stream: str, offset: int, limit: int) -> bytes:
        found = self.data.get(stream, b"")[offset : offset + limit]
        self.before()
        return found


def watch() -> Watch:
    training = Training(metrics=(MetricDefinition("loss", "loss=(.*?);"),))
    task = Task("job", "job-001", 1, 1, training, {}, objective="loss")
    return Watch.of(task, trial(), judged=False)


def trial() -> Trial:
    return Trial(1, "job-001", {}, 0.0, status=TrialStatus.RUNNING)


def values(events: list[Event]) -> list[float]:
    return [seen.value for event in events if isinstance(event, Reported) for seen in event.observations]


def test_what_is_printed_while_a_pass_is_under_way_is_read_before_the_end_is_told() -> None:
    streams, one = Streams(), watch()
    streams.data["stdout"] = b"loss=1;\n"

    def ends() -> None:
        streams.data["stdout"] += b"loss=0.25;"
        one.exit = ExitReport("job-001", 1, 0)
        streams.before = lambda: None

    streams.before = ends
    first = one.told(trial(), one.read(streams, 1.0), 1.0)
    assert values(first) == [1.0] and not one.drained
    assert not any(isinstance(event, Exited) for event in first)
    rest = one.told(trial(), one.read(streams, 2.0), 2.0)
    assert values(rest) == [0.25] and one.drained
    assert isinstance(rest[-1], Exited)


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 200_000,
        b'{"values":' * 100_000,
        b'{"values": {"loss": 2}, "at": 1' + b"0" * 400 + b"}",
        b'{"values": {"loss": 2}, "step": 1' + b"0" * 400 + b"}",
        b'{"values": {' + b",".join(b'"m%d": 1.0' % n for n in range(150_000)) + b"}}",
        b"\xff\x00",
    ],
    ids=["deep list", "deep object", "huge time", "huge step", "line beyond a chunk", "no text"],
)
def test_no_line_of_the_metrics_file_keeps_a_trial_from_ending(line: bytes) -> None:
    streams, one = Streams(), watch()
    streams.data["metrics"] = b'{"values": {"loss": 1}}\n' + line + b'\n{"values": {"loss": 3}, "step": 7}\n'
    one.exit = ExitReport("job-001", 1, 0)
    told: list[Event] = []
    for _ in range(2 + len(line) // CHUNK):
        told += one.told(trial(), one.read(streams, 1.0), 1.0)
        if one.drained:
            break
    assert isinstance(told[-1], Exited)
    assert values(told)[0] == 1.0 and values(told)[-1] == 3.0
    observations = [seen for event in told if isinstance(event, Reported) for seen in event.observations]
    assert all(seen.step is None or seen.step == 7 for seen in observations)


def test_a_clock_that_was_set_ahead_makes_nothing_happen_later_than_now() -> None:
    streams, one = Streams(), watch()
    ahead = 1e6
    one.phases.append(PhaseReport("job-001", 1, Phase.TRAINING, 5.0 + ahead))
    one.exit = ExitReport("job-001", 1, 0, started=5.0 + ahead, ended=8.0 + ahead)
    told = one.told(trial(), one.read(streams, 10.0), 10.0)
    assert [event.at for event in told] == [10.0] * len(told)
    assert isinstance(told[-1], Exited) and told[-1].started == 10.0


def test_an_end_is_told_at_its_own_time() -> None:
    streams, one = Streams(), watch()
    one.exit = ExitReport("job-001", 1, 0, started=5.0, ended=8.0)
    end = one.told(trial(), one.read(streams, 10.0), 10.0)[-1]
    assert isinstance(end, Exited) and (end.at, end.started) == (8.0, 5.0)


@pytest.mark.parametrize(("stream", "says"), [("stderr", ""), ("stdout", "print it once per epoch")])
def test_what_stderr_prints_draws_no_line_of_stdout_again(stream: str, says: str) -> None:
    training = Training(metrics=(MetricDefinition("loss", "loss=(.*?);"),))
    one = Watch.of(Task("job", "job-001", 1, 1, training, {}, objective="loss"), trial(), judged=True)
    streams = Streams()
    streams.data |= {"stdout": b"", "stderr": b""}
    for epoch in range(6):
        streams.data["stdout"] += b"loss=%d;\r" % epoch
        streams.data[stream] += b"loss=%d;\r" % epoch
        one.position = one.read(streams, 1.0).position
    assert (says in one.scraper.note()) and bool(says) == bool(one.scraper.note())


def test_who_takes_over_remarks_what_the_one_before_would_have_remarked() -> None:
    streams, training = Streams(), Training(metrics=(MetricDefinition("loss", r"loss=(\d\.\d)"),))
    task = Task("job", "job-001", 1, 1, training, {}, objective="loss")
    first = Watch.of(task, trial(), judged=False)
    streams.data |= {"stdout": b"loss=1.2e-05;\n", "metrics": b'{"values": {"size": 1}}\n'}
    (reported,) = first.told(trial(), first.read(streams, 1.0), 1.0)
    assert isinstance(reported, Reported) and "took 1.2 of 1.2e-05" in reported.note
    known = replace(trial(), cursor=reported.cursor, last=1.2, note=reported.note, epoch=1)

    second = Watch.of(task, known, judged=False)
    streams.data["stdout"] += b"loss=2.5;\n"
    second.exit = ExitReport("job-001", 1, 0)
    told: list[Event] = []
    while not second.drained:
        told += second.told(known, second.read(streams, 2.0), 2.0)
        for event in told:
            assert not isinstance(event, Reported) or event.cursor.metrics >= known.cursor.metrics
    assert values(told) == [2.5], "what is committed is told once"
    assert [event.note for event in told if isinstance(event, Reported)] == [reported.note]


@pytest.mark.parametrize("left", [b"", b"loss="], ids=["gone", "cut"])
def test_a_stream_that_is_shorter_than_it_was_when_it_was_read_ends(left: bytes) -> None:
    streams = Streams()
    known = replace(trial(), cursor=Cursor(stdout=8), last=1.0, epoch=1)
    one = Watch.of(watch().task, known, judged=False)
    streams.data["stdout"] = left
    one.exit = ExitReport("job-001", 1, 0)
    told: list[Event] = []
    for _ in range(3):
        told += one.told(known, one.read(streams, 2.0), 2.0)
        if one.drained:
            break
    (end,) = told
    assert isinstance(end, Exited), "no remark, and no move of the cursor backwards"


def test_an_attempt_after_a_pause_that_ends_without_a_value_has_the_one_before() -> None:
    streams, carried = Streams(), replace(trial(), attempt=2, carried=1, last=0.5, epoch=3)
    one = Watch.of(replace(watch().task, attempt=2), carried, judged=False)
    one.exit = ExitReport("job-001", 2, 0)
    (end,) = one.told(carried, one.read(streams, 2.0), 2.0)
    assert isinstance(end, Exited)
