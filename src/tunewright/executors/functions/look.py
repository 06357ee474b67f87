"""Looking at a training function, as a worker would find it, without calling it: in a process of its own.

As a program: `python -m tunewright.executors.functions.look REFERENCE DIRECTORY...` prints what it found as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict

from tunewright.core.spec import Function
from tunewright.executors.functions.store import Unloadable, load_function
from tunewright.executors.functions.takes import Takes
from tunewright.executors.workdir import write_all

LOOK_SECONDS = 120.0


def look(reference: str, path: Sequence[str]) -> Takes | str | None:
    """What the function `module:name` takes, or why there is no such function; None when that cannot be told.

    Args:
        path: directories in which its module is looked for first.
    """
    command = [sys.executable, "-P", "-m", __name__, reference, *path]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LOOK_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if not done.stdout:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return f"importing {reference.partition(':')[0]!r} ended the interpreter: {last}"
    found = json.loads(done.stdout)
    if not isinstance(found, dict):
        return None if found is None else str(found)
    lists = {name: tuple(found[name]) for name in ("known", "nameless")}
    return Takes(**{**found, **lists, "needed": frozenset(found["needed"])})


def main(arguments: Sequence[str]) -> None:
    """Print what a function takes, or why there is none."""
    reference, *path = arguments
    answers = os.dup(1)
    os.dup2(2, 1)  # what the module prints is no part of the answer
    sys.path[:0] = [each for each in path if each not in sys.path]
    try:
        takes = Takes.of(load_function(Function(reference, path=tuple(path)), ""))
        answer: object = None if takes is None else {**asdict(takes), "needed": sorted(takes.needed)}
    except Unloadable as error:
        answer = str(error)
    write_all(answers, json.dumps(answer).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
