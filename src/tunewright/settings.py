"""Every knob, one frozen dataclass: from `TUNEWRIGHT_*` variables, else `tunewright.toml`, else defaults."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tunewright.core.errors import Invalid, Problem

PREFIX = "TUNEWRIGHT_"
FILE = "tunewright.toml"
WORDS = {"executor": ("local",), "opt_ml": ("auto", "rewrite"), "requirements": ("ignore", "install")}
SECONDS = ("lease_seconds", "stop_grace_seconds", "capacity_seconds")
PATTERNS = {
    "region": (r"[a-z0-9-]{1,32}", "must be small letters, digits and hyphens, such as us-east-1"),
    "account": (r"[0-9]{12}", "must be 12 digits"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How this installation behaves.

    Args:
        home: directory of everything that Tunewright keeps; `~/.tunewright`.
        store: SQLAlchemy URL; an SQLite file in `home` by default.
        executor: what runs training jobs; `local`, processes on this machine, is the only one so far.
        slots: training jobs that may run at once on this host, such as `8` or `cpu=8,gpu=2`.
        objects: directory that `s3://` names live in, or the endpoint of a real S3.
        lease_seconds: how long a silent controller on another host keeps its jobs.
        stop_grace_seconds: seconds between SIGTERM and SIGKILL; None is 120 in strict, 30 in extended.
        region, account: what ARNs are made of.
        events: files and webhooks that are told of state changes, `events.jsonl,http://127.0.0.1:9000/hook`.
        images: what training images stand for, as JSON: `{"*pytorch*": "/envs/torch", "*": {"engine": "docker"}}`.
        opt_ml: `auto` gives training programs a `/opt/ml` of their own where the kernel allows it; `rewrite` never.
        requirements: `install` installs a script's requirements.txt into a directory of its own, `ignore` does not.
        quotas: account quotas other than AMT's, such as `parallel=100,jobs=10000`.
        instances: instance types on offer and their slots, `ml.m5.large cpu=2; ml.g5.xlarge cpu=4,gpu=1`; none: all.
        capacity_seconds: how long each of several instance types is waited for before the next one is tried.
    """

    home: Path
    store: str
    executor: str = "local"
    slots: str = ""
    objects: str = ""
    lease_seconds: float = 30.0
    stop_grace_seconds: float | None = None
    region: str = "us-east-1"
    account: str = "000000000000"
    quotas: str = ""
    events: str = ""
    opt_ml: str = "auto"
    images: str = ""
    requirements: str = "ignore"
    instances: str = ""
    capacity_seconds: float = 30.0

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None, directory: Path | None = None) -> Settings:
        """Settings from the environment and from `tunewright.toml` in `directory` (default: the current one).

        Raises:
            Invalid: the file cannot be read, holds an unknown name, or a value is not of its kind.
        """
        return cls._make({name: value for name, (value, _) in given(environment, directory).items()})

    @classmethod
    def _make(cls, found: Mapping[str, object]) -> Settings:
        if problems := list(_problems(found)):
            raise Invalid(problems)
        home = Path(str(found.get("home") or "~/.tunewright")).expanduser().absolute()
        values: dict[str, Any] = {"store": f"sqlite:///{home / 'tunewright.db'}", "objects": str(home / "objects")}
        values |= {name: str(value) for name, value in found.items() if value not in (None, "")}
        values |= {name: float(str(found[name])) for name in SECONDS if name in found}
        if (images := found.get("images")) and not isinstance(images, str):
            values["images"] = json.dumps(images)
        return cls(**{**values, "home": home})


def given(environment: Mapping[str, str] | None = None, directory: Path | None = None) -> dict[str, tuple[object, str]]:
    """What is set, and by what: a variable's name, or that of the file. Raises Invalid when that cannot be read."""
    environment = os.environ if environment is None else environment
    found: dict[str, tuple[object, str]] = {
        name: (value, FILE) for name, value in _from_file((directory or Path.cwd()) / FILE).items()
    }
    for field in fields(Settings):
        variable = PREFIX + field.name.upper()
        if value := environment.get(variable):
            found[field.name] = value, variable
    return found


def _problems(found: Mapping[str, object]) -> Iterator[Problem]:
    known = {field.name for field in fields(Settings)}
    for name in found:
        if name not in known:
            yield Problem(f"{FILE}: {name}", f"is not a setting; known are {', '.join(sorted(known))}.")
    for name in SECONDS:
        if name in found and not _is_seconds(found[name], more=name == "lease_seconds"):
            yield _wrong(name, "must be a number of seconds, above 0 for a lease", found[name])
    for name, words in WORDS.items():
        if found.get(name) not in (None, "", *words):
            yield _wrong(name, f"must be {' or '.join(words)}", found[name])
    for name, (pattern, rule) in PATTERNS.items():
        if (value := found.get(name)) and not re.fullmatch(pattern, str(value)):
            yield _wrong(name, rule, value)


def _is_seconds(value: object, *, more: bool) -> bool:
    """Whether it is a finite number from 0 on, or of `more` than 0."""
    try:
        seconds = float(str(value))
        return 0 <= seconds < float("inf") and (seconds > 0 or not more)
    except ValueError:
        return False


def _wrong(name: str, rule: str, value: object) -> Problem:
    return Problem(name, f"{rule}, got {value!r}. Correct {PREFIX}{name.upper()}, or {name} in {FILE}.")


def _from_file(path: Path) -> dict[str, object]:
    if not path.is_file():
        return {}
    try:
        return dict(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise Invalid.one(str(path), f"cannot be read: {error}.") from error
