"""The telling of a tuning job: what each poll has to add, as plain lines. Pure but for the questions it is handed.

Both the Python face and the command line feed it what they read, and show its lines in their own way. A line is
said once: a finished job, a new best, a failure with its cause, a hint, the end.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from tunewright.core.completion import EXHAUSTED
from tunewright.core.outcome import DIVERGED, NEVER
from tunewright.core.reads import LogTail
from tunewright.core.replicates import configuration_of, mean_and_spread, needed
from tunewright.sdk.causes import NO_REASON, cause, kind
from tunewright.sdk.facts import Facts, Row, Running
from tunewright.sdk.phrases import STOPPED, bar_of, duration, first_of, indented, onward, running_text, saved, says
from tunewright.sdk.values import short, short_text

STAGNANT = 10
LIVE_LINES = 12

Logs = Callable[[str], LogTail | None]


class ProgressModel:
    """What was said so far about one tuning job, and what is to be said next.

    Args:
        facts: the job as a whole.
        logs: the end of a training job's log by name.
        quiet: say only new bests, failures and hints.
    """

    def __init__(self, facts: Facts, logs: Logs, *, quiet: bool = False) -> None:
        self.facts = facts
        self.best: Row | None = None
        self.rows: dict[str, Row] = {}
        self._groups: dict[int, list[Row]] = {}
        self._logs, self._quiet = logs, quiet
        self._causes: dict[str, int] = {}
        self._since_best = 0
        self._next_note = STAGNANT
        self._hinted = False
        self._doubted = False

    def update(self, rows: Iterable[Row]) -> list[str]:
        """The lines that these training jobs add; only finished ones that were not told before count."""
        new = [row for row in rows if row.finished and row.name not in self.rows]
        lines: list[str] = []
        for row in sorted(new, key=lambda row: (row.ended or 0.0, row.order)):
            self.rows[row.name] = row
            self._groups.setdefault(self._place(row), []).append(row)
            lines += self._finished(row)
        return lines

    def live(self, running: Sequence[Running], counters: Mapping[str, int], elapsed: float, now: float) -> list[str]:
        """The live region: at most twelve lines about what is going on (seconds; `now` since the epoch)."""
        done = len(self.rows)
        bar = bar_of(done, self.facts.total)
        left = self._eta(elapsed)
        words = [f"{count} {word}" for word, count in counters.items() if count]
        lines = [f"{self.facts.name}  {bar}  {duration(elapsed)}{left}  {', '.join(words)}".rstrip()]
        if self.best is not None and self.best.value is not None:
            lines.append(f"best {self.best.worth()}  {self.best.name}  {first_of(self.best.parameters, 3)}")
        room = LIVE_LINES - len(lines) - 1
        for job in running[:room]:
            lines.append("  " + running_text(job, self.facts.objective(), now))
        if len(running) > room:
            lines.append(f"  and {len(running) - room} more running")
        return lines

    def _eta(self, elapsed: float) -> str:
        done = len(self.rows)
        if not done or self.facts.total is None or self.facts.total <= done:
            return ""
        return f", about {duration(elapsed / done * (self.facts.total - done))} left"

    # ---- one finished training job ----

    def _finished(self, row: Row) -> list[str]:
        several = self.facts.replicates > 1
        whole = self._configuration(row) if several else row if row.counts else None
        gain = self._gain(whole) if whole is not None else ""
        if row.status == "Failed":
            return self._failure(row)
        if not row.counts:
            return self._no_value(row)
        took = "" if row.seconds is None else f"  {duration(row.seconds)}"
        stopped = self._stopped(row)
        line = f"{self._head(row)}  {short(row.value)}  {row.text()}{took}{stopped and f'  {stopped}'}{gain}"
        lines = [line] if gain or not self._quiet else []
        return lines + self._doubt(row) + self._stagnation()

    def _doubt(self, row: Row) -> list[str]:
        """What is odd about a value, the first time that one is."""
        if self._doubted or not row.reason:
            return []
        self._doubted = True
        return [f"    {row.reason}"]

    def _stopped(self, row: Row) -> str:
        """Why it was stopped; empty when its program ended by itself."""
        if row.status != "Stopped":
            return ""
        if row.cause is None or (row.early and not self.facts.judged):
            return "stopped"
        return STOPPED.get(row.cause, str(row.cause))

    def _head(self, row: Row) -> str:
        done, total = len(self.rows), self.facts.total
        count = str(done) if total is None else f"{done:{len(str(total))}d}/{total}"
        return f"[{count}] {row.name}"

    def _gain(self, row: Row) -> str:
        """`  new best 0.913 (+0.004)` when this row is the new best, else an empty text."""
        assert row.value is not None, "only rows with a value are compared"
        before = self.best.value if self.best is not None else None
        if before is not None and not self.facts.better(row.value, before):
            self._since_best += row.runs
            if self.best is not None and row.value == before and row.order < self.best.order:
                self.best = row
            return ""
        self.best, self._since_best, self._next_note = row, 0, STAGNANT
        if row.runs > 1:
            return f"  new best {row.worth()}"
        if before is None:
            return f"  first value {short(row.value)}" if len(self.rows) == 1 else f"  new best {short(row.value)}"
        return f"  new best {short(row.value)} ({row.value - before:+.4g})"

    def _place(self, row: Row) -> int:
        """The configuration that a training job belongs to."""
        number, _ = row.order
        return configuration_of(number, self.facts.replicates) if number else 0

    def _configuration(self, row: Row) -> Row | None:
        """The result of a training job's configuration, known by its best one; None until all of them have ended."""
        mine = self._groups.get(self._place(row), [])
        counted = sorted((other for other in mine if other.counts), key=lambda other: other.order)
        if len(mine) < self.facts.replicates or len(counted) < needed(self.facts.replicates):
            return None
        values = [other.value for other in counted if other.value is not None]
        top = (max if self.facts.maximize else min)(values)
        mean, spread = mean_and_spread(values)
        best = next(other for other in counted if other.value == top)
        return replace(best, value=mean, runs=len(values), spread=spread)

    def _stagnation(self) -> list[str]:
        if self.best is None or self._since_best < self._next_note:
            return []
        self._next_note *= 2
        return [f"No improvement over {short(self.best.value)} in the last {self._since_best} training jobs."]

    def _failure(self, row: Row) -> list[str]:
        reason = row.reason.strip() or NO_REASON
        told, key = cause(reason), kind(reason)
        self._causes[key] = self._causes.get(key, 0) + 1
        if self._causes[key] > 1:
            return [f"{self._head(row)}  failed as before ({self._causes[key]} times in all)"]
        tail = self._logs(row.name)
        lines = [f"{self._head(row)}  failed: {told}  {row.text()}"]
        rest = (line for line in reason.splitlines() if line.strip() and cause(line.removesuffix('"')) != told)
        lines += [f"    {line}" for line in rest]
        if tail is not None:
            lines += [] if says(reason, tail.text) else indented(tail.text, 5)
            lines.append(f"    log: {tail.path}")
        return lines

    def _no_value(self, row: Row) -> list[str]:
        objective = self.facts.objective(row.definition)
        why = row.reason.strip() or f"no value of {objective!r} was seen"
        lines = [f"{self._head(row)}  {row.status}, {why}  {row.text()}"]
        if self._hinted or row.status != "Completed" or row.reason.startswith(DIVERGED):
            return lines
        self._hinted = True
        lines.append(f"    {self._hint(row, objective)}")
        tail = self._logs(row.name)
        if tail is not None:
            lines.append("    The last lines of the log are:")
            printed = indented(tail.extra.get("stdout", ""), 8) + indented(tail.text, 8)
            lines += printed or ["      (nothing was printed)"]
            lines.append(f"    log: {tail.path}")
        return lines

    def _hint(self, row: Row, objective: str) -> str:
        """What to do about an objective that never came."""
        pattern = self.facts.patterns.get(objective)
        if pattern is not None:
            log = f"tunewright logs {self.facts.name} {row.name} 2>&1"
            return f"Try the pattern for {objective!r}: {log} | tunewright test-metric {shlex.quote(pattern)} -"
        if row.reason and NEVER not in row.reason:
            return f"The objective is {objective!r}: report it by this name, or tune for one that is reported."
        call = f"tunewright.report({{{objective!r}: value}})"
        return f"Nothing reported it: call {call} in the program, or give metric definitions."

    # ---- the end ----

    def top(self, count: int) -> list[Row]:
        """The best rows, best first; of equals the one that was created first, which is the tuning job's best too."""
        sign = -1.0 if self.facts.maximize else 1.0
        counted = [row for row in self.rows.values() if row.counts and row.value is not None]
        if self.facts.replicates > 1:
            found = {self._place(row): self._configuration(row) for row in counted}
            counted = [row for row in found.values() if row is not None]
        return sorted(counted, key=lambda row: (sign * (row.value or 0.0), row.order))[:count]

    def summary(self, status: str, reason: str, elapsed: float, model: str | None) -> list[str]:
        """What is said at the end.

        Args:
            reason: why it ended, in words.
            elapsed: seconds of wall clock.
            model: where the best model lies, or None.
        """
        why = f": {reason.rstrip('.')}" if reason else ""
        lines = ["", f"Tuning job {self.facts.name} {status} after {duration(elapsed)}{why}."]
        words = ("Completed", "Stopped", "Failed")
        kinds = {word: sum(row.status == word for row in self.rows.values()) for word in words}
        counted = ", ".join(f"{count} {word.lower()}" for word, count in kinds.items() if count)
        lines.append(f"{len(self.rows)} training jobs ended: {counted or 'none'}.")
        if self.facts.judged:
            lines.append(saved(list(self.rows.values())))
        lines += self._best_lines(model)
        return lines + self._ways() + self._onward(status, reason)

    def _best_lines(self, model: str | None) -> list[str]:
        ranked = self.top(5)
        if not ranked:
            return [f"No training job brought a value of {self.facts.objective()!r}."]
        best, others = ranked[0], ranked[1:]
        lines = [f"Best {self.facts.objective(best.definition)}: {best.worth()} by {best.name}"]
        lines += [f"    {name} = {short_text(text)}" for name, text in best.parameters.items()]
        if others:
            lines.append("Next best:")
            lines += [f"    {row.worth():>12}  {row.name}  {row.text()}" for row in others]
        if model:
            lines.append(f"Best model: {model}")
        return lines

    def _ways(self) -> list[str]:
        name = self.facts.name
        return [f"Look further: tunewright jobs {name} | tunewright export {name} | tuner.analytics().dataframe()"]

    def _onward(self, status: str, reason: str) -> list[str]:
        """How to go on, where there is a way."""
        facts = self.facts
        if reason.startswith(EXHAUSTED):
            return [f"Go on with it: a new tuning job over other ranges, with a warm start from {facts.name}"]
        if status not in ("Stopped", "Completed"):
            return []
        more = facts.more if status == "Completed" else 0
        return [onward(facts.name, more, strict=facts.strict, python=facts.python)]
