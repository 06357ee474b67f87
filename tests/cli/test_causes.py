"""Causes of failures: the line that says most, what an exit code means, hints."""

from __future__ import annotations

import pytest

from tunewright.cli.causes import cause, exit_text, hint, in_short, kind

USER_ERROR = """AlgorithmError: ExecuteUserScriptError:
ExitCode 1
ErrorMessage "Traceback (most recent call last):
  File "train.py", line 9, in <module>
    main()
ValueError: bad path 7"
Command "/usr/bin/python train.py --lr 0.5\""""


@pytest.mark.parametrize(
    ("reason", "found"),
    [
        (USER_ERROR, "ValueError: bad path 7"),
        ("AlgorithmError: killed by SIGKILL", "killed by SIGKILL"),
        ("ClientError: No such file: python9", "No such file: python9"),
        ("AlgorithmError: x\nmy.pkg.CustomError: deep\nExit Code: 1", "my.pkg.CustomError: deep"),
        ("usage: t.py\nt.py: error: unrecognized arguments: -n 1", "t.py: error: unrecognized arguments: -n 1"),
        ("", "no reason was given"),
    ],
)
def test_the_line_that_says_most(reason: str, found: str) -> None:
    assert cause(reason) == found


def test_the_same_cause_with_other_numbers_is_the_same_kind() -> None:
    assert kind("ValueError: bad path 7 of job-001-0123abcd") == kind("ValueError: bad path 81 of job-002-fedc3210")
    assert kind("ValueError: x") != kind("KeyError: x")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (None, ""),
        (1, "exit code 1"),
        (-9, "killed by SIGKILL (likely out of memory)"),
        (137, "exit code 137, killed by SIGKILL (likely out of memory)"),
        (-15, "killed by SIGTERM"),
        (255, "exit code 255"),
    ],
)
def test_exit_codes_in_words(code: int | None, text: str) -> None:
    assert exit_text(code) == text


@pytest.mark.parametrize(
    ("reason", "code", "says"),
    [
        ("ModuleNotFoundError: No module named 'torch'", 1, "training.python"),
        ("t.py: error: unrecognized arguments: --lr", 2, "knows no such option"),
        ("FileNotFoundError: x", 1, "training.inputs"),
        ("", 137, "fewer training jobs"),
        ("ValueError: mine", 1, ""),
    ],
)
def test_hints(reason: str, code: int, says: str) -> None:
    assert says in hint(reason, code) and bool(says) == bool(hint(reason, code))


def test_a_jobs_reason_in_one_line() -> None:
    head = "No training job succeeded after 5 attempts. Last failure: a-001-0123abcd:"
    assert in_short(f"{head} {USER_ERROR}") == f"{head} ValueError: bad path 7"
    assert in_short("all is well") == "all is well"
    assert in_short("") == ""
