"""Our own extension inside an AMT request: one JSON object in `StaticHyperParameters["_tunewright"]`.

A text too long for one static hyperparameter goes on in `_tunewright_2`, `_tunewright_3`, ...; the pieces are
joined in order. It never reaches the training program.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunewright.core.errors import Invalid, Problem
from tunewright.core.spec import Function
from tunewright.core.suggest import nearest

KEY = "_tunewright"
PIECE = 2500
TRAINING_KEYS = ("python", "function", "cpus", "gpus")
OPTION_KEYS = (
    "strategy",
    "initial_points",
    "conditions",
    "steps",
    "forbidden",
    "replicates",
    "keep_best",
    "hyperband_proposals",
    "hyperband_mode",
)
PART_KEYS = ("initial_points", "conditions", "steps", "forbidden")
"""Members that speak of the parameters of the definition in which they stand."""
_CHOICES = {"hyperband_proposals": ("model", "random"), "hyperband_mode": ("stopping", "promotion")}
_COUNTS = {"cpus": 1, "gpus": 0, "replicates": 1, "keep_best": 1}
_KINDS: dict[str, tuple[type, str]] = {
    "strategy": (str, "the name of an installed strategy"),
    "initial_points": (list, "a list of objects"),
    "conditions": (dict, "an object of parameter name to condition"),
    "steps": (dict, "an object of parameter name to step"),
    "forbidden": (list, "a list of conditions"),
}
_PIECE_KEY = re.compile(r"_tunewright(?:_([1-9][0-9]*))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Extension:
    """What a request says beyond AMT.

    Args:
        options: the job's extended features by name, each as JSON text.
    """

    python: str | None = None
    function: Function | None = None
    cpus: int = 1
    gpus: int = 0
    options: Mapping[str, str] = field(default_factory=dict)


def is_piece(key: str) -> bool:
    """Whether a static hyperparameter is a piece of the extension."""
    return _PIECE_KEY.fullmatch(key) is not None


def plain(static: Mapping[str, str]) -> dict[str, str]:
    """The static hyperparameters without the extension's pieces."""
    return {key: value for key, value in static.items() if not is_piece(key)}


def pack(extension: Mapping[str, object]) -> dict[str, str]:
    """An extension as static hyperparameters, in pieces that fit. Raises ValueError for NaN and infinity."""
    if not extension:
        return {}
    text = json.dumps(dict(extension), allow_nan=False, sort_keys=True, separators=(",", ":"))
    pieces = [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
    return {KEY if n == 1 else f"{KEY}_{n}": piece for n, piece in enumerate(pieces, start=1)}


def content(static: Mapping[str, str]) -> dict[str, Any]:
    """What `pack` was given, unchecked; empty when there is no extension.

    Raises:
        Invalid: a piece is missing, or the text is not a JSON object.
    """
    return _object(_joined(static)) if any(map(is_piece, static)) else {}


def unpack(static: Mapping[str, str]) -> Extension:
    """The extension in static hyperparameters, the empty one when there is none.

    Raises:
        Invalid: a piece is missing, the text is not a JSON object, or a member is unknown or of another kind.
    """
    found = content(static)
    problems = [*_unknown(found), *_wrong(found)]
    if problems:
        raise Invalid(problems)
    options = {name: json.dumps(found[name], allow_nan=False) for name in OPTION_KEYS if name in found}
    return Extension(
        python=found.get("python"),
        function=_function(found.get("function")),
        cpus=found.get("cpus", 1),
        gpus=found.get("gpus", 0),
        options=options,
    )


def _joined(static: Mapping[str, str]) -> str:
    numbered = {int(m[1] or 1): value for key, value in static.items() if (m := _PIECE_KEY.fullmatch(key))}
    missing = [n for n in range(1, max(numbered) + 1) if n not in numbered]
    if missing or len(numbered) != sum(map(is_piece, static)):
        raise Invalid.one(KEY, f"its pieces must be numbered {KEY}, {KEY}_2, ... without gaps or repetition.")
    return "".join(numbered[n] for n in sorted(numbered))


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Invalid.one(KEY, f"is not JSON: {error or 'nested too deeply'}.") from None
    if not isinstance(found, dict):
        raise Invalid.one(KEY, "must be a JSON object.")
    return found


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _unknown(found: Iterable[str]) -> list[Problem]:
    known = (*TRAINING_KEYS, *OPTION_KEYS)
    return [
        Problem(f"{KEY}.{name}", f"is no extension of ours{meant(name, known)}; known are {', '.join(known)}.")
        for name in found
        if name not in known
    ]


def _wrong(found: Mapping[str, Any]) -> list[Problem]:
    problems = []
    for name, least in _COUNTS.items():
        value = found.get(name, least)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            problems.append(Problem(f"{KEY}.{name}", f"must be a whole number of at least {least}, got {value!r}."))
    for name, choices in _CHOICES.items():
        if name in found and found[name] not in choices:
            problems.append(Problem(f"{KEY}.{name}", f"must be {' or '.join(choices)}, got {found[name]!r}."))
    for name, (kind, words) in _KINDS.items():
        if name in found and not isinstance(found[name], kind):
            problems.append(Problem(f"{KEY}.{name}", f"must be {words}, got {found[name]!r}."))
    python = found.get("python")
    if python is not None and not (isinstance(python, str) and python):
        problems.append(Problem(f"{KEY}.python", f"must be the path of an interpreter, got {python!r}."))
    if found.get("function") is not None and not _is_function(found["function"]):
        text = 'must be {"reference": "package.module:name" or a SHA-256, "pickled": bool, "path": [directories]}.'
        problems.append(Problem(f"{KEY}.function", text))
    return problems


def _is_function(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) - {"reference", "pickled", "path"}:
        return False
    pickled, path, reference = value.get("pickled", False), value.get("path", []), value.get("reference")
    if not isinstance(pickled, bool) or not isinstance(path, list) or not isinstance(reference, str):
        return False
    pattern = r"[0-9a-f]{64}" if pickled else r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*"
    return re.fullmatch(pattern, reference) is not None and all(isinstance(entry, str) for entry in path)


def _function(value: Any) -> Function | None:
    if value is None:
        return None
    return Function(value["reference"], value.get("pickled", False), tuple(value.get("path", [])))


def meant(name: str, known: Iterable[str]) -> str:
    """`, did you mean 'x'?` when a known name is close, else nothing."""
    close = nearest(name, known)
    return f", did you mean {close!r}?" if close else ""
