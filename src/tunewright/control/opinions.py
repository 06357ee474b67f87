"""What the strategies say about held jobs: at once where that takes no time, else from a pool of threads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from tunewright.control.held import Held
from tunewright.control.pool import DaemonPool
from tunewright.control.recorder import Recorder
from tunewright.core.effects import Propose
from tunewright.core.errors import NotFound
from tunewright.core.events import Proposed
from tunewright.core.history import History
from tunewright.core.job import Job
from tunewright.core.ports import Advisor, Proposals
from tunewright.core.spec import Strategy

_LOG = logging.getLogger("tunewright")

MOST_RETRY_SECONDS = 30.0


class Opinions:
    """Asks the advisor, with the history that a held job has; one question a job at a time."""

    def __init__(self, recorder: Recorder, advisor: Advisor, pool: DaemonPool) -> None:
        self._recorder, self._advisor, self._pool = recorder, advisor, pool

    def ask(self, held: Held, effect: Propose, now: float) -> None:
        """Have trials proposed; a quick strategy's answer joins what the job has pending."""
        if held.proposing is not None or now < held.retry_at:
            return
        history = self.history(held)
        if _is_quick(held):
            answer = self._at_once(held.job, history)
            held.add([answer] if answer is not None else [], now)
        else:
            propose = self._advisor.propose
            held.proposing = self._pool.submit(propose, history.snapshot(), effect.first, effect.count)

    def take(self, held: Held, now: float) -> None:
        """Take an answer that a thread has computed; a failure is logged and asked again, later each time."""
        if held.proposing is None or not held.proposing.done():
            return
        future, held.proposing = held.proposing, None
        try:
            held.add([_proposal(future.result(), now)], now)
            held.failures = 0
        # Broad: a strategy may be anybody's plug-in, and must not end the loop that other jobs depend on.
        except Exception:
            held.failures += 1
            held.retry_at = now + min(MOST_RETRY_SECONDS, 0.5 * 2**held.failures)
            _LOG.exception("%s: the strategy failed; it is asked again in %.0f s", held.job.name, held.retry_at - now)

    def at_once_for(self, held: Held) -> Callable[[Job, History], Proposed | None] | None:
        """What answers within a commit, for a job whose proposals take no time worth a thread; else None."""
        if not _is_quick(held):
            return None
        self.history(held)
        return self._at_once

    def history(self, held: Held) -> History:
        """A job's history and its parents', read when it is not in memory."""
        if held.history is None:
            new = held.job.next_number == 1
            held.history = History(held.job.spec) if new else self._recorder.store.history(held.uid)
            warm = held.job.spec.warm_start
            held.history.parents = tuple(self._parents(warm.parents)) if warm is not None else ()
        return held.history

    def _at_once(self, job: Job, history: History) -> Proposed | None:
        """The proposals of a job whose strategy is quick; None when there is no room."""
        room = job.room()
        if not room:
            return None
        answer = self._advisor.propose(history, job.next_number, room)
        return _proposal(answer, self._recorder.clock.now())

    def _parents(self, names: Iterable[str]) -> Iterable[History]:
        store = self._recorder.store
        for name in names:
            try:
                yield store.history(store.find(name, tuning=True))
            except NotFound:
                _LOG.warning("the parent tuning job %s is gone; its results are not used", name)


def _is_quick(held: Held) -> bool:
    """Whether proposals take no time; reading parents takes some."""
    spec = held.job.spec
    return spec.strategy in (Strategy.RANDOM, Strategy.GRID) and spec.warm_start is None


def _proposal(answer: Proposals, now: float) -> Proposed:
    return Proposed(now, answer.proposals, answer.exhausted, answer.converged)
