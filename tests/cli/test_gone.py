"""What commands say of training jobs and logs that are gone, or will be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from typer.testing import Result

from tunewright.cli.follow import parting
from tunewright.core.spec import Function

from .still import StillEngine
from .test_follow import A, B, Told, name

Run = Callable[..., Result]


def test_a_training_job_that_was_deleted_between_two_looks_is_passed_over(digits: StillEngine) -> None:
    def end_and_delete() -> None:
        digits.exit("digits", 1)
        digits.call("DeleteTrainingJob", TrainingJobName=name(digits, 1))

    digits.then(
        lambda: digits.begin("digits", A, B),
        lambda: digits.report("digits", 1, 0.9),
        end_and_delete,
        lambda: digits.report("digits", 2, 0.8),
        lambda: digits.exit("digits", 2),
        lambda: digits.begin("digits", A, B),
        *(lambda number=number: digits.exit("digits", number, 1, "x") for number in (3, 4)),
    )
    told = Told(digits)
    assert told.follow() == 0 and "Tuning job digits Completed" in told.text
    again = Told(digits)
    assert again.follow(owns=False) == 0


def test_the_newest_log_is_that_of_the_newest_which_is_left(digits: StillEngine, cli: Run) -> None:
    digits.begin("digits", A, B)
    for number in (1, 2):
        digits.exit("digits", number)
    names = [name(digits, number) for number in (1, 2)]
    for each in names:
        place = digits.home / "jobs" / each
        place.mkdir(parents=True)
        (place / "stdout.log").write_text(f"I am {each}\n")
    digits.call("DeleteTrainingJob", TrainingJobName=names[1])
    assert cli("logs", "digits").stdout == f"I am {names[0]}\n"
    digits.call("DeleteTrainingJob", TrainingJobName=names[0])
    told = cli("logs", "digits")
    assert told.exit_code == 2 and "no log of digits. All of its training jobs were deleted." in told.stderr


def test_a_log_that_is_gone_is_told_of(digits: StillEngine, cli: Run) -> None:
    digits.begin("digits", A, B)
    digits.exit("digits", 1)
    told = cli("logs", "digits", "1")
    place = digits.home / "jobs" / name(digits, 1) / "stdout.log"
    assert (
        told.stderr
        == f"There is no log of {name(digits, 1)} at {place}. It never started, or its directory was removed.\n"
    )
    assert "It has not started yet." in cli("logs", "digits", "2").stderr


def test_what_becomes_of_training_jobs_when_the_command_ends_depends_on_what_they_run(digits: StillEngine) -> None:
    job = digits.job("digits")
    assert parting(job).startswith("training jobs of digits that run go on, and no new ones begin.")
    (definition,) = job.spec.definitions
    called = replace(definition, training=replace(definition.training, function=Function("a:b")))
    job = replace(job, spec=replace(job.spec, definitions=(called,)))
    assert parting(job).startswith("training jobs of digits that run are ended, and called again when it goes on.")


def test_what_would_move_the_cursor_is_shown_as_an_escape(digits: StillEngine, cli: Run) -> None:
    told = cli("describe", "\x1b]0;title\x07digits")
    assert "\x1b" not in told.stderr and r"\x1b]0;title\x07digits" in told.stderr
