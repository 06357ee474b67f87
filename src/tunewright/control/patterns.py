"""A user's regular expression: what is done to it before an engine gets it, and the engines.

A counted repetition is unrolled by the engine, and nested ones multiply: `((a{99}){99}){99}` is a million atoms
from seventeen characters. The weight is therefore worked out before anything is compiled.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Protocol

import re2
import regex

MOST_ATOMS = 20_000
TIMEOUT = 0.05
"""Seconds that a pattern outside RE2 may take on one line."""
_AFTER = 40
"""Characters behind a capture that tell whether it was all of its number."""

# In this order: an escape, a class with its escapes, a counted repetition, a parenthesis, any one character.
_TOKEN = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(?P<low>[0-9]*)(?:,(?P<high>[0-9]*))?\}|(?P<paren>[()])|.", re.DOTALL
)

# A tab as CloudWatch shows it, or what must not be searched for one: quoted text, an escape, a class.
_TAB = re.compile(r"\\Q.*?(?:\\E|\Z)|(?P<tab>\\?#011)|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)


def with_tabs(pattern: str) -> str:
    """A pattern whose `#011` stands for a tab too.

    Logs that passed through syslog show a tab as `#011`, and so do AWS's own patterns for XGBoost; ours keep the tab.
    Inside a class the four characters stay what they are.
    """
    return _TAB.sub(lambda found: r"(?:#011|\t)" if found["tab"] else found[0], pattern)


def weight(pattern: str) -> int:
    """About how many atoms a pattern has once its counted repetitions are unrolled."""
    groups, last = [0], 0
    for token in _TOKEN.finditer(pattern):
        text, paren = token[0], token["paren"]
        if paren == "(":
            groups.append(0)
            last = 0
        elif paren == ")" and len(groups) > 1:
            last = groups.pop() + 1
            groups[-1] += last
        elif text[0] == "{" and len(text) > 1:
            times = max(_count(token["low"]), _count(token["high"]))
            groups[-1] += last * max(0, times - 1)
            last *= max(1, times)
        else:
            last = 1
            groups[-1] += 1
    return sum(groups)


def _count(digits: str | None) -> int:
    return int(digits[:9]) if digits else 0


class Pattern(Protocol):
    """A user's regular expression, bounded."""

    def first(self, line: str) -> tuple[str, str] | None:
        """What it captures in a line, and the few characters after that. Raises TimeoutError."""
        ...

    def may_match(self, text: str) -> bool:
        """Whether any line of a text can match; True where that takes as long to tell as to try."""
        ...


class _Linear:
    """A pattern on RE2."""

    def __init__(self, pattern: str) -> None:
        options = re2.Options()
        options.log_errors = False
        self._pattern = re2.compile(pattern, options)
        self._group = 1 if self._pattern.groups else 0
        self._anchored = any(mark in pattern for mark in ("^", "$", "\\A", "\\z"))

    def first(self, line: str) -> tuple[str, str] | None:
        # Given bytes, the engine's module counts no characters, which takes longer than the search.
        found = self._pattern.search(line.encode() if line.isascii() else line)
        return None if found is None else _cut(line, *found.span(self._group))

    def may_match(self, text: str) -> bool:
        # Without anchors a line's match is one of the whole text too.
        return self._anchored or self._pattern.search(text) is not None


class _Timed:
    """A pattern that needs backtracking, with a time limit for each line."""

    def __init__(self, pattern: str) -> None:
        self._pattern = regex.compile(pattern)
        self._group = 1 if self._pattern.groups else 0

    def first(self, line: str) -> tuple[str, str] | None:
        found = self._pattern.search(line, timeout=TIMEOUT)
        return None if found is None else _cut(line, *found.span(self._group))

    def may_match(self, text: str) -> bool:
        return True


def _cut(line: str, start: int, end: int) -> tuple[str, str]:
    """What the first capture group took, or the whole match of a pattern without groups; and what follows it."""
    return (line[start:end], line[end : end + _AFTER]) if end >= 0 else ("", "")


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> Pattern:
    """A bounded matcher for a metric's pattern, in which `#011` stands for a tab too.

    Raises:
        ValueError: the pattern is not a regular expression, or unrolls to too much.
    """
    pattern = with_tabs(pattern)
    if weight(pattern) > MOST_ATOMS:
        raise ValueError(f"repeats too much: unrolled it has over {MOST_ATOMS:,} parts; use smaller counts, or + and *")
    try:
        return _Linear(pattern)
    except re2.error:
        pass
    try:
        return _Timed(pattern)
    except regex.error as error:
        raise ValueError(f"is not a regular expression: {error}") from error
