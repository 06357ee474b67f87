"""What `doctor` looks at, and what it makes of it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version

from tunewright.cli.clearing import functions
from tunewright.cli.engine import Engine, connect, orphans
from tunewright.cli.names import listed
from tunewright.cli.replaying import replayed
from tunewright.core.errors import TunewrightError
from tunewright.core.reads import JobQuery
from tunewright.executors import images, rooms
from tunewright.executors.programs.containers import run_quietly
from tunewright.executors.programs.forkclient import MODULE
from tunewright.executors.slots import capacity
from tunewright.settings import Settings, given
from tunewright.store.database import HEAD

LOW_BYTES, EMPTY_BYTES = 2_000_000_000, 200_000_000
FOLDED_JOBS = 5
START_SECONDS = 60
_CONFIDENTIAL = {"store", "objects", "events", "images"}
"""Settings that may hold passwords and tokens."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Args:
        verdict: `ok`, `note` for what a person may want to know, or `bad`.
    """

    verdict: str
    check: str
    text: str

    @property
    def bad(self) -> bool:
        return self.verdict == "bad"

    def row(self) -> tuple[str, str, str]:
        return (self.verdict, self.check, self.text)

    def shape(self) -> dict[str, str]:
        return {"Verdict": self.verdict, "Check": self.check, "Found": self.text}


def checkup(*, clean: bool = False) -> list[Finding]:
    """Everything that can be looked at without changing anything that matters.

    Args:
        clean: remove functions that nobody needs any more.
    """
    findings = [_python()]
    try:
        settings = Settings.load()
    except TunewrightError as error:
        return [*findings, Finding("bad", "settings", str(error))]
    findings += [_settings(), _home(settings), _disk(settings)]
    if findings[-2].bad:
        return findings
    findings += _careful("slots", lambda: _slots(settings))
    findings += _careful("fork server", _fork_server)
    findings += _careful(rooms.OPT_ML, lambda: _opt_ml(settings))
    findings += _careful("images", lambda: _images(settings))
    try:
        engine = connect()
        engine.reads.jobs(JobQuery(limit=1))
    # Broad: each driver has errors of its own, and whatever keeps the store from opening is what is asked here.
    except Exception as error:
        reason = str(error).replace(settings.store, _where(settings))
        return [*findings, Finding("bad", "store", f"{_where(settings)} does not open: {reason}")]
    findings.append(_store(settings))
    findings += _careful("in charge", lambda: _orphans(engine))
    findings += _careful("journals", lambda: _journals(engine))
    return findings + _careful("functions", lambda: _functions(engine, clean=clean))


def _careful(check: str, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """Findings of one look; what it stumbles over is a finding too."""
    try:
        return list(look())
    # Broad: a look that stumbles over a broken machine is a finding, and the looks after it are still wanted.
    except Exception as error:
        return [Finding("bad", check, f"{type(error).__name__}: {error}")]


def _python() -> Finding:
    text = f"Python {platform.python_version()} at {sys.executable}, tunewright {version('tunewright')}"
    return Finding("ok" if sys.version_info >= (3, 11) else "bad", "python", text)


def _settings() -> Finding:
    """What is set and where; values that may hold secrets are not shown."""
    said = [
        f"{name} ({source})" if name in _CONFIDENTIAL else f"{name} = {value} ({source})"
        for name, (value, source) in sorted(given().items())
    ]
    return Finding("ok", "settings", f"{listed(said)}; the others by default" if said else "all by default")


def _home(settings: Settings) -> Finding:
    home = settings.home
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        return Finding("bad", "home", f"{home} cannot be written: {error.strerror or error}; set TUNEWRIGHT_HOME")
    return Finding("ok", "home", f"{home} is writable")


def _disk(settings: Settings) -> Finding:
    place = settings.home if settings.home.exists() else settings.home.anchor
    free = shutil.disk_usage(place).free
    verdict = "bad" if free < EMPTY_BYTES else "note" if free < LOW_BYTES else "ok"
    return Finding(verdict, "disk", f"{free / 1e9:.1f} GB free")


def _slots(settings: Settings) -> Iterator[Finding]:
    found = capacity(settings.slots)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpus = f", {len(found.gpus)} GPUs ({listed(found.gpus)})" if found.gpus else ", no GPU"
    yield Finding("ok", "slots", f"{cores} cores, {found.cpus} training jobs at once{gpus}")


def _fork_server() -> Iterator[Finding]:
    """Whether a Python of our own starts with nothing but what the fork server needs."""
    command = [sys.executable, "-P", "-c", f"import {MODULE}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        yield Finding("bad", "fork server", f"does not start: {last}")
    else:
        yield Finding("ok", "fork server", "starts")


def _opt_ml(settings: Settings) -> Iterator[Finding]:
    """What training programs find at the path that is written into programs for SageMaker."""
    why = "the setting opt_ml says rewrite" if settings.opt_ml == "rewrite" else rooms.obstacle()
    if not why:
        yield Finding("ok", rooms.OPT_ML, "every training job has its own, in a mount namespace")
        return
    text = f"{why}: the path is replaced in entry points and in SDK v3's scripts; scripts that name it fail"
    yield Finding("note", rooms.OPT_ML, text)


def _images(settings: Settings) -> Iterator[Finding]:
    """Whether what training images are mapped to is there; nothing is said of an empty table."""
    for image in images.parse(settings.images):
        if image.engine:
            program = image.program()
            code = 127 if program is None else run_quietly([program, "version"], os.environ)[0]
            text = "answers" if code == 0 else "is not there" if program is None else "does not reach its engine"
            yield Finding("ok" if code == 0 else "bad", "images", f"{image.pattern}: {image.engine} {text}")
        else:
            path = image.interpreter()
            there = shutil.which(path) is not None
            text = path if there else f"{path} does not exist or is not executable"
            yield Finding("ok" if there else "bad", "images", f"{image.pattern}: {text}")


def _where(settings: Settings) -> str:
    """The store's address without the password in it."""
    head, at, tail = settings.store.rpartition("@")
    if not at:
        return settings.store
    scheme, slashes, rest = head.partition("://")
    return f"{scheme}{slashes}{rest.partition(':')[0]}:***@{tail}"


def _store(settings: Settings) -> Finding:
    return Finding("ok", "store", f"{_where(settings)} opens, version {HEAD}")


def _orphans(engine: Engine) -> Iterator[Finding]:
    if names := orphans(engine):
        yield Finding("note", "in charge", f"nobody runs {listed(names)}; take over with: tunewright resume {names[0]}")
    else:
        yield Finding("ok", "in charge", "every job that is not over has somebody who runs it")


def _functions(engine: Engine, *, clean: bool) -> Iterator[Finding]:
    for superfluous, text in functions(engine.settings.home, engine.reads, clean=clean):
        yield Finding("note" if superfluous else "ok", "functions", text)


def _journals(engine: Engine) -> Iterator[Finding]:
    newest = engine.reads.jobs(JobQuery(sort="CreationTime", descending=True, limit=FOLDED_JOBS)).items
    wrong = [view.job.name for view in newest if replayed(engine.reads, view.job).differences]
    if wrong:
        yield Finding(
            "bad", "journals", f"{listed(wrong)} do not fold to the stored rows; see: tunewright replay {wrong[0]}"
        )
    else:
        yield Finding("ok", "journals", f"the newest {len(newest)} fold to the stored rows")
