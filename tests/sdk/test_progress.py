"""What is told of a tuning job: each thing once, with deltas, causes, hints and an end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tunewright.core.reads import LogTail
from tunewright.core.trial import StopCause
from tunewright.sdk.facts import Facts, Row, Running
from tunewright.sdk.phrases import duration, running_text, saved
from tunewright.sdk.progress import ProgressModel

FACTS = Facts("j", {None: "acc"}, {"acc": "acc=(.*?)"}, maximize=True, total=20, judged=False)


def row(
    number: int, value: float | None = None, status: str = "Completed", reason: str = "", seconds: float = 2
) -> Row:
    good = "Succeeded" if value is not None and status != "Failed" else "Failed"
    name = f"j-{number:03d}-0a1b2c3d"
    tuned = {"lr": "0.0123456789", "opt": '"32"', "n": "3"}
    cause = StopCause.EARLY if status == "Stopped" else None
    return Row(name, status, good, value, tuned, reason, None, 100.0 + number, 100.0 + number + seconds, cause=cause)


def model(log: str = "", facts: Facts = FACTS, quiet: bool = False) -> ProgressModel:
    return ProgressModel(facts, lambda name: LogTail(f"/logs/{name}", log), quiet=quiet)


def test_each_finished_job_is_one_line_with_value_and_parameters_once() -> None:
    telling = model()
    lines = telling.update([row(2, 0.913), row(1, 0.909), Row("j-003-0a1b2c3d", "InProgress")])
    assert lines == [
        "[ 1/20] j-001-0a1b2c3d  0.909  lr=0.0123457 opt=32 n=3  2.0 s  first value 0.909",
        "[ 2/20] j-002-0a1b2c3d  0.913  lr=0.0123457 opt=32 n=3  2.0 s  new best 0.913 (+0.004)",
    ]
    assert telling.update([row(1, 0.909), row(2, 0.913)]) == []
    assert "new best" not in telling.update([row(3, 0.9)])[0]


def test_minimising_turns_the_comparison() -> None:
    facts = Facts("j", {None: "loss"}, {}, maximize=False, total=None, judged=False)
    telling = model(facts=facts)
    assert "[1]" in telling.update([row(1, 0.5)])[0]
    assert "new best 0.25 (-0.25)" in telling.update([row(2, 0.25)])[0]
    assert "new best" not in telling.update([row(3, 0.75)])[0]
    assert [each.value for each in telling.top(2)] == [0.25, 0.5]


def test_of_equal_values_the_first_created_is_the_best_whichever_ended_first() -> None:
    telling = model()
    ends = [replace(row(number, 0.95), ended=200.0 - number) for number in (1000, 999, 4, 2, 3)]
    lines = telling.update(ends)
    assert sum("first value" in line or "new best" in line for line in lines) == 1
    assert telling.best is not None and telling.best.name == row(2).name
    end = telling.summary("Completed", "", 9.0, None)
    assert f"Best acc: 0.95 by {row(2).name}" in end
    others = end[end.index("Next best:") + 1 :][:4]
    assert [line.split()[1] for line in others] == [row(number).name for number in (3, 4, 999, 1000)]


def test_a_cause_is_told_once_with_the_log_and_then_counted() -> None:
    telling = model("Traceback\nValueError: bad path\n")
    lines = telling.update([row(1, status="Failed", reason="AlgorithmError: exit code 1")])
    assert lines[0].startswith("[ 1/20] j-001-0a1b2c3d  failed: exit code 1")
    assert lines[1:] == ["      Traceback", "      ValueError: bad path", "    log: /logs/j-001-0a1b2c3d"]
    again = telling.update([row(number, status="Failed", reason="AlgorithmError: exit code 1") for number in (2, 3)])
    assert [line.split("  ", 1)[1] for line in again] == [
        "failed as before (2 times in all)",
        "failed as before (3 times in all)",
    ]
    other = telling.update([row(4, status="Failed", reason="ClientError: no such bucket")])
    assert "failed: no such bucket" in other[0]


def test_the_same_exception_is_the_same_cause_whatever_the_command_was() -> None:
    telling = model()
    reasons = [f"AlgorithmError: exit code 1\nCommand: train.py --opt {opt}\nValueError: bad" for opt in ("a", "b")]
    first = telling.update([row(1, status="Failed", reason=reasons[0])])
    assert "failed: ValueError: bad" in first[0] and first[1:3] == [
        "    AlgorithmError: exit code 1",
        "    Command: train.py --opt a",
    ]
    assert "failed as before" in telling.update([row(2, status="Failed", reason=reasons[1])])[0]


def test_scripts_that_ended_differently_are_told_each() -> None:
    telling = model()
    words = ("data set not found", "license server refused")
    form = 'AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "{}"\nCommand "python train.py"'
    lines = telling.update([row(n, status="Failed", reason=form.format(said)) for n, said in enumerate(words, 1)])
    assert [line.split("  ")[1] for line in lines if line.startswith("[")] == [f"failed: {said}" for said in words]


def test_below_the_cause_stands_all_of_the_reason_but_the_cause() -> None:
    trace = 'ErrorMessage "Traceback (most recent call last):\n  File "t.py", line 1, in f\n    raise StopIteration'
    reason = f'AlgorithmError: ExecuteUserScriptError:\nExitCode 1\n{trace}\nStopIteration"\nCommand "t.py"'
    lines = model().update([row(1, status="Failed", reason=reason)])
    assert "failed: StopIteration" in lines[0] and [line.strip() for line in lines[3:7]] == [
        'ErrorMessage "Traceback (most recent call last):',
        'File "t.py", line 1, in f',
        "raise StopIteration",
        'Command "t.py"',
    ]


def test_a_reason_that_holds_the_log_is_not_repeated() -> None:
    telling = model("ValueError: bad path\n")
    lines = telling.update([row(1, status="Failed", reason="AlgorithmError: exit code 1\nValueError: bad path")])
    assert sum("bad path" in line for line in lines) == 1


def test_a_metric_that_was_never_seen_is_explained_once() -> None:
    telling = model("starting\nF1=0.83\n")
    lines = telling.update([row(1, reason="pattern matched 1 line, captured '' (not a number)"), row(2)])
    text = "\n".join(lines)
    assert "captured '' (not a number)" in lines[0]
    assert "tunewright logs j j-001-0a1b2c3d 2>&1 | tunewright test-metric 'acc=(.*?)' -" in text and "F1=0.83" in text
    assert text.count("test-metric") == 1
    assert "no value of 'acc' was seen" in lines[-1]


def test_what_is_odd_about_a_value_is_said_once() -> None:
    told = model().update([row(1, 0.5, reason="took 1.2 of 1.2e-05"), row(2, 0.6, reason="took 1.2 of 1.2e-05")])
    assert told[1] == "    took 1.2 of 1.2e-05" and len(told) == 3


def test_the_hint_shows_both_streams() -> None:
    tail = LogTail("/logs/stderr", "a warning", {"stdout": "F1=0.83"})
    lines = ProgressModel(FACTS, lambda name: tail).update([row(1)])
    assert "      F1=0.83" in lines and "      a warning" in lines


def test_without_a_pattern_the_hint_is_to_report() -> None:
    telling = model(facts=Facts("j", {None: "acc"}, {}, maximize=True, total=3, judged=False))
    text = "\n".join(telling.update([row(1)]))
    assert "tunewright.report({'acc': value})" in text and "(nothing was printed)" in text


def test_the_hint_suits_the_reason() -> None:
    facts = Facts("j", {None: "acc"}, {}, maximize=True, total=3, judged=False)
    lines = model(facts=facts).update([row(1, reason="diverged: the last value of 'acc' is nan, which is not used")])
    assert len(lines) == 1 and "Completed, diverged: the last value of 'acc' is nan" in lines[0]
    text = "\n".join(model(facts=facts).update([row(1, reason="'acc' never seen after 1 reports; seen: 'z'")]))
    assert "Completed, 'acc' never seen after 1 reports; seen: 'z'" in text and "Nothing reported it" not in text
    assert "The objective is 'acc': report it by this name" in text
    never = "'acc' never appeared in the log and was not reported with tunewright.report()"
    assert "Nothing reported it" in "\n".join(model(facts=facts).update([row(1, reason=never)]))


def test_stagnation_is_told_at_ten_and_then_ever_less_often() -> None:
    telling = model()
    notes = []
    for number in range(1, 45):
        lines = telling.update([row(number, 0.9 if number == 1 else 0.5)])
        notes += [number for line in lines if line.startswith("No improvement")]
    assert notes == [11, 21, 41]


def test_quiet_tells_new_bests_and_failures_only() -> None:
    telling = model(quiet=True)
    lines = telling.update([row(1, 0.5), row(2, 0.4), row(3, 0.6), row(4, status="Failed", reason="x")])
    assert [line[:7] for line in lines if line.startswith("[")] == ["[ 1/20]", "[ 3/20]", "[ 4/20]"]


def test_the_live_region_has_at_most_twelve_lines() -> None:
    telling = model()
    telling.update([row(number, number / 10) for number in range(1, 6)])
    running = [Running(f"j-{number:03d}-0a1b2c3d", 0.5, number, 100.0) for number in range(6, 46)]
    lines = telling.live(running, {"running": 40, "failed": 0}, elapsed=50.0, now=110.0)
    assert len(lines) == 12
    assert lines[0] == "j  [#####...............] 5/20  50 s, about 2 min 30 s left  40 running"
    assert lines[1].startswith("best 0.5  j-005-0a1b2c3d  lr=")
    assert lines[2] == "  j-006-0a1b2c3d  acc 0.5 at 6  10 s"
    assert lines[-1] == "  and 31 more running"


def test_the_end_says_reason_best_model_and_what_next() -> None:
    facts = Facts("j", {None: "acc"}, {}, maximize=True, total=8, judged=True)
    telling = model(facts=facts)
    rows = [row(number, number / 10, seconds=10) for number in range(1, 7)]
    telling.update([*rows, row(7, 0.05, "Stopped", seconds=4), row(8, status="Failed", reason="x")])
    text = "\n".join(telling.summary("Completed", "all 8 training jobs have run", 34.2, "file:///m/model.tar.gz"))
    assert "Tuning job j Completed after 34 s: all 8 training jobs have run." in text
    assert "8 training jobs ended: 6 completed, 1 stopped, 1 failed." in text
    assert "ended 1 of 8 training jobs before their time and saved about 6.0 s of training" in text
    assert "Best acc: 0.6 by j-006-0a1b2c3d" in text and "    lr = 0.0123457" in text
    assert "Best model: file:///m/model.tar.gz" in text
    assert text.count("  j-00") == 4
    assert text.endswith("Go on with it: tunewright resume j --add-jobs 10")


def test_a_tuner_is_named_where_it_can_resume() -> None:
    telling = model(facts=replace(FACTS, python=True))
    ways = [telling.summary(status, "", 3.0, None)[-1] for status in ("Completed", "Stopped")]
    spent = model(facts=FACTS).summary("Completed", "search space exhausted (20)", 3.0, None)[-1]
    assert spent == "Go on with it: a new tuning job over other ranges, with a warm start from j"
    several = model(facts=replace(FACTS, replicates=4)).summary("Completed", "", 3.0, None)[-1]
    assert several == "Go on with it: tunewright resume j --add-jobs 12", "whole configurations"
    assert ways == [
        "Go on with it: tunewright resume j --add-jobs 10 | tuner.resume(add_jobs=10)",
        "Go on with it: tunewright resume j | tuner.resume()",
    ]


def test_a_strict_job_goes_on_by_a_warm_start_only() -> None:
    text = "\n".join(model(facts=replace(FACTS, strict=True)).summary("Completed", "", 3.0, None))
    assert "a new tuning job with a warm start from j" in text and "tunewright resume" not in text


def test_the_end_of_a_job_without_any_value() -> None:
    telling = model(facts=Facts("j", {None: "acc"}, {}, maximize=True, total=8, judged=True))
    text = "\n".join(telling.summary("Failed", "No training job succeeded after 5 attempts.", 3.0, None))
    assert "after 3.0 s: No training job succeeded after 5 attempts.\n" in text
    assert "No training job brought a value of 'acc'." in text and "resume" not in text


def test_saving_needs_something_to_compare_with() -> None:
    assert saved([row(1, 0.5)]) == "Early stopping ended none of them before its time."
    assert "saved" not in saved([row(1, 0.5, "Stopped")])


def test_only_what_a_rule_ended_was_stopped_early() -> None:
    causes = (StopCause.MAX_RESOURCE, StopCause.EARLY, StopCause.ENDING, StopCause.USER, None)
    seconds = (10.0, 4.0, 1.0, 1.0, 1.0)
    rows = [replace(row(n, 0.5, "Stopped", seconds=seconds[n - 1]), cause=cause) for n, cause in enumerate(causes, 1)]
    lines = model(facts=replace(FACTS, judged=True)).update(rows)
    assert [line.split("  ")[4] for line in sorted(lines, key=lambda line: line.split()[2])] == [
        "reached its maximum resource",
        "stopped early",
        "stopped, the tuning job ended",
        "stopped",
        "stopped",
    ]
    assert "stopped early" not in model().update([row(1, 0.5, "Stopped")])[0]
    assert "ended 1 of 5" in saved(rows) and "saved about 6.0 s of training (a full job takes 10 s)" in saved(rows)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.84, "0.8 s"), (34.4, "34 s"), (59.7, "1 min 0 s"), (312, "5 min 12 s"), (12000, "3 h 20 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_running_job_without_a_value() -> None:
    assert running_text(Running("a", status="Stopping"), "acc", 0.0) == "a  no value yet  Stopping"
