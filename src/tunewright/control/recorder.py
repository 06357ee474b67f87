"""The one writer: load, step, commit. Everything that changes a job goes through here."""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tunewright.core.change import Change
from tunewright.core.errors import StaleVersion
from tunewright.core.events import Created, Event
from tunewright.core.history import Fact
from tunewright.core.job import Job
from tunewright.core.machine import step
from tunewright.core.ports import Clock, Store, Stored
from tunewright.core.spec import JobSpec
from tunewright.core.trial import Trial

MAX_TRIES = 200

_LOG = logging.getLogger("tunewright")

Announce: TypeAlias = Callable[[Job | None, Job, Sequence[Trial]], None]
"""Told of a commit: the job before (None when it is new) and after, and the trials that were written."""

Moves: TypeAlias = list[tuple[Event, Change]]
"""Events that change a job, in order, each with its change."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A job after a batch of events, and what the batch told the history.

    Args:
        alone: nobody else had written since the job was known.
        changed: the batch said anything new.
    """

    job: Job
    version: int
    facts: tuple[Fact, ...]
    alone: bool = True
    changed: bool = True


class Recorder:
    """Writes events to jobs. Safe to use from any thread and any process at the same time."""

    def __init__(
        self, store: Store, clock: Clock, pause: Callable[[float], None], announce: Announce | None = None
    ) -> None:
        """A writer.

        Args:
            pause: waits between tries when others write to the same job (seconds).
            announce: told of every commit, after it.
        """
        self.store = store
        self.clock = clock
        self._pause = pause
        self._announce = announce

    def create(self, spec: JobSpec, tags: Mapping[str, str] | None = None) -> Stored:
        """Accept a job. Raises AlreadyExists."""
        event = Created(self.clock.now(), uuid.uuid4().hex, spec)
        change = step(None, event)
        stored = self.store.create(change, [event], tags or {})
        self._tell(None, [change])
        return stored

    def _tell(self, before: Job | None, changes: Sequence[Change]) -> None:
        """Announce a commit; whatever goes wrong there must not undo or hold up what is committed."""
        if self._announce is None:
            return
        rows = {trial.number: trial for change in changes for trial in change.trials}
        try:
            self._announce(before, changes[-1].job, tuple(rows.values()))
        # Broad: a listener is anybody's code, and the commit before it stands whatever that raises.
        except Exception:
            _LOG.exception("%s: a state change could not be announced", changes[-1].job.name)

    def record(
        self, uid: str, events: Sequence[Event], known: Stored | None = None, moves: Moves | None = None
    ) -> Recorded:
        """Fold events into a job and commit them as one batch.

        Args:
            known: the job as the caller last saw it; saves a read when nobody else wrote since.
            moves: the events folded into `known` already; saves folding them again.

        Raises:
            NotFound: no such job.
            StaleVersion: others kept writing through all tries.
        """
        stored = self.store.load(uid) if known is None else known
        if known is None or moves is None:
            moves = fold(stored.job, events)
        for attempt in range(MAX_TRIES):
            if not moves:
                return Recorded(stored.job, stored.version, (), _same(known, stored), changed=False)
            changes = [change for _, change in moves]
            facts = tuple(fact for change in changes for fact in change.facts)
            try:
                version = self.store.commit(stored.version, changes, [event for event, _ in moves])
            except StaleVersion:
                self._pause(random.uniform(0, 0.001 * min(attempt + 1, 20)))
                stored = self.store.load(uid)
                moves = fold(stored.job, events)
            else:
                self._tell(stored.job, changes)
                return Recorded(changes[-1].job, version, facts, _same(known, stored))
        raise StaleVersion(f"job {uid} was changed by others through {MAX_TRIES} tries")


def _same(known: Stored | None, stored: Stored) -> bool:
    return known is None or known.version == stored.version


def fold(job: Job, events: Sequence[Event]) -> Moves:
    """The events of a batch that change the job, in order, each with its change."""
    moves: Moves = []
    for event in events:
        change = step(job, event)
        if change.job is not job:
            moves.append((event, change))
        job = change.job
    return moves
