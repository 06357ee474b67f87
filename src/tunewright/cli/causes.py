"""What is said below a failure: what the exit code means, where the log is, and a hint."""

from __future__ import annotations

import re
import signal

from tunewright.core.trial import Trial

_HINTS = (
    (r"ModuleNotFoundError|No module named", "install it for the script's interpreter, or set training.python"),
    (
        r"(?:unrecognized arguments|[Nn]o such option)\S* ['\"]?-[A-Za-z]\b",
        "names of one letter are given as -x, not --x; give the script's option that name too, or a longer one",
    ),
    (
        r"unrecognized arguments|[Nn]o such option",
        "the script knows no such option; add it to its parser, or drop the hyperparameter",
    ),
    (
        r"the following arguments are required|Missing option",
        "give it under training.hyperparameters, or a default in the script",
    ),
    (
        r"invalid (?:int|float|choice)|Invalid value for '-",
        "the script's option takes other values; change the parameter's type or range",
    ),
    (r"SyntaxError|IndentationError", "the script does not compile; try it with python -m py_compile"),
    (r"CUDA out of memory|OutOfMemoryError", "run fewer training jobs at a time, or narrow the batch size"),
    (r"MemoryError|out of memory", "run fewer training jobs at a time, or narrow what takes memory"),
    (r"FileNotFoundError|No such file", "name inputs under training.inputs; the script runs in a directory of its own"),
    (r"PermissionError|Permission denied", "check who may read or run the file"),
    (r"No space left on device", "free some disk space; tunewright doctor shows how much there is"),
)


def exit_text(code: int | None) -> str:
    """`exit code 3`, `killed by SIGKILL (likely out of memory)`, or nothing for a program that never ran."""
    if code is None:
        return ""
    number = -code if code < 0 else code - 128 if code > 128 else 0
    try:
        name = signal.Signals(number).name if number else ""
    except ValueError:
        name = ""
    if not name:
        return f"exit code {code}"
    likely = " (likely out of memory)" if name == "SIGKILL" else ""
    return f"exit code {code}, killed by {name}{likely}" if code > 0 else f"killed by {name}{likely}"


def hint(reason: str, code: int | None = None) -> str:
    """What to do about it, or nothing."""
    for pattern, text in _HINTS:
        if re.search(pattern, reason):
            return text
    if code in (-9, 137):
        return "run fewer training jobs at a time, or narrow what takes memory"
    return ""


def failure_lines(trial: Trial, log: str) -> list[str]:
    """What is said below the line of a failed training job."""
    facts = [exit_text(trial.exit_code), f"log {log}" if log else ""]
    lines = [f"    {', '.join(fact for fact in facts if fact)}"] if any(facts) else []
    advice = hint(trial.reason, trial.exit_code)
    return [*lines, f"    hint: {advice}"] if advice else lines
