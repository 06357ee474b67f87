"""Tuning files as tests read them: checked by themselves, whatever machine and service would say."""

from __future__ import annotations

from pathlib import Path

from tunewright.cli.tunefile.request import Draft, TuningFile
from tunewright.cli.tunefile.schema_check import told
from tunewright.core.errors import Invalid


def load(path: Path, *, strict: bool, now: float, name: str | None = None) -> TuningFile:
    """A tuning file in which nothing is wrong. Raises Invalid with every problem of the file."""
    draft = Draft.of(path, strict=strict, now=now, name=name)
    if draft.found:
        raise Invalid(told(draft.document, draft.found))
    return draft.file(draft.document.data)
