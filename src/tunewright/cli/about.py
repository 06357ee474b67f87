"""The version, for `--version`."""

from __future__ import annotations

from importlib.metadata import version


def about() -> str:
    return f"tunewright {version('tunewright')}"
