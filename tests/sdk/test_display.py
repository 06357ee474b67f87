"""Where lines go: a terminal redraws its live region, a notebook updates one output, a file gets plain lines."""

from __future__ import annotations

import errno
import io
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tunewright.sdk.display import MAX_NOTEBOOK_LINES, Lines, Notebook, Terminal, Told, choose


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(raw: str) -> list[str]:
    """What a terminal shows after these characters."""
    lines: list[str] = [""]
    at = 0
    while at < len(raw):
        if raw[at] == "\x1b":
            end = next(index for index in range(at + 2, len(raw)) if raw[index].isalpha())
            if raw[end] == "A":
                lines = lines[: -int(raw[at + 2 : end])]
                lines[-1:] = [""]
            at = end + 1
            continue
        if raw[at] == "\n":
            lines.append("")
        else:
            lines[-1] += raw[at]
        at += 1
    return lines[:-1]


def test_a_terminal_keeps_its_live_region_below_the_permanent_lines() -> None:
    out = Screen()
    screen = Terminal(out)
    screen.live(["bar 0"])
    screen.say(["one"])
    screen.live(["bar 1", "job"])
    screen.say(["two", "three"])
    assert shown(out.getvalue()) == ["one", "two", "three", "bar 1", "job"]
    before = out.getvalue()
    screen.live(["bar 1", "job"])
    assert out.getvalue() == before
    screen.close()
    assert shown(out.getvalue()) == ["one", "two", "three"]


def test_lines_that_are_too_long_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out = Screen()
    Terminal(out).live(["x" * 100])
    assert shown(out.getvalue()) == ["x" * 38 + "…"]


def test_a_file_gets_plain_lines_and_nothing_that_moves() -> None:
    out = io.StringIO()
    lines = Lines(out)
    lines.say(["one"])
    lines.live(["bar"])
    lines.close()
    assert out.getvalue() == "one\n"


class Handle:
    def __init__(self) -> None:
        self.updates: list[Told] = []

    def update(self, shown: Told) -> None:
        self.updates.append(shown)


def test_a_notebook_updates_one_output_only_when_something_changed() -> None:
    handle = Handle()
    notebook = Notebook(handle)
    notebook.say(["a <b>"])
    notebook.live(["bar"])
    notebook.live(["bar"])
    notebook.close()
    assert len(handle.updates) == 3
    assert repr(handle.updates[1]) == "a <b>\nbar" and repr(handle.updates[-1]) == "a <b>"
    assert handle.updates[1]._repr_html_() == '<pre style="white-space:pre-wrap">a &lt;b&gt;\nbar</pre>'
    notebook.say([str(number) for number in range(MAX_NOTEBOOK_LINES + 5)])
    assert "... 6 earlier lines" in repr(handle.updates[-1])


def test_the_display_suits_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(choose(Screen()), Terminal)
    assert isinstance(choose(io.StringIO()), Lines)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(choose(Screen()), Lines)


def test_a_notebook_is_found_without_importing_ipython(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = Handle()
    made: list[Any] = []

    def display(value: object, display_id: bool) -> Handle:
        made.append(value)
        return handle

    ipython, shown_in = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    shown_in.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", shown_in)
    found = choose()
    assert isinstance(found, Notebook) and [repr(each) for each in made] == [""]
    ipython.get_ipython = lambda: SimpleNamespace()  # type: ignore[attr-defined]
    assert not isinstance(choose(), Notebook)


class Full(io.StringIO):
    """A file on a disk that is full for so many writes."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def flush(self) -> None:
        self.left -= 1
        if self.left >= 0:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_lines_for_which_there_is_no_room_come_later() -> None:
    out = Full(2)
    display = Lines(out)
    for line in ("one", "two", "three"):
        display.say([line])
    assert out.getvalue() == "one\ntwo\nthree\n"
