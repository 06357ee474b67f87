"""Why a training job failed, in one line for a person: what a FailureReason says, whoever wrote it."""

from __future__ import annotations

import re

NO_REASON = "no reason was given"

_PREFIX = re.compile(r"(?:AlgorithmError|ClientError|InternalServerError|CapacityError|Interrupted):\s+")
_SCRIPT = re.compile(r"(?:on [\w.-]+: )?ExecuteUserScriptError:")
_EXIT = re.compile(r"^ExitCode (-?\d+)(?:: (.+))?$", re.MULTILINE)
_QUOTED = re.compile(r'^ErrorMessage "(.*?)(?:"\n(?:Command "|requirements\.txt is )|"?\Z)', re.DOTALL | re.MULTILINE)
_FORM = re.compile(r'(?:on [\w.-]+: )?ExecuteUserScriptError:|ExitCode |Command "|ErrorMessage "')
_GROUP = re.compile(r"^ *\| ?", re.MULTILINE)
_FRAME = re.compile(r'\s+File ".*", line \d+(?:, in .*)?$')
_EXCEPTION = re.compile(r"(?:[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Warning|Killed)\b.*|.*: error: .*)$")
_DUMPED = re.compile(r'File ".*", line \d+ in |(?:Current thread|Thread) 0x|Extension modules: ')
"""A line of what faulthandler writes when a process dies."""
_EDGES = "│┃║|─━═ "
_BOX = re.compile(r"^[ \t]*[╭┌┏╔](.*)[╮┐┓╗][ \t]*\n((?:[ \t]*[│┃║|].*\n)+)[ \t]*[╰└┗╚].*\s*\Z", re.MULTILINE)
"""The box at the end of a text, as Typer draws one around an error: its title, and the lines in it."""
_MASKED = re.compile(r"0x[0-9a-fA-F]+|[\w-]+-\d{3,}-[0-9a-f]{8}|(?<!exit code )(?<!\d)\d+(?:\.\d+)?")


def cause(reason: str) -> str:
    """The line of a FailureReason that says most, without AMT's failure class.

    Of what a script wrote last it is the exception of the last traceback, else the last line, with the signal or an
    unusual exit code before it; the signal or the exit code alone when the script wrote nothing. Of any other text
    it is the exception in it, else its first line.
    """
    text = reason.strip()
    text = text[head.end() :] if (head := _PREFIX.match(text)) else text
    quoted = _QUOTED.search(text)
    if quoted is not None and quoted.group(1).strip():
        return _ended(text, quoted.group(1))
    lines = [line.strip() for line in text.splitlines() if line.strip() and not _FORM.match(line)]
    found = _raised(text) or next((line for line in reversed(lines) if _EXCEPTION.match(line)), "")
    if not found and (_EXIT.search(text) or not lines):
        return _how(text) or NO_REASON
    return found or lines[0]


def kind(reason: str) -> str:
    """What two failures of the same cause have in common: the cause without numbers, names and addresses."""
    return _MASKED.sub("#", cause(reason))


def in_short(reason: str) -> str:
    """A job's FailureReason in one line: what it says first, and the cause of the failure that it quotes."""
    text = reason.strip()
    found = _PREFIX.search(text)
    if found is None:
        return text.partition("\n")[0]
    return f"{text[: found.start()]}{cause(text[found.start() :])}"


def _ended(text: str, said: str) -> str:
    """The cause for a program that wrote something before it ended."""
    raised = _raised(said)
    last = raised or _last(said)
    how = _how(text)
    code = _EXIT.search(text)
    if last and code is not None and not code.group(2) and (how == "exit code 1" or raised or "error" in last.lower()):
        return last
    return (how or NO_REASON) if last in how else f"{how}: {last}" if how else last


def _how(text: str) -> str:
    """`ended by SIGSEGV`, `exit code 3`; for a function the sentence that says how it ended."""
    code = _EXIT.search(text)
    if code is not None:
        return code.group(2) or f"exit code {code.group(1)}"
    first = text.partition("\n")[0]
    return "" if _FORM.match(first) else first.rstrip(".")


def _raised(text: str) -> str:
    """The exception of the last traceback, whatever its class is called; empty when there is none.

    It begins in the first line after the frames that is not indented; messages of several lines go on below it.
    """
    lines = _GROUP.sub("", text).splitlines()
    frames = [number for number, line in enumerate(lines) if _FRAME.match(line)]
    below = lines[frames[-1] + 1 :] if frames else []
    return next((line.strip() for line in below if line.strip() and not line[0].isspace()), "")


def _last(text: str) -> str:
    if boxed := _BOX.search(text):
        return _in_box(*boxed.groups())
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if any(map(str.isalnum, line)) and not _DUMPED.match(line)]
    fatal = [line for line in lines if line.startswith("Fatal Python error")]
    return (fatal or telling or [""])[-1]


def _in_box(title: str, inside: str) -> str:
    """What a box drawn around a message says, as one line: `Error: No such option: --lr`."""
    words = " ".join(line.strip(_EDGES) for line in inside.splitlines())
    title = title.strip(_EDGES)
    return f"{title}: {words.strip()}" if title else words.strip()
