"""Where lines of progress go: a terminal with a live region, one place in a notebook, or plain lines."""

from __future__ import annotations

import html
import importlib
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Protocol, TextIO

from tunewright.core.errors import FULL_DISK

MAX_NOTEBOOK_LINES = 200


class Display(Protocol):
    """Shows what is said once, and below it what changes."""

    def say(self, lines: Sequence[str]) -> None:
        """Lines that stay."""
        ...

    def live(self, lines: Sequence[str]) -> None:
        """Lines that replace the last ones of their kind; a display that cannot leaves them out."""
        ...

    def close(self) -> None:
        """Take the live lines away."""
        ...


class Lines:
    """One line per event and nothing that moves: files, pipes, continuous integration."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def say(self, lines: Sequence[str]) -> None:
        for line in lines:
            try:
                print(line, file=self._out, flush=True)
            except OSError as error:
                # What there is no room for waits in the stream's buffer, and is written with what comes after it.
                if error.errno not in FULL_DISK:
                    raise

    def live(self, lines: Sequence[str]) -> None:
        return None

    def close(self) -> None:
        return None


class Terminal:
    """Permanent lines with a live region below them, redrawn in place."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._drawn: list[str] = []

    def say(self, lines: Sequence[str]) -> None:
        if lines:
            shown = self._drawn
            self._erase()
            self._out.write("".join(f"{line}\n" for line in lines))
            self.live(shown)

    def live(self, lines: Sequence[str]) -> None:
        width = max(20, shutil.get_terminal_size().columns - 1)
        cut = [line if len(line) <= width else line[: width - 1] + "…" for line in lines]
        if cut != self._drawn:
            self._erase()
            self._out.write("".join(f"{line}\n" for line in cut))
            self._drawn = cut
        self._out.flush()

    def close(self) -> None:
        self._erase()
        self._out.flush()

    def _erase(self) -> None:
        if self._drawn:
            self._out.write(f"\x1b[{len(self._drawn)}A\x1b[J")
        self._drawn = []


class Told:
    """Text that a notebook shows as it is; static HTML, so that it survives saving."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f'<pre style="white-space:pre-wrap">{html.escape(self.text)}</pre>'


class Handle(Protocol):
    """One output of a notebook's cell (IPython's DisplayHandle)."""

    def update(self, shown: Told) -> object: ...


class Notebook:
    """One output of a notebook's cell, updated in place."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._said: list[str] = []
        self._live: list[str] = []
        self._shown = ""

    def say(self, lines: Sequence[str]) -> None:
        if lines:
            self._said += lines
            self._show()

    def live(self, lines: Sequence[str]) -> None:
        self._live = list(lines)
        self._show()

    def close(self) -> None:
        self._live = []
        self._show()

    def _show(self) -> None:
        hidden = len(self._said) - MAX_NOTEBOOK_LINES
        said = [f"... {hidden} earlier lines", *self._said[-MAX_NOTEBOOK_LINES:]] if hidden > 0 else self._said
        text = "\n".join([*said, *self._live])
        if text != self._shown:
            self._shown = text
            self._handle.update(Told(text))


def choose(out: TextIO | None = None) -> Display:
    """The display that suits where this process is talking."""
    stream = out or sys.stdout
    notebook = _notebook() if out is None else None
    if notebook is not None:
        return notebook
    return Terminal(stream) if stream.isatty() and not _dumb() else Lines(stream)


def _dumb() -> bool:
    return os.environ.get("TERM", "") in ("", "dumb")


def _notebook() -> Notebook | None:
    """A display in the notebook that this process serves, if it serves one. IPython is never imported for this."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or getattr(shell, "kernel", None) is None:
        return None
    shown = importlib.import_module("IPython.display")  # present: a kernel is running
    handle = shown.display(Told(""), display_id=True)
    return None if handle is None else Notebook(handle)
