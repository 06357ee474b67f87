"""Log bytes and metric definitions in, observations out.

A stream is read from a byte cursor, which moves over complete lines only (a line ends at a newline or a
carriage return). Patterns come from users and run on every line, so they run on RE2, whose time is linear in
the line; a pattern that RE2 cannot take runs on `regex` with a timeout.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import re2

from tunewright.control.patterns import Pattern, compile_pattern
from tunewright.core.outcome import NEVER
from tunewright.core.spec import MetricDefinition
from tunewright.core.trial import Observation

MAX_LINE = 64 * 1024
"""Of a longer line only the first and the last so many bytes are looked at."""
MANY_REDRAWS = 3
"""So many times the value before, in what redraws its line, and a program is taken to show a progress bar."""
CHUNK = 1 << 20
"""Bytes read from one stream at once; a line of the file that `report()` appends to is shorter."""
_FAR = 2**53
"""Steps and times of day are below it."""

_ENDS = re.compile(rb"[\r\n]")
WHOLE = "(nan|-?inf|[-+0-9.eE]+)"
"""A group that takes any number."""
_NOT_FINITE = re.compile(r"(?<![a-z0-9_])(?:nan|inf|infinity)(?![a-z0-9_])", re.IGNORECASE)
_MAYBE_NOT_FINITE = re2.compile(r"(?i)\b(?:nan|inf|infinity)\b")
"""The same, over a whole chunk in a tenth of the time."""
MOST_SUSPECTS = 1000
"""In so many lines of a chunk a NaN that was passed over is looked for: some logs have one in every line."""
_COLOURS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
"""What terminals take for colours and movements."""
_COMMAS = re.compile(r"[-+]?\d+(,\d+)+(\.\d*)?")
_GOES_ON = re.compile(r"[eE][-+]?\d+|\.\d+")
"""More of a number, behind digits that a pattern captured: an exponent, a fraction."""
_BEGINNING, _THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}"), re.compile(r"(?:,\d{3})+(?:\.\d+)?(?![.,]?\d)")
"""A number with commas, up to the first one and from there."""
_MORE = frozenset("eE,.")
"""What more of a number begins with."""


def parse_number(text: str) -> float | None:
    """The number in a capture, which may be NaN or infinite; None when it is not a number."""
    try:
        return float(text)
    except ValueError:
        return None


def split_lines(data: bytes, *, final: bool) -> tuple[list[str], int]:
    """Complete lines of a chunk, and how many bytes they take.

    A chunk without any line end is left for later, unless it is the last one or longer than a line may be.
    """
    last = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    if final or (last == 0 and len(data) > MAX_LINE):
        last = len(data)
    lines = []
    for piece in _ENDS.split(data[:last]):
        if piece:
            cut = piece if len(piece) <= 2 * MAX_LINE else piece[:MAX_LINE] + b" " + piece[-MAX_LINE:]
            lines.append(cut.decode("utf-8", "replace"))
    return lines, last


class Found(NamedTuple):
    """A pattern's match in a line; a tuple, since a log may hold millions.

    Args:
        value: the number that was captured, if it is one.
        whole: the number in the line, where the capture is only the beginning of it; else "".
        apart: a comma behind it parts it from the next number, as in a table.
    """

    metric: str
    captured: str
    value: float | None
    whole: str = ""
    apart: bool = False


def remedy(found: Found) -> str:
    """What to do about a number of which only the beginning was captured."""
    thousands = "," in found.whole
    return "; print numbers without commas" if thousands else f"; let its group take all of it, as in {WHOLE}"


def plain(text: str) -> str:
    """Text without the marks that colour it in a terminal."""
    return _COLOURS.sub("", text) if "\x1b" in text else text


def _found(metric: str, pattern: Pattern, line: str) -> Found | None:
    """What a pattern finds in a line as it is, else in the line without colours. Raises TimeoutError.

    Digits alone may be a colour's number, which a pattern such as `acc.*?([0-9.]+)` comes upon first.
    """
    match = pattern.first(line)
    found = None if match is None else _read(metric, *match)
    if "\x1b" in line and (found is None or found.value is None or found.captured.strip().isdigit()):
        match = pattern.first(plain(line))
        return found if match is None else _read(metric, *match)
    return found


def _read(metric: str, captured: str, after: str) -> Found:
    """What was captured, and whether it is all of its number."""
    value = parse_number(captured)
    if value is None or after[:1] not in _MORE:
        return Found(metric, captured, value)
    return Found(metric, captured, value, *_whole(captured.strip(), after))


def _whole(captured: str, after: str) -> tuple[str, bool]:
    """`whole` and `apart` of a capture, by what follows it."""
    if not captured[-1:].isdigit():
        return "", False
    if after[0] == ",":
        more = _THOUSANDS.match(after) if _BEGINNING.fullmatch(captured) else None
        return (f"{captured}{more[0]}", False) if more else ("", after[1:2].isdigit())
    more = _GOES_ON.match(after)
    if more is None or (after[0] == "." and not captured.lstrip("+-").isdigit()):
        return "", False
    return f"{captured}{more[0]}", False


@dataclass(slots=True)
class _Bar:
    """The line that a stream is at, which a carriage return may draw again.

    Args:
        before: the objective's last value in it.
        again: how often a value was the one before.
    """

    before: float | None = None
    again: int = 0


class Scraper:
    """Reads one training job's streams; remembers only what explains a missing objective, or an odd one.

    Args:
        judged: each value of the objective counts as an epoch for early stopping or Hyperband.
    """

    def __init__(self, definitions: Sequence[MetricDefinition], objective: str, *, judged: bool = False) -> None:
        self._patterns = [(d.name, compile_pattern(d.regex)) for d in definitions]
        self._objective = objective
        self._defined = any(d.name == objective for d in definitions)
        self._tokens = _tokens(objective, [d.regex for d in definitions if d.name == objective])
        self._useless: dict[str, list[str]] = {}
        self._odd = self._passed = self._commas = ""
        self._apart = False
        self._judged = judged
        self._bars = defaultdict[str, _Bar](_Bar)
        self._names: dict[str, int] = {}
        self._slow: set[str] = set()
        self._close: tuple[int, str] = (0, "")
        self._seen = False

    def log(self, data: bytes, at: float, *, final: bool, stream: str = "stdout") -> tuple[list[Observation], int]:
        """Observations in a chunk of a stream, stdout or stderr, and the bytes consumed."""
        lines, consumed = split_lines(data, final=final)
        if not lines:
            return [], consumed
        text = "\n".join(lines)
        bare = plain(text)
        live = [
            (name, pattern)
            for name, pattern in self._patterns
            if name not in self._slow and any(map(pattern.may_match, {text, bare}))
        ]
        observations: list[Observation] = []
        shown: list[tuple[int, float]] = []
        for place, line in enumerate(lines):
            for name, pattern in live:
                value = self._value(name, pattern, line)
                if value is not None:
                    observations.append(Observation(name, value, at))
                    if name == self._objective:
                        shown.append((place, value))
        if not self._seen:
            self._remember(lines, observations)
        if shown:
            self._passed = ""  # what a value follows was a gap, whether it was read or not
        if not self._passed and _MAYBE_NOT_FINITE.search(bare):
            since = shown[-1][0] + 1 if shown else 0
            suspects = itertools.islice(filter(_NOT_FINITE.search, map(plain, lines[since:])), MOST_SUSPECTS)
            self._passed = next(filter(None, map(self._passed_over, suspects)), "")
        if self._judged and not self._odd:
            self._odd = self._redrawn(self._bars[stream], data[:consumed], shown)
        return observations, consumed

    def _redrawn(self, bar: _Bar, data: bytes, shown: Sequence[tuple[int, float]]) -> str:
        """A remark on a progress bar that shows the objective's last value time and again, in one and the same line."""
        line = 0
        if shown and b"\r" in data:
            numbers = [n for n, piece in enumerate(data.split(b"\n")) for part in piece.split(b"\r") if part]
            for place, value in shown:
                bar.again += numbers[place] == line and value == bar.before
                line, bar.before = numbers[place], value
        if line < data.count(b"\n"):
            bar.before = None
        if bar.again < MANY_REDRAWS:
            return ""
        return (
            f"{self._objective!r} is read off a progress bar, and came again and again with the value before; each time"
            " counts as an epoch for early stopping: print it once per epoch, or report() it with its step"
        )

    def _passed_over(self, line: str) -> str:
        """A remark on a NaN or an infinite value that the objective's pattern would have taken as a number."""
        finite = _NOT_FINITE.sub("0.5", line)
        for name, pattern in self._patterns if finite != line else ():
            if name == self._objective and name not in self._slow:
                with contextlib.suppress(TimeoutError):
                    if pattern.first(line) is None and pattern.first(finite) is not None:
                        shown = line.strip()[:80]
                        return (
                            f"the pattern of {name!r} passed over {shown!r}; let its group take that too, as in {WHOLE}"
                        )
        return ""

    def _value(self, name: str, pattern: Pattern, line: str) -> float | None:
        """The number that a pattern finds in a line; what else there is to say of its match is remembered."""
        try:
            found = _found(name, pattern, line)
        except TimeoutError:
            self._slow.add(name)
            return None
        if found is None:
            return None
        if found.value is None:
            self._useless.setdefault(name, []).append(found.captured[:80])
            del self._useless[name][:-1000]
        if name == self._objective:
            self._apart = self._apart or found.apart
            if found.whole:
                text = f"the pattern of {name!r} took {found.captured} of {found.whole}{remedy(found)}"
                if "," in found.whole:
                    self._commas = self._commas or text
                else:
                    self._odd = self._odd or text
        return found.value

    def pushed(self, data: bytes, at: float, *, final: bool) -> tuple[list[Observation], int]:
        """Observations in a chunk of the file that `report()` appends to, and the bytes consumed."""
        last = data.rfind(b"\n") + 1
        if final or (last == 0 and len(data) >= CHUNK):
            last = len(data)
        observations = [o for line in data[:last].split(b"\n") if line.strip() for o in _pushed_line(line, at)]
        for observation in observations:
            self._names[observation.metric] = self._names.get(observation.metric, 0) + 1
        self._seen = self._seen or any(o.metric == self._objective for o in observations)
        return observations, last

    def _remember(self, lines: Sequence[str], observations: Sequence[Observation]) -> None:
        """Whether the objective appeared; else the line that came closest to it so far."""
        self._seen = any(o.metric == self._objective for o in observations)
        for line in lines if self._tokens else ():
            score = sum(token in line.lower() for token in self._tokens) if any(map(str.isdigit, line)) else 0
            if score > self._close[0]:
                self._close = (score, plain(line).strip()[:120])

    def learn(self, observations: Sequence[Observation]) -> None:
        """Take note of values that came by another way, so that they are not missed."""
        self._seen = self._seen or any(seen.metric == self._objective for seen in observations)

    def note(self) -> str:
        """Why the objective has not been seen so far; once it was, what is odd about its values, or nothing."""
        # A table's columns may look like thousands, in some of its lines.
        odd = self._odd or ("" if self._apart else self._commas) or self._passed
        if self._seen or not self._objective:
            return odd
        useless = self._useless.get(self._objective)
        if useless:
            lines = "1 line" if len(useless) == 1 else f"{len(useless)} lines"
            commas = (
                "; print numbers with a point, and without commas" if _COMMAS.fullmatch(useless[-1].strip()) else ""
            )
            return f"pattern matched {lines}, captured {useless[-1]!r} (not a number){commas}"
        if self._objective in self._slow:
            return f"the pattern of {self._objective!r} took too long on a line and was given up; simplify it"
        if self._names:
            names = ", ".join(repr(name) for name in sorted(self._names))
            return f"{self._objective!r} never seen after {sum(self._names.values())} reports; seen: {names}"
        missing = f"{self._objective!r} {NEVER}"
        if odd:
            return f"{missing}; {odd}"
        if self._close[1]:
            return f"{missing}; the line that came closest: {self._close[1]!r}"
        return missing if self._defined else f"{missing} and was not reported with tunewright.report()"


def _tokens(objective: str, patterns: Sequence[str]) -> list[str]:
    words = re.findall(r"[A-Za-z_]{2,}", " ".join([objective, *patterns]))
    return sorted({word.lower() for word in words})


def _pushed_line(line: bytes, at: float) -> list[Observation]:
    """The values of one pushed line; a line that is not ours is no observation."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return []
    if not isinstance(entry, dict) or not isinstance(entry.get("values"), Mapping):
        return []
    step = entry.get("step")
    when = entry.get("at")
    moment = float(when) if isinstance(when, int | float) and abs(when) < _FAR else at
    observations = []
    for name, raw in entry["values"].items():
        value = parse_number(str(raw)) if not isinstance(raw, bool) else None
        if value is not None:
            valid = isinstance(step, int) and not isinstance(step, bool) and 0 <= step < _FAR
            observations.append(Observation(str(name), value, moment, step if valid else None))
    return observations


def try_pattern(pattern: str, data: bytes) -> list[tuple[int, Found]]:
    """What a pattern captures in a log: (line number from 1, what was found) for each line that matches.

    Raises:
        ValueError: the pattern is not a regular expression.
    """
    compiled = compile_pattern(pattern)
    found = []
    for number, line in enumerate(split_lines(data, final=True)[0], start=1):
        match = _found("", compiled, line)
        if match is not None:
            found.append((number, match))
    if any(match.apart for _, match in found):
        return [(number, match._replace(whole="") if "," in match.whole else match) for number, match in found]
    return found
