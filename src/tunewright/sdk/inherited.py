"""What a warm start brought to a tuning job, in words and as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tunewright.core.errors import NotFound
from tunewright.core.history import History
from tunewright.core.job import Job
from tunewright.core.reads import Reads
from tunewright.core.spec import IDENTICAL, Strategy


@dataclass(frozen=True, slots=True)
class Inherited:
    """One parent of a warm start.

    Args:
        used: results that have a place in the new job's space.
        dropped: results that have none, such as those with a category that is no more.
        gone: the parent was deleted, and its results with it.
        ancestors: parents of its own, whose results do not count.
    """

    parent: str
    used: int = 0
    dropped: int = 0
    gone: bool = False
    ancestors: tuple[str, ...] = ()

    def words(self) -> str:
        """What it gave, for people."""
        if self.gone:
            return f"{self.parent} (was deleted)"
        text = f"{self.parent} ({self.used} result{'' if self.used == 1 else 's'} used, {self.dropped} dropped)"
        return f"{text}, not from its own parents {', '.join(self.ancestors)}" if self.ancestors else text

    def shape(self) -> dict[str, object]:
        """What it gave, as the command line's JSON has it."""
        name = {"HyperParameterTuningJobName": self.parent}
        if self.gone:
            return {**name, "Deleted": True}
        ignored = {"NotFrom": list(self.ancestors)} if self.ancestors else {}
        return {**name, "ResultsUsed": self.used, "ResultsDropped": self.dropped, **ignored}


def inherited(job: Job, reads: Reads, history: Callable[[str], History]) -> list[Inherited]:
    """What each parent of a job gave it; nothing for a job without parents.

    Args:
        history: a tuning job's history by its uid.
    """
    warm = job.spec.warm_start
    if warm is None:
        return []
    from tunewright.search.parents import places

    found = []
    for name in warm.parents:
        try:
            parent = reads.job(name).job
        except NotFound:
            found.append(Inherited(name, gone=True))
            continue
        used, dropped = places(history(parent.uid), job.spec.definitions[0].space)
        if job.spec.strategy is not Strategy.BAYESIAN and warm.type != IDENTICAL:
            # Draws learn from nobody; where data and algorithm are the same they leave out what was tried.
            used, dropped = 0, used + dropped
        own = parent.spec.warm_start
        found.append(Inherited(name, used, dropped, ancestors=own.parents if own is not None else ()))
    return found


def line(job: Job, found: list[Inherited]) -> str:
    """One line about a job's warm start; empty without one."""
    warm = job.spec.warm_start
    return "" if warm is None else f"{warm.type} from {'; '.join(each.words() for each in found)}"
