"""What AMT has no field for, as one JSON value among the static hyperparameters."""

from __future__ import annotations

import json
from collections.abc import Mapping

KEY = "_tunewright"
PIECE = 2500


def split_extension(extension: Mapping[str, object]) -> dict[str, str]:
    """The hyperparameters that carry our extensions: `_tunewright`, `_tunewright_2`, ... of 2,500 characters each."""
    if not extension:
        return {}
    text = json.dumps(dict(extension), allow_nan=False, sort_keys=True, separators=(",", ":"))
    pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
    return {KEY if index == 0 else f"{KEY}_{index + 1}": piece for index, piece in enumerate(pieces)}


def join_extension(texts: Mapping[str, str]) -> tuple[dict[str, str], dict[str, object]]:
    """Hyperparameters without our extensions, and the extensions."""
    rest = {name: text for name, text in texts.items() if name != KEY and not name.startswith(f"{KEY}_")}
    pieces: list[str] = []
    while (name := KEY if not pieces else f"{KEY}_{len(pieces) + 1}") in texts:
        pieces.append(texts[name])
    found: object = json.loads("".join(pieces)) if pieces else {}
    return rest, found if isinstance(found, dict) else {}
