"""The telling of a tuning job: what each poll has to add, as plain lines. Pure but for the questions it is handed.

Both the Python face and the command line feed it what they read, and show its lines in their own way. A line is
said once: a finished job, a new best, a failure with its cause, a hint, the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from tunewright.core.ports import LogTail
from tunewright.core.replicates import configuration_of, mean_and_spread, needed
from tunewright.sdk.extensions import join_extension
from tunewright.sdk.values import short, short_text

STAGNANT = 10
LIVE_LINES = 12
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)\b")
_NUMBER = re.compile(r"-(\d{3,})-[0-9a-f]{8}$")


@dataclass(frozen=True, slots=True)
class Row:
    """A training job as progress sees it.

    Args:
        value: its final objective, or None.
        parameters: tuned values as the wire's strings.
        started, ended: seconds since the epoch, or None.
        full: it was stopped only because it had reached its maximum resource.
        runs: training jobs of its configuration that `value` is the mean of; `spread` is their standard deviation.
    """

    name: str
    status: str
    objective_status: str = "Pending"
    value: float | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    definition: str | None = None
    started: float | None = None
    ended: float | None = None
    full: bool = False
    runs: int = 1
    spread: float | None = None

    @classmethod
    def of(cls, summary: Mapping[str, Any], value: float | None = None, *, full: bool = False) -> Row:
        """From a HyperParameterTrainingJobSummary; `value` is a finer number than the wire has, or None."""
        wire = summary.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value")
        return cls(
            name=summary["TrainingJobName"],
            status=summary["TrainingJobStatus"],
            objective_status=summary.get("ObjectiveStatus", "Pending"),
            value=wire if value is None else value,
            parameters=summary.get("TunedHyperParameters", {}),
            reason=summary.get("FailureReason", ""),
            definition=summary.get("TrainingJobDefinitionName"),
            started=_seconds(summary.get("TrainingStartTime")),
            ended=_seconds(summary.get("TrainingEndTime")),
            full=full,
        )

    @property
    def finished(self) -> bool:
        return self.status in ("Completed", "Stopped", "Failed")

    @property
    def counts(self) -> bool:
        """Whether its value may be the best."""
        return self.objective_status == "Succeeded" and self.value is not None

    @property
    def seconds(self) -> float | None:
        return None if self.started is None or self.ended is None else max(0.0, self.ended - self.started)

    def number(self) -> str:
        """The number in its name, else the name itself."""
        found = _NUMBER.search(self.name)
        return found.group(1) if found else self.name

    def worth(self) -> str:
        """Its objective for people: the value, with replicates their mean and spread."""
        return mean_text(self.value, self.spread, self.runs)

    def text(self) -> str:
        """Its tuned values as `name=value` for people."""
        return " ".join(f"{name}={short_text(text)}" for name, text in self.parameters.items())


@dataclass(frozen=True, slots=True)
class Running:
    """A live training job: its last objective and epoch, and when it began (seconds since the epoch)."""

    name: str
    value: float | None = None
    epoch: int = 0
    started: float | None = None
    status: str = "InProgress"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a description says about the job as a whole."""

    name: str
    objectives: Mapping[str | None, str]
    patterns: Mapping[str, str]
    maximize: bool
    total: int | None
    judged: bool
    replicates: int = 1

    @classmethod
    def of(cls, job: Mapping[str, Any]) -> Facts:
        """From DescribeHyperParameterTuningJob."""
        config = job["HyperParameterTuningJobConfig"]
        definitions = job.get("TrainingJobDefinitions") or [job.get("TrainingJobDefinition", {})]
        objectives: dict[str | None, str] = {}
        patterns: dict[str, str] = {}
        kind = "Maximize"
        for definition in definitions:
            objective = definition.get("TuningObjective") or config.get("HyperParameterTuningJobObjective") or {}
            objectives[definition.get("DefinitionName")] = objective.get("MetricName", "the objective")
            kind = objective.get("Type", kind)
            for metric in definition.get("AlgorithmSpecification", {}).get("MetricDefinitions", []):
                patterns.setdefault(metric["Name"], metric["Regex"])
        judged = config.get("TrainingJobEarlyStoppingType") == "Auto" or config.get("Strategy") == "Hyperband"
        total = config.get("ResourceLimits", {}).get("MaxNumberOfTrainingJobs")
        name = job["HyperParameterTuningJobName"]
        told = join_extension(definitions[0].get("StaticHyperParameters", {}))[1].get("replicates", 1)
        replicates = told if isinstance(told, int) else 1
        return cls(name, objectives, patterns, kind == "Maximize", total, judged, replicates)

    def better(self, one: float, other: float) -> bool:
        return one > other if self.maximize else one < other

    def objective(self, definition: str | None = None) -> str:
        return self.objectives.get(definition) or next(iter(self.objectives.values()))


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

    def update(self, rows: Iterable[Row]) -> list[str]:
        """The lines that these training jobs add; only finished ones that were not told before count."""
        new = [row for row in rows if row.finished and row.name not in self.rows]
        lines: list[str] = []
        for row in sorted(new, key=lambda row: (row.ended or 0.0, row.name)):
            self.rows[row.name] = row
            self._groups.setdefault(self._place(row), []).append(row)
            lines += self._finished(row)
        return lines

    def live(self, running: Sequence[Running], counters: Mapping[str, int], elapsed: float, now: float) -> list[str]:
        """The live region: at most twelve lines about what is going on (seconds; `now` since the epoch)."""
        done = len(self.rows)
        bar = _bar(done, self.facts.total)
        left = self._eta(elapsed)
        words = [f"{count} {word}" for word, count in counters.items() if count]
        lines = [f"{self.facts.name}  {bar}  {duration(elapsed)}{left}  {', '.join(words)}".rstrip()]
        if self.best is not None and self.best.value is not None:
            lines.append(f"best {self.best.worth()}  {self.best.name}  {_first(self.best.parameters, 3)}")
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
        stopped = "  stopped early" if row.status == "Stopped" and not row.full else ""
        line = f"{self._head(row)}  {short(row.value)}  {row.text()}{took}{stopped}{gain}"
        lines = [line] if gain or not self._quiet else []
        return lines + self._stagnation()

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
            return ""
        self.best, self._since_best, self._next_note = row, 0, STAGNANT
        if row.runs > 1:
            return f"  new best {row.worth()}"
        if before is None:
            return f"  first value {short(row.value)}" if len(self.rows) == 1 else f"  new best {short(row.value)}"
        return f"  new best {short(row.value)} ({row.value - before:+.4g})"

    def _place(self, row: Row) -> int:
        """The configuration that a training job belongs to."""
        number = row.number()
        return configuration_of(int(number), self.facts.replicates) if number.isdigit() else 0

    def _configuration(self, row: Row) -> Row | None:
        """The result of a training job's configuration, known by its best one; None until all of them have ended."""
        mine = self._groups.get(self._place(row), [])
        counted = sorted((other for other in mine if other.counts), key=lambda other: other.name)
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
        reason = row.reason.strip() or "no reason was given"
        cause = cause_of(reason)
        key = re.sub(r"\d+|0x[0-9a-f]+", "#", cause.replace(row.name, ""))
        self._causes[key] = self._causes.get(key, 0) + 1
        if self._causes[key] > 1:
            return [f"{self._head(row)}  failed as before ({self._causes[key]} times in all)"]
        tail = self._logs(row.name)
        lines = [f"{self._head(row)}  failed: {cause}  {row.text()}"]
        lines += [f"    {line}" for line in reason.splitlines() if line.strip() and cause not in line]
        if tail is not None:
            lines += [] if _says(reason, tail.text) else _indented(tail.text, 5)
            lines.append(f"    log: {tail.path}")
        return lines

    def _no_value(self, row: Row) -> list[str]:
        objective = self.facts.objective(row.definition)
        why = row.reason.strip() or f"no value of {objective!r} was seen"
        lines = [f"{self._head(row)}  {row.status}, {why}  {row.text()}"]
        if self._hinted or row.status != "Completed":
            return lines
        self._hinted = True
        pattern = self.facts.patterns.get(objective)
        tail = self._logs(row.name)
        if pattern is None:
            call = f"tunewright.report({{{objective!r}: value}})"
            lines.append(f"    Nothing reported it: call {call} in the program, or give metric definitions.")
        else:
            lines.append(f"    The pattern for {objective!r} is {pattern!r}. Try it with: tunewright test-metric")
        if tail is not None:
            lines.append("    The last lines of the log are:")
            printed = _indented(tail.extra.get("stdout", ""), 8) + _indented(tail.text, 8)
            lines += printed or ["      (nothing was printed)"]
            lines.append(f"    log: {tail.path}")
        return lines

    # ---- the end ----

    def top(self, count: int) -> list[Row]:
        """The best rows, best first."""
        sign = -1.0 if self.facts.maximize else 1.0
        counted = [row for row in self.rows.values() if row.counts and row.value is not None]
        if self.facts.replicates > 1:
            found = {self._place(row): self._configuration(row) for row in counted}
            counted = [row for row in found.values() if row is not None]
        return sorted(counted, key=lambda row: (sign * (row.value or 0.0), row.name))[:count]

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
        return lines + self._ways(status)

    def _best_lines(self, model: str | None) -> list[str]:
        if self.best is None:
            return [f"No training job brought a value of {self.facts.objective()!r}."]
        objective = self.facts.objective(self.best.definition)
        lines = [f"Best {objective}: {self.best.worth()} by {self.best.name}"]
        lines += [f"    {name} = {short_text(text)}" for name, text in self.best.parameters.items()]
        others = self.top(5)[1:]
        if others:
            lines.append("Next best:")
            lines += [f"    {row.worth():>12}  {row.name}  {row.text()}" for row in others]
        if model:
            lines.append(f"Best model: {model}")
        return lines

    def _ways(self, status: str) -> list[str]:
        name = self.facts.name
        lines = [f"Look further: tunewright jobs {name} | tunewright export {name} | tuner.analytics().dataframe()"]
        if status in ("Stopped", "Completed"):
            lines.append(f"Go on with it: tunewright resume {name} --add-jobs 10")
        return lines


# ---- small texts ----


def mean_text(value: float | None, spread: float | None, runs: int) -> str:
    """A value for people; a mean with its spread: `0.91 ± 0.02 (mean of 3)`."""
    if runs < 2:
        return short(value)
    around = "" if spread is None else f" ± {short(float(f'{spread:.2g}'))}"
    return f"{short(value)}{around} (mean of {runs})"


def cause_of(reason: str) -> str:
    """The line of a FailureReason that says most: its last exception, else its first line."""
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    exceptions = [line for line in lines[1:] if _EXCEPTION.match(line)]
    return (exceptions or lines)[-1 if exceptions else 0]


def running_text(job: Running, objective: str, now: float) -> str:
    """One line about a live training job."""
    value = "no value yet" if job.value is None else f"{objective} {short(job.value)}"
    epoch = f" at {job.epoch}" if job.epoch else ""
    since = "" if job.started is None else f"  {duration(max(0.0, now - job.started))}"
    state = "" if job.status == "InProgress" else f"  {job.status}"
    return f"{job.name}  {value}{epoch}{since}{state}"


def saved(rows: Sequence[Row]) -> str:
    """What early stopping or Hyperband spared: stopped jobs, and their time against that of the full ones."""
    ended = [row for row in rows if row.seconds is not None]
    stopped = [row.seconds or 0.0 for row in ended if row.status == "Stopped" and not row.full]
    full = sorted(row.seconds or 0.0 for row in ended if row.status == "Completed" or row.full)
    if not stopped:
        return "Early stopping ended none of them before its time."
    text = f"Early stopping ended {len(stopped)} of {len(rows)} training jobs before their time"
    if not full:
        return text + "."
    typical = full[len(full) // 2]
    spared = sum(max(0.0, typical - seconds) for seconds in stopped)
    return f"{text} and saved about {duration(spared)} of training (a full job takes {duration(typical)})."


def duration(seconds: float) -> str:
    """Seconds for people: `0.8 s`, `34 s`, `5 min 12 s`, `3 h 20 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _bar(done: int, total: int | None, width: int = 20) -> str:
    if total is None:
        return f"{done} done"
    filled = min(width, width * done // max(1, total))
    return f"[{'#' * filled}{'.' * (width - filled)}] {done}/{total}"


def _first(parameters: Mapping[str, str], count: int) -> str:
    shown = [f"{name}={short_text(text)}" for name, text in list(parameters.items())[:count]]
    return " ".join(shown) + (" ..." if len(parameters) > count else "")


def _indented(text: str, count: int) -> list[str]:
    return [f"      {line}" for line in text.rstrip().splitlines()[-count:] if line.strip()]


def _says(reason: str, log: str) -> bool:
    """Whether the reason holds the log's last line already."""
    last = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "")
    return last[:80] in reason


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()
