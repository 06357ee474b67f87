"""Reading a tuning file: YAML by the rules of 1.2, TOML or JSON, as plain data with the line of each field.

YAML 1.2's core schema is what people expect of a configuration: `1e-4` is a number, and `on`, `off`, `yes`
and `no` are text. Dates stay text too. A key given twice is an error in all three formats.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml

from tunewright.core.errors import Invalid, Problem

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
Where: TypeAlias = tuple[str | int, ...]

MAX_BYTES = 4_000_000
MAX_NODES = 50_000
MAX_DEPTH = 40


@dataclass(frozen=True, slots=True)
class Document:
    """A file's data and where its fields stand.

    Args:
        path: the file.
        data: plain values; the top is a table.
        lines: line numbers, from 1, by path of keys and indices.
    """

    path: Path
    data: dict[str, Plain]
    lines: Mapping[Where, int]

    def line(self, where: Where) -> int | None:
        """The line of a field, or of the nearest field around it that has one."""
        for end in range(len(where), 0, -1):
            if (found := self.lines.get(where[:end])) is not None:
                return found
        return None

    def place(self, where: Where) -> str:
        """`line 12, parameters.lr.min` for a person."""
        line = self.line(where)
        return (f"line {line}, " if line else "") + (dotted(where) or "the file")


def dotted(where: Where) -> str:
    """`parameters.lr.values[2]` of a path of keys and indices."""
    text = ""
    for part in where:
        word = f"[{part}]" if isinstance(part, int) else part or "''"
        text += f".{word}" if text and isinstance(part, str) else word
    return text


def read(path: Path) -> Document:
    """Read a tuning file by its suffix (.yaml, .yml, .toml, .json).

    Raises:
        Invalid: it cannot be read, is not of its format, or its top is not a table.
    """
    text = _text(path)
    try:
        data, lines = _parsed(text, path.suffix.lower())
    except RecursionError:
        raise Invalid.one("", "the file is nested too deeply.") from None
    if not isinstance(data, dict):
        raise Invalid.one("", "the file holds no fields; see `tunewright init` for a first one.")
    return Document(path, data, lines)


def _parsed(text: str, suffix: str) -> tuple[Plain, Mapping[Where, int]]:
    """What a file of this suffix holds, and where. Raises Invalid."""
    match suffix:
        case ".yaml" | ".yml":
            return _yaml(text)
        case ".toml":
            data: Plain = _toml(text)
        case ".json":
            data = _json(text)
        case _:
            raise Invalid.one(
                "", f"the suffix {suffix!r} is not known; a tuning file ends in .yaml, .yml, .toml or .json."
            )
    return data, dict(_lines(text, data, (), 0))


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise Invalid.one("", f"the file has {size:,} bytes; a tuning file may have {MAX_BYTES:,}.")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise Invalid.one(str(path), "there is no such file; `tunewright init SCRIPT` writes a first one.") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Invalid.one("", f"cannot be read: {reason}.") from error


# ---- YAML 1.2 ----

_WORDS: dict[str, Plain] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_INTEGER = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")


def scalar(text: str) -> Plain:
    """The value of a plain (unquoted) scalar by YAML 1.2's core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return int(text[2:] if base != 10 else text, base) if len(text) <= 400 else text
    if _FLOAT.match(text):
        return float(text)
    return text


class _Walk:
    """Turns composed YAML nodes into plain values, noting lines; bounded against aliases that multiply."""

    def __init__(self) -> None:
        self.lines: dict[Where, int] = {}
        self.problems: list[Problem] = []
        self._nodes = 0

    def value(self, node: yaml.Node, where: Where) -> Plain:
        self._nodes += 1
        if self._nodes > MAX_NODES or len(where) > MAX_DEPTH:
            raise Invalid.one("", f"the file is nested too deeply or has more than {MAX_NODES:,} values.")
        if where:
            self.lines.setdefault(where, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, where)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*where, index)) for index, item in enumerate(node.value)]
        text = str(node.value)
        plain = isinstance(node, yaml.ScalarNode) and node.style is None and node.tag != "tag:yaml.org,2002:str"
        return scalar(text) if plain or node.tag in _TYPED else text

    def _mapping(self, node: yaml.MappingNode, where: Where) -> Plain:
        found: dict[str, Plain] = {}
        merged: dict[str, Plain] = {}
        for key, item in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else None
            line = key.start_mark.line + 1
            if name is None:
                self.problems.append(Problem(f"line {line}", "a key must be text."))
                continue
            if name == "<<" and key.style is None:
                merged |= self._merge(item, where)
                continue
            if name in found:
                self.problems.append(Problem(f"line {line}, {dotted((*where, name))}", "is given twice; keep one."))
            self.lines[(*where, name)] = line
            found[name] = self.value(item, (*where, name))
        return {**merged, **found}

    def _merge(self, node: yaml.Node, where: Where) -> dict[str, Plain]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Plain] = {}
        for part in reversed(parts):
            value = self.value(part, where)
            merged |= value if isinstance(value, dict) else {}
        return merged


_TYPED = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "null")}


class _Loader(yaml.SafeLoader):
    """Composes nodes without giving them a type: `_Walk` decides what a plain scalar is."""

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: object) -> str:
        return "tag:tunewright,plain"


def _yaml(text: str) -> tuple[Plain, Mapping[Where, int]]:
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise Invalid.one(place, f"is not YAML: {error.problem or error.context}.") from error
    except yaml.YAMLError as error:
        raise Invalid.one("", f"is not YAML: {error}.") from error
    if node is None:
        return None, {}
    walk = _Walk()
    value = walk.value(node, ())
    if walk.problems:
        raise Invalid(walk.problems)
    return value, walk.lines


# ---- TOML and JSON ----


def _toml(text: str) -> dict[str, Plain]:
    try:
        return {name: _plain(value) for name, value in tomllib.loads(text).items()}
    except tomllib.TOMLDecodeError as error:
        raise Invalid.one("", f"is not TOML: {error}.") from error


def _plain(value: object) -> Plain:
    """TOML's dates and times as text; everything else is plain already."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _json(text: str) -> Plain:
    problems: list[Problem] = []

    def table(pairs: list[tuple[str, Plain]]) -> dict[str, Plain]:
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        problems.extend(Problem(name, "is given twice; keep one.") for name in twice)
        return dict(pairs)

    def refuse(name: str) -> float:
        raise ValueError(f"{name} is not JSON")

    try:
        value: Plain = json.loads(text, object_pairs_hook=table, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise Invalid.one(f"line {error.lineno}, column {error.colno}", f"is not JSON: {error.msg}.") from error
    except ValueError as error:
        raise Invalid.one("", f"is not JSON: {error}.") from error
    if problems:
        raise Invalid(problems)
    return value


def _lines(text: str, data: Plain, where: Where, start: int) -> Iterator[tuple[Where, int]]:
    """Lines of the fields of `data`, which is the value at `where` and begins after `start` in the text.

    Found by looking for each key after the key around it; close enough for a message.
    """
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        at = start
        if isinstance(key, str):
            quoted = re.escape(key)
            found = re.compile(rf"(?<![\w-])[\"']?{quoted}[\"']?\s*[:=\].]").search(text, start)
            if found is not None:
                at = found.end() - 1
                yield (*where, key), text.count("\n", 0, found.start()) + 1
        yield from _lines(text, value, (*where, key), at)
