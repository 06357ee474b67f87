"""Causes of failures: the line of a FailureReason that says most, and which failures are the same."""

from __future__ import annotations

import pytest

from tunewright.sdk.causes import cause, in_short, kind

FRAMES = 'Traceback (most recent call last):\n  File "t.py", line 9, in <module>\n    main()\n'
CHAINED = (
    f"{FRAMES}KeyError: 'k'\n\nThe above exception was the direct cause of the following exception:\n\n{FRAMES}"
    "DataProblem: no such split"
)
FATAL = (
    'Fatal Python error: Segmentation fault\n\nCurrent thread 0x7 (most recent call first):\n  File "t.py", line 3 in f'
)
GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "t.py", line 2, in <module>
  | ExceptionGroup: two (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "t.py", line 1, in f
    | Broken: deep
    +------------------------------------"""

BOX = """Usage: t.py [OPTIONS]
Try 't.py --help' for help.
╭─ Error ──────────────────────────────────────────────────────────────────────╮
│ Invalid value for '--boosting': 'goss' is not one of 'gbdt', 'dart', 'rf',   │
│ 'plain'.                                                                     │
╰──────────────────────────────────────────────────────────────────────────────╯"""


def script(said: str = "", exit_code: str = "1", host: str = "") -> str:
    """A FailureReason as executors write it for a script."""
    message = f'ErrorMessage "{said}"\n' if said else ""
    return (
        f'AlgorithmError: {host}ExecuteUserScriptError:\nExitCode {exit_code}\n{message}Command "python t.py --lr 0.5"'
    )


@pytest.mark.parametrize(
    ("reason", "found"),
    [
        (script(f"{FRAMES}ValueError: bad path 7"), "ValueError: bad path 7"),
        (script(f"warming up\n{FRAMES}StopIteration"), "StopIteration"),
        (script(CHAINED), "DataProblem: no such split"),
        (script(f"{FRAMES}RuntimeError: CUDA error\nCompile with TORCH_USE_CUDA_DSA"), "RuntimeError: CUDA error"),
        (script(f"{FRAMES}ValueError: long")[:-32], "ValueError: long"),
        (script(GROUP), "Broken: deep"),
        (script("loading\ndata set not found: /data/x"), "data set not found: /data/x"),
        (script("license server refused", host="on algo-2: "), "license server refused"),
        (script("t.py: error: unrecognized arguments: -n 1", "2"), "t.py: error: unrecognized arguments: -n 1"),
        (script(f"{FRAMES}ValueError: x", "3"), "ValueError: x"),
        (
            script(BOX, "2"),
            "Error: Invalid value for '--boosting': 'goss' is not one of 'gbdt', 'dart', 'rf', 'plain'.",
        ),
        (script("no licence\n==========", "1"), "no licence"),
        (script("----", "1"), "exit code 1"),
        (script("m=0.5", "3"), "exit code 3: m=0.5"),
        (script("", "3"), "exit code 3"),
        (script(), "exit code 1"),
        (script("", "139: ended by SIGSEGV"), "ended by SIGSEGV"),
        (script(FATAL, "139: ended by SIGSEGV"), "ended by SIGSEGV: Fatal Python error: Segmentation fault"),
        (script(FATAL.partition("\n")[2], "139: ended by SIGSEGV"), "ended by SIGSEGV"),
        (script("epoch 3", "137: killed (likely out of memory)"), "killed (likely out of memory): epoch 3"),
    ],
)
def test_the_cause_of_a_failed_script(reason: str, found: str) -> None:
    assert cause(reason) == found


@pytest.mark.parametrize(
    ("reason", "found"),
    [
        ('AlgorithmError: DataProblem: no split\n  File "f.py", line 2, in f\n    g()', "DataProblem: no split"),
        (
            'AlgorithmError: the function ended with sys.exit(no licence)\nErrorMessage "no licence"',
            "the function ended with sys.exit(no licence)",
        ),
        (
            'AlgorithmError: the function\'s process ended: it was ended by SIGABRT.\nErrorMessage "what(): broken"',
            "the function's process ended: it was ended by SIGABRT: what(): broken",
        ),
        (
            "AlgorithmError: the function's process ended: it was ended by SIGSEGV.\nErrorMessage \""
            'Current thread 0x7 (most recent call first):\n  File "t.py", line 3 in f"',
            "the function's process ended: it was ended by SIGSEGV",
        ),
        (f"AlgorithmError: Exception during training: x\n{FRAMES}Odd: x", "Odd: x"),
        (f'AlgorithmError: ExecuteUserScriptError:\nCommand "python t.py"\n{FRAMES}Odd: x', "Odd: x"),
        ("AlgorithmError: killed by SIGKILL", "killed by SIGKILL"),
        ("ClientError: No such file: python9", "No such file: python9"),
        ("AlgorithmError: x\nmy.pkg.CustomError: deep\nExit Code: 1", "my.pkg.CustomError: deep"),
        ("usage: t.py\nt.py: error: unrecognized arguments: -n 1", "t.py: error: unrecognized arguments: -n 1"),
        ("AlgorithmError: ExecuteUserScriptError:", "no reason was given"),
        ("", "no reason was given"),
    ],
)
def test_the_cause_of_any_other_failure(reason: str, found: str) -> None:
    assert cause(reason) == found


def test_the_same_cause_with_other_numbers_is_the_same_kind() -> None:
    assert kind("ValueError: bad path 7 of job-001-0123abcd") == kind("ValueError: bad path 81 of job-002-fedc3210")
    assert kind("ValueError: x") != kind("KeyError: x")


def test_scripts_that_failed_differently_are_told_apart() -> None:
    reasons = [script(), script("", "13"), script("", "134: ended by SIGABRT"), script("no data"), script("no licence")]
    assert len({kind(reason) for reason in reasons}) == 5


def test_a_jobs_reason_in_one_line() -> None:
    head = "No training job succeeded after 5 attempts. Last failure: a-001-0123abcd:"
    assert in_short(f"{head} {script(f'{FRAMES}ValueError: bad path 7')}") == f"{head} ValueError: bad path 7"
    assert in_short(f"{head} {script()}") == f"{head} exit code 1"
    assert in_short(f"{head} AlgorithmError: ValueError: x\n  File") == f"{head} ValueError: x"
    assert in_short("all is well") == "all is well"
    assert in_short("") == ""
