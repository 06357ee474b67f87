"""Following a job: every line that a person sees, one JSON object an event, Ctrl-C, and exit codes."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tunewright.cli.follow import UNATTENDED_LOOKS, Human, Json, follow
from tunewright.cli.interrupts import Interrupts
from tunewright.cli.screen import ColourTerminal, choose, styled
from tunewright.cli.story import Story
from tunewright.core.events import Judged, StopAsked
from tunewright.core.trial import Verdict
from tunewright.sdk.display import Lines, Terminal

from .still import START, StillEngine

A: dict[str, Any] = {"lr": 0.01, "units": "200"}
B: dict[str, Any] = {"lr": 0.02, "units": "512"}


class Told:
    """A followed job and what was said of it."""

    def __init__(self, engine: StillEngine, *, quiet: bool = False, verbose: bool = False, json: bool = False) -> None:
        self.engine, self.stream = engine, io.StringIO()
        display = Lines(self.stream)
        self.teller = Json(engine, display) if json else Human(engine, display, quiet=quiet, verbose=verbose)
        self.interrupts = Interrupts()

    def follow(self, *, owns: bool = True, heir: bool = False) -> int:
        return follow(self.engine, "digits", self.teller, self.interrupts, owns=owns, heir=heir)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


def name(engine: StillEngine, number: int) -> str:
    return next(v.trial.name for v in engine.reads.all_trials(engine.job("digits").uid) if v.trial.number == number)


def play(engine: StillEngine) -> None:
    """Four training jobs: a value, a failure, the same failure, a better value."""
    engine.then(
        lambda: engine.begin("digits", A, B),
        lambda: engine.report("digits", 1, 0.909),
        lambda: engine.exit("digits", 1),
        lambda: engine.exit("digits", 2, 1, "Traceback (most recent call last):\nValueError: bad path 7"),
        lambda: engine.begin("digits", A, B),
        lambda: engine.exit("digits", 3, 1, "Traceback (most recent call last):\nValueError: bad path 8"),
        lambda: engine.report("digits", 4, 0.913),
        lambda: engine.exit("digits", 4),
    )


def test_a_run_told_line_by_line(digits: StillEngine) -> None:
    play(digits)
    told = Told(digits)
    assert told.follow() == 0
    one, two, three, four = (name(digits, number) for number in range(1, 5))
    log = digits.home / "jobs" / two / "stdout.log"
    assert told.lines[:9] == [
        "Tuning job digits: Bayesian search, 4 training jobs, 2 at a time, maximize acc",
        f"Files in {digits.home}; Ctrl-C stops the job, twice at once",
        f"[1/4] {one}  0.909  lr=0.01 units=200  2.0 s  first value 0.909",
        f"[2/4] {two}  failed: ValueError: bad path 7  lr=0.02 units=512",
        f"    exit code 1, log {log}",
        f"[3/4] {three}  failed for the same reason as {two} (2 so far)",
        f"[4/4] {four}  0.913  lr=0.02 units=512  3.0 s  new best 0.913 (+0.004)",
        "",
        "Tuning job digits Completed after 8.0 s: all 4 training jobs have run.",
    ]
    end = "\n".join(told.lines[9:])
    assert f"Best acc: 0.913 by {four}" in end and "units = 512" in end
    assert f"Best model: file://{digits.home}/output/{four}/output/model.tar.gz" in end
    assert f"Failed 2 times: ValueError: bad path 7 (first {two}, log {log})" in end
    assert "tunewright export digits" in end and "tunewright resume digits --add-jobs" in end
    assert "\x1b" not in told.text


def test_the_last_failure_of_a_job_without_success_is_told_once(digits: StillEngine) -> None:
    reason = 'ExecuteUserScriptError:\nExitCode 1\nErrorMessage "loading\ndata set not found"\nCommand "train.py"'
    digits.then(
        lambda: digits.begin("digits", A, B),
        *(lambda number=number: digits.exit("digits", number, 1, reason) for number in (1, 2)),
        lambda: digits.begin("digits", A, B),
        *(lambda number=number: digits.exit("digits", number, 1, reason) for number in (3, 4)),
    )
    told = Told(digits)
    assert told.follow() == 1
    ended = next(line for line in told.lines if line.startswith("Tuning job digits Failed"))
    assert ended.endswith(f"Last failure: {name(digits, 4)}: data set not found.")
    assert ended.count("No training job succeeded") == 1 and "ExecuteUserScriptError" not in told.text


def test_case_46_each_failure_is_told_once(digits: StillEngine) -> None:
    play(digits)
    told = Told(digits)
    told.follow()
    assert told.text.count("failed: ValueError: bad path 7") == 1 and "bad path 8" not in told.text


def test_quiet_tells_new_bests_failures_and_the_end(digits: StillEngine) -> None:
    play(digits)
    told = Told(digits, quiet=True)
    assert told.follow() == 0
    assert told.lines[0].startswith("[1/4]") and "first value" in told.lines[0]
    assert "same reason" not in told.text and "Completed after" in told.text


def test_verbose_tells_starts_and_values(digits: StillEngine) -> None:
    play(digits)
    told = Told(digits, verbose=True)
    told.follow()
    one = name(digits, 1)
    assert f"{one}  started  lr=0.01 units=200" in told.lines
    assert f"{one}  epoch 1  0.909" in told.lines


def test_a_value_that_came_with_the_start_is_told_too(digits: StillEngine) -> None:
    play(digits)
    begin, report, *rest = digits.script
    digits.script[:] = [lambda: (begin(), report()), *rest]
    told = Told(digits, verbose=True)
    told.follow()
    one = name(digits, 1)
    begun = told.lines.index(f"{one}  started  lr=0.01 units=200")
    assert told.lines[begun + 1] == f"{one}  epoch 1  0.909"


def test_no_metric_is_said_at_once_with_the_log_and_the_pattern(digits: StillEngine) -> None:
    def begin() -> None:
        digits.begin("digits", A)
        digits.log("digits", 1, "loading\naccuracy is 0.5\n")

    digits.then(begin, lambda: digits.exit("digits", 1), lambda: digits.record("digits", StopAsked(digits.clock.now())))
    told = Told(digits)
    assert told.follow() == 130
    assert "'acc' never appeared in the log" in told.text
    assert "'acc=(.*)'" in told.text and "accuracy is 0.5" in told.text


def test_all_failed_is_exit_code_1_with_the_reason(digits: StillEngine) -> None:
    digits.then(
        lambda: digits.begin("digits", A, B),
        *(lambda number=number: digits.exit("digits", number, 1, "ValueError: bad path") for number in (1, 2)),
        lambda: digits.begin("digits", A, B),
        *(lambda number=number: digits.exit("digits", number, 1, "ValueError: bad path") for number in (3, 4)),
    )
    told = Told(digits)
    assert told.follow() == 1
    assert "Tuning job digits Failed" in told.text and "No training job succeeded" in told.text
    assert told.text.count("exit code 1") == 1


def test_early_stopping_is_told_with_its_numbers_and_what_it_saved(
    engine: StillEngine, request_of: Callable[..., Any]
) -> None:
    engine.call("CreateHyperParameterTuningJob", **request_of(early_stopping="Auto", max_jobs=2))
    verdict = Verdict(True, "0.4 is worse than the median 0.9", 0.4, 0.9)
    engine.then(
        lambda: engine.begin("digits", A, B),
        *[lambda: None] * 5,
        lambda: engine.report("digits", 1, 0.9),
        lambda: engine.report("digits", 2, 0.4),
        lambda: engine.record("digits", Judged(engine.clock.now(), 2, 1, 1, verdict)),
        lambda: engine.exit("digits", 2, -15, killed=True),
        *[lambda: None] * 5,
        lambda: engine.exit("digits", 1),
    )
    told = Told(engine)
    assert told.follow() == 0
    assert "stopped early (0.4 is worse than the median 0.9)" in told.text
    assert "Early stopping ended 1 of 2 training jobs before their time and saved about 6.0 s" in told.text


def test_what_ended_with_the_tuning_job_was_not_stopped_early(
    engine: StillEngine, request_of: Callable[..., Any]
) -> None:
    engine.call("CreateHyperParameterTuningJob", **request_of(early_stopping="Auto", completion={"target": 0.9}))
    engine.then(
        lambda: engine.begin("digits", A, B),
        lambda: engine.report("digits", 2, 0.4),
        lambda: engine.report("digits", 1, 0.95),
        lambda: engine.exit("digits", 1),
        lambda: engine.exit("digits", 2, -15, killed=True),
    )
    told = Told(engine)
    assert told.follow() == 0
    assert "stopped, the tuning job ended" in told.text and "stopped early" not in told.text
    assert "Early stopping ended none of them before its time." in told.lines


# ---- Ctrl-C ----


def test_one_interrupt_stops_kindly(digits: StillEngine) -> None:
    told = Told(digits)

    def interrupt() -> None:
        told.interrupts.count += 1

    digits.then(
        lambda: digits.begin("digits", A, B),
        lambda: digits.report("digits", 1, 0.9),
        interrupt,
        lambda: digits.exit("digits", 1, -15, killed=True),
        lambda: digits.exit("digits", 2, -15, killed=True),
    )
    assert told.follow() == 130
    assert told.lines.count("stopping 2 jobs, again to force") == 1
    assert digits.job("digits").status == "Stopped"
    assert "Tuning job digits Stopped" in told.text and "stopped by the user" in told.text
    assert "Best acc: 0.9 by" in told.text and "tunewright resume digits" in told.text
    assert "hurry" not in digits.done


def test_two_interrupts_end_the_programs_at_once(digits: StillEngine) -> None:
    told = Told(digits)

    def interrupt() -> None:
        told.interrupts.count += 1

    digits.then(lambda: digits.begin("digits", A, B), lambda: digits.report("digits", 1, 0.5), interrupt, interrupt)
    assert told.follow() == 130
    assert f"Best so far: 0.5 by {name(digits, 1)}  lr=0.01 units=200" in told.lines
    assert f"[1/4] {name(digits, 1)}  0.5  lr=0.01 units=200  3.0 s  stopped  first value 0.5" in told.lines
    assert digits.done == ["hurry"]
    assert digits.job("digits").status == "Stopped"
    assert told.lines[-1] == "Go on with it: tunewright resume digits"


def test_watching_is_only_left(digits: StillEngine) -> None:
    told = Told(digits)

    def interrupt() -> None:
        told.interrupts.count += 1

    digits.then(lambda: digits.begin("digits", A, B), interrupt)
    assert told.follow(owns=False) == 130
    assert digits.job("digits").status == "InProgress"
    assert told.lines[-1] == "digits goes on; look at it again with: tunewright watch digits"


def test_signals_are_counted_and_the_old_handler_comes_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts().heard() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.count == 2
    assert signal.getsignal(signal.SIGINT) is before


def test_watching_a_job_that_nobody_runs_says_so(digits: StillEngine) -> None:
    digits.charge = False
    told = Told(digits)
    digits.then(lambda: digits.record("digits", StopAsked(digits.clock.now())))
    told.follow(owns=False)
    assert "Nobody runs digits now; take it over with: tunewright resume digits" in told.lines


@pytest.mark.parametrize("heir", [False, True])
def test_a_job_whose_controller_is_gone_is_taken_over_or_that_is_told(digits: StillEngine, heir: bool) -> None:
    def gone() -> None:
        digits.charge = False

    def stopped() -> None:
        digits.record("digits", StopAsked(digits.clock.now()))

    told = Told(digits)
    digits.then(gone, *[lambda: None] * UNATTENDED_LOOKS, stopped)
    told.follow(owns=False, heir=heir)
    said = [line for line in told.lines if "gone" in line or "Nobody" in line]
    if heir:
        assert said == ["Whoever ran digits is gone; it goes on here."] and digits.done == ["resume 0"]
    else:
        assert said == ["Nobody runs digits any more; take it over with: tunewright resume digits"]
        assert digits.done == []


def test_a_job_that_is_handed_on_is_not_taken_over(digits: StillEngine) -> None:
    def charged(by: bool) -> None:
        digits.charge = by

    told = Told(digits)
    once = [lambda: charged(False), *[lambda: None] * (UNATTENDED_LOOKS - 2), lambda: charged(True)]
    digits.then(*once, *once, lambda: digits.record("digits", StopAsked(digits.clock.now())))
    told.follow(owns=False, heir=True)
    assert digits.done == [] and "gone" not in told.text


def test_a_late_watcher_is_told_only_what_is_new(digits: StillEngine) -> None:
    digits.begin("digits", A, B)
    digits.report("digits", 1, 0.9)
    digits.exit("digits", 1)
    digits.then(lambda: digits.exit("digits", 2, 1, "ValueError: x"), lambda: digits.record("digits", StopAsked(START)))
    told = Told(digits)
    told.follow(owns=False)
    assert told.lines[2] == "1 training job has ended before."
    assert told.lines[3].startswith("Best so far: 0.9 by")
    assert not any(line.startswith("[1/4]") for line in told.lines)
    assert any(line.startswith("[2/4]") for line in told.lines)


class Closing(io.StringIO):
    """A pipe whose reader goes after so many lines."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self.left = lines

    def write(self, text: str) -> int:
        self.left -= text.count("\n")
        if self.left < 0:
            raise BrokenPipeError
        return super().write(text)


@pytest.mark.parametrize("lines", [0, 2, 4])
def test_a_closed_pipe_leaves_the_job_and_says_where_it_is(
    digits: StillEngine, lines: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hushed: list[bool] = []
    monkeypatch.setattr("tunewright.cli.follow.hush", lambda: hushed.append(True))
    play(digits)
    told = Told(digits)
    told.teller = Human(digits, Lines(Closing(lines)), quiet=False, verbose=False)
    assert told.follow() == 130 and hushed == [True]
    assert digits.job("digits").status == "InProgress"
    assert capsys.readouterr().err.splitlines() == [
        "The output is closed; digits goes on. Watch it: tunewright watch digits   Stop it: tunewright stop digits"
    ]


def test_a_pipe_that_is_closed_at_the_end_changes_nothing(
    digits: StillEngine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tunewright.cli.follow.hush", lambda: None)
    play(digits)
    told = Told(digits)
    told.teller = Human(digits, Lines(Closing(8)), quiet=False, verbose=False)
    assert told.follow() == 0 and capsys.readouterr().err == ""


@pytest.mark.parametrize("stopped", [False, True])
def test_a_strict_job_is_not_said_to_be_resumed(digits: StillEngine, stopped: bool) -> None:
    job = digits.job("digits")
    story = Story(replace(job, spec=replace(job.spec, strict=True)), lambda name: None, lambda name: "")
    ways = story.summary("Stopped" if stopped else "Completed", "", 1.0, None)[-1]
    assert ways == "Go on with it: a new tuning job with a warm start from digits; in strict mode none is resumed"


# ---- JSON ----


def test_json_is_one_strict_object_an_event_with_amts_names(digits: StillEngine) -> None:
    play(digits)
    told = Told(digits, json=True)
    assert told.follow() == 0
    events = told.events()
    assert [event["Event"] for event in events] == [
        "TuningJobFollowed",
        "TrainingJobStarted",
        "TrainingJobStarted",
        "ObjectiveReported",
        "TrainingJobEnded",
        "NewBestTrainingJob",
        "TrainingJobEnded",
        "TrainingJobStarted",
        "TrainingJobStarted",
        "TrainingJobEnded",
        "ObjectiveReported",
        "TrainingJobEnded",
        "NewBestTrainingJob",
        "TuningJobEnded",
    ]
    failed = events[6]
    assert failed["ExitCode"] == 1 and failed["FailureReason"].startswith("AlgorithmError")
    assert failed["TunedHyperParameters"] == {"lr": "0.02", "units": "512"}
    assert events[-1]["HyperParameterTuningJobStatus"] == "Completed"
    assert all(event["Time"].endswith("Z") for event in events)


# ---- the live region and the screen ----


def test_the_live_region_has_at_most_twelve_lines(engine: StillEngine, request_of: Callable[..., Any]) -> None:
    engine.call("CreateHyperParameterTuningJob", **request_of(max_jobs=60, max_parallel_jobs=40))
    engine.begin("digits", *([A] * 40))
    engine.report("digits", 1, 0.5)
    engine.exit("digits", 1)
    job = engine.job("digits")
    story = Story(job, lambda name: None, lambda name: "")
    story.ended(job, [view.trial for view in engine.reads.all_trials(job.uid) if not view.trial.status.live])
    lines = story.region(job, START + 5)
    assert len(lines) == 12
    assert lines[0] == "digits  [....................] 1/60  5.0 s, about 4 min 55 s left  39 running"
    assert lines[1].startswith("best 0.5  digits-001-")
    assert lines[-2:] == ["  and 31 more running", "  more: tunewright jobs digits; tunewright logs digits -f"]
    stopping = story.region(job, START + 5, "stopping 39 jobs")
    assert len(stopping) == 12 and stopping[-1] == "stopping 39 jobs"


def test_the_most_important_parameters_are_told_first(engine: StillEngine, request_of: Callable[..., Any]) -> None:
    more = {name: {"type": "integer", "min": 1, "max": 9} for name in ("a", "b", "c")}
    base = {"lr": {"type": "continuous", "min": 0.001, "max": 0.1}, "units": {"type": "categorical", "values": [1, 2]}}
    engine.call("CreateHyperParameterTuningJob", **request_of(max_jobs=10, parameters=more | base))

    def one(number: int) -> None:
        engine.begin("digits", {"a": 1, "b": 2, "c": 3, "lr": 0.01, "units": "2"})
        engine.report("digits", number, number / 10)
        engine.exit("digits", number)

    engine.then(*(lambda number=number: one(number) for number in range(1, 11)))
    told = Told(engine)
    regions: list[str] = []
    told.teller._display.live = regions.extend  # type: ignore[union-attr]
    assert told.follow() == 0
    assert engine.done == ["importance digits"] * 2
    assert any(line.endswith("units=2 lr=0.01 a=1 ...") for line in regions if line.startswith("best "))
    assert "Most important: units 75%, lr 25%" in told.lines
    assert told.text.index("    units = 2") < told.text.index("    a = 1")


def test_the_live_region_shows_best_and_running_jobs(digits: StillEngine) -> None:
    digits.begin("digits", A, B)
    digits.report("digits", 1, 0.9)
    digits.exit("digits", 1)
    digits.report("digits", 2, 0.5, 0.6)
    digits.clock.time += 9
    story = Story(digits.job("digits"), lambda name: None, lambda name: "")
    first = next(v.trial for v in digits.reads.all_trials(digits.job("digits").uid) if v.trial.number == 1)
    story.ended(digits.job("digits"), [first])
    lines = story.region(digits.job("digits"), START + 10)
    assert lines[0] == "digits  [#####...............] 1/4  10 s, about 30 s left  1 running"
    assert lines[1] == f"best 0.9  {first.name}  lr=0.01 units=200"
    assert lines[2].strip().startswith(f"{name(digits, 2)}  acc 0.6 at 2")


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_only_on_a_terminal_that_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert isinstance(choose(Tty()), ColourTerminal)
    assert type(choose(io.StringIO())) is Lines
    monkeypatch.setenv("NO_COLOR", "1")
    assert type(choose(Tty())) is Terminal
    monkeypatch.setenv("TERM", "dumb")
    assert type(choose(Tty())) is Lines


@pytest.mark.parametrize(
    ("line", "style"),
    [
        ("[1/4] a  failed: x", "31"),
        ("[1/4] a  0.5  new best 0.5 (+1)", "32"),
        ("Best acc: 1", "1"),
        ("    hint: install it", "33"),
    ],
)
def test_styles(line: str, style: str) -> None:
    assert styled(line) == f"\x1b[{style}m{line}\x1b[0m"
    assert styled("plain") == "plain"
