"""Hyperband in extended mode: two brackets, each with its own way to propose and to stop.

Successive halving trusts early ranks; where curves cross it throws away the best. Hyperband hedges with brackets
that begin to compare at different epochs, each given as many epochs as the others (Li et al. 2018, JMLR 18(185),
sec. 3). Here they are two: short trials, stopped (or paused) by successive halving from the minimum resource on and
chosen by the model over epochs (`fidelity`), and long ones, stopped by the median rule alone and chosen by the model of
what came of full trainings. The bracket follows from the trial's number; where there are several definitions, each has
its own brackets.
"""

from __future__ import annotations

from dataclasses import replace

from tunewright.core.history import History, Record
from tunewright.core.ports import Proposals
from tunewright.core.trial import Verdict
from tunewright.search.arrays import Floats
from tunewright.search.bayesian.evidence import Fits
from tunewright.search.bayesian.fidelity import FidelitySearch
from tunewright.search.bayesian.strategy import Batch
from tunewright.search.hyperband import SuccessiveHalving, at_the_end, is_long, long_interval
from tunewright.search.median import MedianRule
from tunewright.search.random import Taken, fill
from tunewright.search.table import Table, Tables
from tunewright.search.threads import one_blas_thread
from tunewright.search.transfer import WarmStarts


class BracketSearch:
    """Short trials and long ones, in turns by their numbers."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._short, self._halving = FidelitySearch(), SuccessiveHalving()
        self._median = MedianRule()
        self._fits, self._warm = Fits(), WarmStarts()

    def propose(self, history: History, first: int, count: int) -> Proposals:
        """Configurations for trials `first` to `first + count - 1`, each knowing of those before it."""
        table = self._tables.of(history)
        with table.lock, one_blas_thread():
            short, new = self._short.chooser(table, history), list[Floats]()
            long = None
            if any(is_long(history, number) for number in range(first, first + count)):
                long = Batch(_full_trainings(history), self._warm.of(history, table.cube), self._fits, whole=False)

            def choose(number: int, taken: Taken) -> Floats | None:
                if long is not None and is_long(history, number):
                    row = long.choose(number, taken)
                else:
                    row = short(number, taken, new)
                if row is not None:
                    new.append(row)
                return row

            answer = fill(table, first, count, choose)
        return replace(answer, converged=long is not None and long.converged)

    def judge(self, history: History, number: int, upto: int) -> Verdict:
        """Successive halving for short trials, the median of the long ones for long ones."""
        if not is_long(history, number):
            return self._halving.judge(history, number, upto)
        settings = history.spec.resources
        end = at_the_end(settings, history.records[number], upto)
        if end is not None or upto < settings.min_resource:
            return end or Verdict(False)
        # By numbers, not by asking each record: a verdict is due at every emission, however many trials there are.
        step, last = long_interval(settings), next(reversed(history.records))
        each = history.turns * history.spec.replicates
        numbers = (first + place for first in range(1, last + 1, step * each) for place in range(each))
        among = History(history.spec)
        among.records = {n: history.records[n] for n in numbers if n in history.records}
        return self._median.judge(among, number, upto)


def _full_trainings(history: History) -> Table:
    """The long trials, and the short ones that nobody stopped early: early values say little about the end."""
    most = history.spec.resources.max_resource or 0
    part = History(history.spec)
    part.records = {n: record for n, record in history.records.items() if is_long(history, n) or _whole(record, most)}
    table = Table(history.spec)
    table.update(part)
    return table


def _whole(record: Record, most: int) -> bool:
    """Whether a trial came to its own end, a failure for one, or to the full resource."""
    end = record.ended
    return end is not None and (not end.stopped or end.diverged or max(record.curve, default=0) >= most)
