"""One job as the loop holds it: the last committed state, the history, and work in flight. All may be lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from tunewright.control.recorder import Recorder, fold
from tunewright.control.watch import Watch
from tunewright.core.events import Event, Launched, Progressed, Proposed
from tunewright.core.history import History
from tunewright.core.job import Job
from tunewright.core.ports import Proposals, Stored

LAZY_SECONDS = 0.05
"""How long an event that decides nothing (a launch, a phase) may wait for company in a commit."""


@dataclass(slots=True)
class Held:
    """A job that this process runs.

    Args:
        watches: the running trials, by number.
        pending: events not yet committed, in order.
        flush_at: when what is pending is committed, even if it decides nothing.
        look_at: when running trials' streams are looked at next.
        proposing: proposals being computed.
        failures: of the strategy, one after the other.
        retry_at: no proposal is asked for before this (after one failed).
    """

    stored: Stored
    lease_until: float
    history: History | None = None
    watches: dict[int, Watch] = field(default_factory=dict)
    pending: list[Event] = field(default_factory=list)
    flush_at: float = 0.0
    look_at: float = 0.0
    proposing: Future[Proposals] | None = None
    failures: int = 0
    retry_at: float = 0.0

    @property
    def job(self) -> Job:
        return self.stored.job

    @property
    def uid(self) -> str:
        return self.stored.job.uid

    def add(self, events: Sequence[Event], now: float) -> None:
        """Have events wait for the next commit."""
        if events and not self.pending:
            self.flush_at = now + LAZY_SECONDS
        self.pending += events

    def due(self, now: float) -> bool:
        """Whether what is pending should be committed now."""
        if not self.pending:
            return False
        lazy = all(isinstance(event, Launched | Progressed) for event in self.pending)
        return not lazy or now >= self.flush_at

    def commit(self, recorder: Recorder, propose: Callable[[Job, History], Proposed | None] | None) -> None:
        """Write what is pending as one batch.

        Args:
            propose: answers at once for the job that the batch leads to, so that an end and the proposal that
                fills its place are one commit; None where proposing takes longer.

        Raises:
            NotFound: the job was deleted.
        """
        events, self.pending = self.pending, []
        told = 0
        moves = fold(self.job, events)
        if propose is not None and self.history is not None:
            facts = [fact for _, change in moves for fact in change.facts]
            self.history.apply(facts)
            told = len(facts)
            ahead = moves[-1][1].job if moves else self.job
            answer = propose(ahead, self.history)
            if answer is not None:
                events = [*events, answer]
                moves += fold(ahead, [answer])
        done = recorder.record(self.uid, events, self.stored, moves)
        if self.history is not None and done.alone:
            self.history.apply(done.facts[told:])
        elif not done.alone:
            self.history = None
        self.stored = Stored(done.job, done.version)
