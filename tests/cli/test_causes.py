"""What is said below a failure: what an exit code means, and hints."""

from __future__ import annotations

import pytest

from tunewright.cli.causes import exit_text, hint


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
        ("t.py: error: unrecognized arguments: -x 0.3", 2, "names of one letter"),
        ("Error: No such option: -x", 2, "names of one letter"),
        ("Error: No such option: --lr", 2, "knows no such option"),
        ("Error: Missing option '--lr'.", 2, "under training.hyperparameters"),
        ("Error: Invalid value for '--depth': '1.5' is not a valid integer.", 2, "takes other values"),
        ("FileNotFoundError: x", 1, "training.inputs"),
        ("", 137, "fewer training jobs"),
        ("ValueError: mine", 1, ""),
    ],
)
def test_hints(reason: str, code: int, says: str) -> None:
    assert says in hint(reason, code) and bool(says) == bool(hint(reason, code))
