"""What AMT has no field for, as one JSON value among the static hyperparameters."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tunewright.aws.sagemaker.extension import KEY


def join_extension(texts: Mapping[str, str]) -> tuple[dict[str, str], dict[str, object]]:
    """Hyperparameters without our extensions, and the extensions."""
    rest = {name: text for name, text in texts.items() if name != KEY and not name.startswith(f"{KEY}_")}
    pieces: list[str] = []
    while (name := KEY if not pieces else f"{KEY}_{len(pieces) + 1}") in texts:
        pieces.append(texts[name])
    found: object = json.loads("".join(pieces)) if pieces else {}
    return rest, found if isinstance(found, dict) else {}


def replicates_in(extensions: Mapping[str, object]) -> int:
    """How many training jobs each configuration gets."""
    told = extensions.get("replicates", 1)
    return told if isinstance(told, int) and told > 0 else 1
