"""What a script's requirements.txt asks for, installed beside the interpreter and never into it.

SageMaker's training toolkit installs it into the container's own Python, which is thrown away. Here an interpreter is
shared by training jobs, and may be the one that we run in. So packages go to a directory of their own, which comes
first in the program's PYTHONPATH; one directory serves all training jobs with the same requirements and interpreter.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping

from tunewright.core.trial import Failure
from tunewright.executors import processes, reasons
from tunewright.executors.reasons import Refused
from tunewright.executors.workdir import Workdir

NAME = "requirements.txt"
_SHARED_OPTIONS = ("--index-url", "--extra-index-url", "-i", "--pre", "--prefer-binary", "--only-binary", "--no-binary")


def install(workdir: Workdir, python: str, packages: str, environment: Mapping[str, str]) -> str:
    """Install what `code/requirements.txt` asks for, unless that was done before; the directory, "" without any.

    Args:
        packages: the directory in which such directories are kept.
        environment: variables for pip, which reads its index and its proxies from there.

    Raises:
        Refused: pip failed; its last words are the reason.
    """
    file = f"{workdir.code}/{NAME}"
    if not os.path.isfile(file):
        return ""
    with open(file, "rb") as opened:
        text = opened.read()
    place = os.path.join(packages, _key(python, text)) if _shared(text) else workdir.at("packages")
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(f"{place}.lock", "a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(place):
            _install(workdir, python, place, environment)
    return place


def _install(workdir: Workdir, python: str, place: str, environment: Mapping[str, str]) -> None:
    made = f"{place}.new"
    shutil.rmtree(made, ignore_errors=True)
    options = ["--quiet", "--disable-pip-version-check", "--no-input", "--target", made]
    with open(workdir.stream("stderr"), "ab") as log:
        process = subprocess.Popen(
            [python, "-m", "pip", "install", *options, "-r", NAME],
            cwd=workdir.code,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            code = process.wait()
        finally:  # a stop breaks in
            processes.kill_group(process.pid, signal.SIGKILL)
            process.wait()
    if code != 0:
        reason = f"{NAME} could not be installed for {python}: {reasons.tail(workdir)}"
        raise Refused(Failure.CLIENT, reason)
    os.makedirs(made, exist_ok=True)  # a file without a requirement makes none
    os.rename(made, place)


def _key(python: str, text: bytes) -> str:
    real = os.path.realpath(python)
    # Two environments may share one interpreter, and an upgraded one is another.
    whole = f"{python}\0{real}\0{os.stat(real).st_mtime_ns}\0".encode() + text
    return hashlib.sha256(whole).hexdigest()[:32]


def _shared(text: bytes) -> bool:
    """Whether the text alone says what is installed: nothing beside it in the source directory counts."""
    for line in text.decode("utf-8", "replace").splitlines():
        words = line.split("#")[0].strip()
        if words.startswith("-") and not words.startswith(_SHARED_OPTIONS):
            return False
        local = "/" in words or words.startswith(".") or words.endswith((".whl", ".zip", ".gz"))
        if (local and "://" not in words) or "file:" in words:
            return False
    return True
