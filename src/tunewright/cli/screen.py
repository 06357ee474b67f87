"""Where lines go: colours for a terminal that wants them, plain lines for everything else."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from tunewright.sdk.display import Display, Lines, Terminal

_STYLES = (
    ("  failed", "31"),
    ("Failed", "31"),
    ("    hint:", "33"),
    ("  new best", "32"),
    ("  first value", "32"),
    ("Best ", "1"),
)


def styled(line: str) -> str:
    """A line in the colour of what it says."""
    for mark, style in _STYLES:
        if (mark in line) if mark.startswith("  ") else line.startswith(mark):
            return f"\x1b[{style}m{line}\x1b[0m"
    return line


class ColourTerminal(Terminal):
    """A terminal whose permanent lines are coloured; the live region stays plain."""

    def say(self, lines: Sequence[str]) -> None:
        super().say([styled(line) for line in lines])


def choose(stream: TextIO | None = None) -> Display:
    """A live region on a terminal, one line per event elsewhere; NO_COLOR and TERM=dumb are respected."""
    out = sys.stdout if stream is None else stream
    if not out.isatty() or os.environ.get("TERM", "") in ("", "dumb"):
        return Lines(out)
    return Terminal(out) if os.environ.get("NO_COLOR") else ColourTerminal(out)
