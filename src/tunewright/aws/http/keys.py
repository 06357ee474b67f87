"""The access keys that a server takes: read from a file, checked against what a request was signed with."""

from __future__ import annotations

import configparser
import json
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tunewright.core.errors import Invalid, Problem

_KEY = re.compile(r"[A-Za-z0-9_]{3,128}")
MIN_SECRET = 8


@dataclass(frozen=True, slots=True)
class Key:
    """An access key.

    Args:
        read_only: whether it may look but change nothing.
    """

    access: str
    secret: str
    read_only: bool = False


def load_keys(path: Path) -> dict[str, Key]:
    """The keys in a file, by access key.

    JSON: `{"AKIDEXAMPLE": "secret", "AKIDREADER": {"secret": "...", "read_only": true}}`; INI: the same as sections
    `[AKIDEXAMPLE]` with `secret = ...` and `read_only = yes`.

    Raises:
        Invalid: the file cannot be read, everybody may read it, it holds no key, or one is no key.
    """
    try:
        if path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            raise Invalid.one(str(path), "holds secrets but is open to everybody; run: chmod 600 FILE")
        text = path.read_text(encoding="utf-8")
        found = _json(text) if text.lstrip().startswith("{") else _ini(text)
    except (OSError, ValueError, configparser.Error) as error:
        raise Invalid.one(str(path), f"cannot be read as a file of keys: {error}") from error
    problems = [Problem(str(path), text) for key in found for text in _problems(key)]
    if not found:
        problems = [Problem(str(path), 'holds no key; write {"ACCESSKEY": "secret of your own"}.')]
    if problems:
        raise Invalid(problems)
    return {key.access: key for key in found}


def _problems(key: Key) -> list[str]:
    found = []
    if not _KEY.fullmatch(key.access):
        found.append(f"{key.access!r} is no access key: 3 to 128 letters, digits and underscores.")
    if len(key.secret) < MIN_SECRET:
        found.append(f"the secret of {key.access!r} has fewer than {MIN_SECRET} characters; choose a longer one.")
    return found


def _json(text: str) -> list[Key]:
    found = []
    for access, entry in dict(json.loads(text)).items():
        entry = {"secret": entry} if isinstance(entry, str) else entry
        if not isinstance(entry, Mapping) or set(entry) - {"secret", "read_only"}:
            raise ValueError(f'{access!r} needs a secret, or {{"secret": "...", "read_only": true}}')
        read_only = entry.get("read_only", False)
        if not isinstance(read_only, bool):
            raise ValueError(f"read_only of {access!r} is true or false, got {read_only!r}")
        found.append(Key(access, str(entry.get("secret", "")), read_only))
    return found


def _ini(text: str) -> list[Key]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    return [
        Key(name, section.get("secret", ""), section.getboolean("read_only", fallback=False))
        for name, section in parser.items()
        if name != parser.default_section
    ]
