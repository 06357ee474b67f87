"""Why a training job failed, in words for people: AMT's FailureReason without its prefix."""

from __future__ import annotations

import os
import re
import shlex
import signal
from collections.abc import Sequence

from tunewright.core.trial import Failure
from tunewright.executors.workdir import Workdir

LIMIT = 1024
DISPLACED = "{} was removed or renamed while the training job ran, and its log, metrics and model with it."
_TAIL_BYTES = 32768
_TAIL_CHARACTERS = 600
_COMMAND_CHARACTERS = 160
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours and the cursor
    r"|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)"  # titles, links, the clipboard
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_OWN_FRAMES = re.compile(r'^  File "[^"\n]*/tunewright/executors/[^"\n]*", line [0-9]+ in [^\n]*\n?', re.MULTILINE)
"""Of a worker, as Python writes them below a fatal error: the user's come first there, and would be cut off."""
_EXTENSIONS = re.compile(r"^Extension modules: [^\n]*\n?", re.MULTILINE)
"""What Python writes last below a fatal error: a list that pushes out where it was."""
_KILLED = 128 + signal.SIGKILL


class Refused(Exception):
    """A training job that cannot be run: the failure's class, and what to tell the user."""

    def __init__(self, failure: Failure, reason: str) -> None:
        self.failure, self.reason = failure, reason[:LIMIT]
        super().__init__(reason)


def program_failed(code: int, workdir: Workdir, command: Sequence[str]) -> str:
    """The reason for a program that ended with `code` (not 0; negative for a signal).

    What the program wrote to `output/failure` comes first, at most 1,024 characters. Else the form that
    SageMaker's script mode uses, with the last lines of its log.
    """
    if said := written(workdir):
        return said
    lines = ["ExecuteUserScriptError:", f"ExitCode {128 - code if code < 0 else code}{_hint(code)}"]
    message = tail(workdir)
    if message:
        lines.append(f'ErrorMessage "{message}"')
    if "ModuleNotFoundError" in message and os.path.isfile(f"{workdir.code}/requirements.txt"):
        lines.append("requirements.txt is installed only with the setting requirements=install.")
    lines.append(f'Command "{_shortened(shlex.join(command), _COMMAND_CHARACTERS)}"')
    return "\n".join(lines)[:LIMIT]


def _hint(code: int) -> str:
    if code in (-signal.SIGKILL, _KILLED):
        return ": killed (likely out of memory)"
    return "" if code >= 0 else f": ended by {signal_name(-code)}"


def signal_name(number: int) -> str:
    """`SIGSEGV`; `signal 64` for one that has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def written(workdir: Workdir) -> str:
    """What a program wrote to `output/failure`, at most 1,024 characters; empty when it wrote nothing."""
    try:
        with open(workdir.failure, encoding="utf-8", errors="replace", opener=_no_link) as file:
            return plain(file.read(LIMIT)).strip()
    except OSError:
        return ""


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def plain(text: str) -> str:
    """Text without colours and what else would move a terminal's cursor; a carriage return ends a line."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def tail(workdir: Workdir) -> str:
    """The last lines of standard error, or of standard output when nothing was written to standard error."""
    for stream in ("stderr", "stdout"):
        path = workdir.stream(stream)
        try:
            size = os.stat(path).st_size
        except OSError:
            continue
        text = workdir.read(stream, max(0, size - _TAIL_BYTES), _TAIL_BYTES).decode("utf-8", "replace")
        if said := _EXTENSIONS.sub("", _OWN_FRAMES.sub("", plain(text))).strip():
            return _last_lines(said)
    return ""


def _last_lines(text: str) -> str:
    if len(text) <= _TAIL_CHARACTERS:
        return text
    cut = text[-_TAIL_CHARACTERS:]
    first, _, rest = cut.partition("\n")
    return rest if rest.strip() and len(first) < _TAIL_CHARACTERS // 2 else cut


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
