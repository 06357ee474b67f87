"""One running trial as the loop follows it: its streams, and its end once everything it printed was read."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial

from tunewright.control.metrics import CHUNK, Scraper
from tunewright.core.events import Event, Exited, Progressed, Reported
from tunewright.core.ports import FIRST_HOST, Executor, ExitReport, PhaseReport, Task
from tunewright.core.trial import Cursor, Observation, Trial

INLINE = 64 << 10
"""A backlog up to this many bytes is read in the loop's own thread."""


@dataclass(frozen=True, slots=True)
class Scraped:
    """What one pass over a trial's streams gave, and where the next pass begins.

    Args:
        last: nothing is left to read: the task was over when the pass began, and it came to the end.
    """

    position: Cursor
    observations: tuple[Observation, ...]
    last: bool


@dataclass(slots=True)
class Watch:
    """Memory that may be lost: a new watch reads all again, for its remarks, and tells what is beyond `known`.

    Args:
        position: how far the streams were read; ahead of the committed cursor while nothing was found.
        known: how far they were read, and what was found committed, when the watch began.
        exit: the executor's word that the task is over; told to the job when all was read.
        killed: the grace with which it was told to end, or None.
        refused: since when the system does not let it be started, or None.
    """

    task: Task
    scraper: Scraper
    known: Cursor
    position: Cursor = field(default_factory=Cursor)
    phases: list[PhaseReport] = field(default_factory=list)
    exit: ExitReport | None = None
    reading: Future[Scraped] | None = None
    drained: bool = False
    killed: float | None = None
    refused: float | None = None

    @classmethod
    def of(cls, task: Task, trial: Trial, *, judged: bool) -> Watch:
        """Of a task that begins, or that is taken over; `judged`: values of the objective count as epochs."""
        scraper = Scraper(task.training.metrics, task.objective, judged=judged)
        if trial.last is not None:  # by an attempt before a pause, perhaps, whose streams are not read again
            scraper.learn([Observation(task.objective, trial.last, 0.0)])
        return cls(task, scraper, trial.cursor)

    def backlog(self, executor: Executor) -> int:
        """Bytes not yet read."""
        sizes = executor.sizes(self.task.name, self.task.attempt)
        here = self.position
        return max(0, sizes.stdout - here.stdout, sizes.stderr - here.stderr, sizes.metrics - here.metrics)

    def read(self, executor: Executor, at: float) -> Scraped:
        """One pass over the streams, at most CHUNK bytes of each."""
        final = self.exit is not None
        found: list[Observation] = []
        moved = self.position
        done = True
        for stream in ("stdout", "stderr", "metrics"):
            start: int = getattr(moved, stream)
            ahead: int = getattr(self.known, stream) - start
            size = min(CHUNK, ahead) if ahead > 0 else CHUNK
            data = executor.read(self.task.name, self.task.attempt, stream, start, size)
            short = len(data) < size
            last = (final and short) or 0 < ahead == len(data)
            observations, consumed = _scraped(self.scraper, stream, data, at, final=last)
            found += observations if ahead <= 0 else ()
            done = done and short
            # What is gone of a stream was read when it was there.
            moved = replace(moved, **{stream: start + (ahead if ahead > 0 and short else consumed)})
        if final and done and self.task.training.hosts > 1:
            found += self._last_words(executor, at)
        return Scraped(moved, tuple(found), final and done)

    def _last_words(self, executor: Executor, at: float) -> list[Observation]:
        """What other hosts than the first have to say when a task of several is over.

        While it runs the first host alone speaks, so that an epoch counts once. In the end a metric's value is the
        one of the host that ended last; a host that gave none leaves the word to the one that ended before it.
        """
        read = partial(executor.read, self.task.name, self.task.attempt)
        order = read("hosts", 0, CHUNK).decode("ascii", "replace").split()
        decided: set[str] = set()
        words: list[Observation] = []
        for host in reversed(order):
            heard = {name: said for name, said in self._heard(read, host, at).items() if name not in decided}
            decided.update(heard)
            words += heard.values() if host != FIRST_HOST else ()
        self.scraper.learn(words)
        return words

    def _heard(self, read: Callable[[str, int, int], bytes], host: str, at: float) -> dict[str, Observation]:
        """The last value of each metric that a host gave, by the metric's name."""
        scraper = Scraper(self.task.training.metrics, self.task.objective)
        last: dict[str, Observation] = {}
        for stream in ("stdout", "stderr", "metrics"):
            start, more = 0, True
            while more:
                data = read(f"{host}/{stream}", start, CHUNK)
                more = len(data) == CHUNK
                observations, consumed = _scraped(scraper, stream, data, at, final=not more)
                last.update({seen.metric: seen for seen in observations})
                start += consumed
        return last

    def told(self, trial: Trial, scraped: Scraped | None, at: float) -> list[Event]:
        """The events that phases, a pass over the streams and, when all was read, the exit amount to.

        Nothing has happened later than `at`: the machine's clock, by which programs are watched, may have been set
        ahead or have gone on while the machine slept, and deadlines must not follow it.
        """
        number, attempt = trial.number, self.task.attempt
        events: list[Event] = [Progressed(min(p.at, at), number, attempt, p.phase) for p in self.phases]
        self.phases.clear()
        if scraped is not None:
            self.position = scraped.position
            self.drained = scraped.last
        note = self.scraper.note()
        over = self.exit is not None and self.drained
        found = scraped.observations if scraped is not None else ()
        cursor = self._cursor()
        if found or (over and (cursor != trial.cursor or note != trial.note)):
            events.append(Reported(at, number, attempt, trial.cursor, cursor, found, note))
        if over and self.exit is not None:
            events.append(self._exited(number, self.exit, at))
        return events

    def _cursor(self) -> Cursor:
        """How far the streams were read in all; while one is read again, another may be beyond what was known."""
        here, known = self.position, self.known
        return Cursor(max(here.stdout, known.stdout), max(here.stderr, known.stderr), max(here.metrics, known.metrics))

    def _exited(self, number: int, report: ExitReport, at: float) -> Exited:
        return Exited(
            at=at if report.ended is None else min(report.ended, at),
            number=number,
            attempt=report.attempt,
            exit_code=report.exit_code,
            failure=report.failure,
            reason=report.reason,
            model=report.model,
            killed=report.killed,
            started=None if report.started is None else min(report.started, at),
        )


def _scraped(scraper: Scraper, stream: str, data: bytes, at: float, *, final: bool) -> tuple[list[Observation], int]:
    """The observations in a chunk of a stream, and the bytes consumed."""
    if not data:
        return [], 0
    if stream == "metrics":
        return scraper.pushed(data, at, final=final)
    return scraper.log(data, at, final=final, stream=stream)
