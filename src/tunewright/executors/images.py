"""What a training image stands for on this machine: an interpreter for its scripts, or a container engine."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tunewright.core.errors import Invalid, Problem

ENGINES = ("docker", "podman")
SETTING = "images"


@dataclass(frozen=True, slots=True)
class Image:
    """One line of the table.

    Args:
        pattern: which images are meant: `*` stands for any text, `?` for one character.
        python: the interpreter for scripts, or the directory of an environment; "" is Tunewright's own.
        engine: `docker`, `podman`, or the path of a program that takes the same arguments; "" is none.
        options: further arguments of `engine run`, such as `--network=none`.
    """

    pattern: str
    python: str = ""
    engine: str = ""
    options: tuple[str, ...] = ()

    def interpreter(self) -> str:
        """The path of the interpreter, whether or not it is there."""
        path = os.path.expanduser(self.python)
        return os.path.join(path, "bin", "python") if os.path.isdir(path) else path

    def program(self) -> str | None:
        """The path of the engine's program, or None when there is none."""
        return shutil.which(os.path.expanduser(self.engine))


def find(images: Sequence[Image], image: str | None) -> Image | None:
    """The first line that means an image."""
    return next((line for line in images if fnmatchcase(image or "", line.pattern)), None)


def parse(text: str) -> tuple[Image, ...]:
    """The table from a JSON object of pattern to interpreter, or to an object with `python`, or `engine` and `options`.

    Raises:
        Invalid: all that is wrong with it.
    """
    if not text.strip():
        return ()
    try:
        table = json.loads(text)
    except ValueError as error:
        raise Invalid.one(SETTING, f"is not JSON: {error}. {_EXAMPLE}") from error
    if not isinstance(table, Mapping):
        raise Invalid.one(SETTING, f"must be a table of image patterns. {_EXAMPLE}")
    problems = [problem for pattern, value in table.items() for problem in _problems(pattern, value)]
    if problems:
        raise Invalid(problems)
    return tuple(_image(pattern, value) for pattern, value in table.items())


_EXAMPLE = 'Write {"*pytorch-training*": "/envs/torch/bin/python"} or {"*": {"engine": "docker"}}.'


def _image(pattern: str, value: str | Mapping[str, object]) -> Image:
    if isinstance(value, str):
        return Image(pattern, python=value)
    options = value.get("options", [])
    given = tuple(map(str, options)) if isinstance(options, list) else ()
    return Image(pattern, str(value.get("python", "")), str(value.get("engine", "")), given)


def _problems(pattern: str, value: object) -> Iterator[Problem]:
    where = f"{SETTING}.{pattern}"
    if isinstance(value, str):
        if not value:
            yield Problem(where, "names no interpreter; write its path.")
        return
    if not isinstance(value, Mapping):
        yield Problem(where, f"must be a path, or a table with python or engine, got {value!r}.")
        return
    unknown = sorted(set(value) - {"python", "engine", "options"})
    if unknown:
        yield Problem(where, f"does not know {', '.join(unknown)}; known are python, engine and options.")
    if bool(value.get("python")) == bool(value.get("engine")):
        yield Problem(where, "needs either python or engine.")
    for name in ("python", "engine"):
        if not isinstance(value.get(name, ""), str):
            yield Problem(f"{where}.{name}", f"must be text, got {value[name]!r}.")
    engine = value.get("engine")
    if isinstance(engine, str) and engine and engine not in ENGINES and not os.path.isabs(os.path.expanduser(engine)):
        yield Problem(f"{where}.engine", f"must be {', '.join(ENGINES)} or an absolute path, got {engine!r}.")
    options = value.get("options", [])
    if not isinstance(options, list) or not all(
        isinstance(option, str) and option.startswith("-") for option in options
    ):
        yield Problem(f"{where}.options", 'must be a list of texts such as "--network=none", each beginning with "-".')
    elif options and not engine:
        yield Problem(f"{where}.options", "belongs to an engine; there is none.")
