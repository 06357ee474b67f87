"""The engine: `core.ports.Advisor` over all strategies.

`propose` chooses the strategy by the job's spec, gives each definition of a job with several its own history,
and puts the user's initial points first. `judge` chooses the rule that stops trials.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tunewright.core.errors import Invalid
from tunewright.core.events import Promotion, Proposal
from tunewright.core.history import History, Record
from tunewright.core.ports import Proposals
from tunewright.core.replicates import configuration_of, replicate_of
from tunewright.core.space import Point
from tunewright.core.spec import JobSpec
from tunewright.core.spec import Strategy as Name
from tunewright.core.trial import Verdict
from tunewright.search.allocate import allocate
from tunewright.search.convergence import stagnant
from tunewright.search.grid import GridSearch
from tunewright.search.hyperband import SuccessiveHalving, is_long
from tunewright.search.initial import next_point
from tunewright.search.median import MedianRule
from tunewright.search.promotion import PromotionRule
from tunewright.search.random import RandomSearch
from tunewright.search.recent import Recent
from tunewright.search.replicate import merged
from tunewright.search.strategy import Judge, Strategy, chosen_name, load_installed
from tunewright.search.table import Tables

MOST_SPECS = 32
"""Jobs whose derived specs are kept."""
_IN_BRACKETS = "Hyperband, by models in two brackets"


def _all_stagnant(history: History) -> bool:
    """Whether the best of all definitions has not improved for long: each alone sees a part of the results."""
    spec, sign = history.spec, history.spec.sign
    values = [math.nan if r.value is None else sign * r.value for r in history.records.values()]
    most = max(len(definition.space.parameters) for definition in spec.definitions)
    return stagnant(np.array(values, dtype=float), most, model=False)


def proposals_by_model(spec: JobSpec) -> bool:
    """Whether Hyperband's configurations come from the model: never in strict mode, else unless told `random`.

    Raises:
        Invalid: the option `hyperband_proposals` is neither `model` nor `random`.
    """
    told = json.loads(spec.options.get("hyperband_proposals", '"model"'))
    if told not in ("model", "random"):
        raise Invalid.one("hyperband_proposals", f"{told!r} is neither model nor random.")
    return told == "model" and not spec.strict


def _bayesian(tables: Tables) -> Strategy:
    from tunewright.search.bayesian.strategy import BayesianSearch

    return BayesianSearch(tables)


def _in_brackets(tables: Tables) -> Strategy:
    from tunewright.search.bayesian.brackets import BracketSearch

    return BracketSearch(tables)


class Engine:
    """All strategies behind one door. Safe to use from several threads; keeps nothing that matters."""

    def __init__(self) -> None:
        self._tables = Tables()
        self._strategies: dict[str, Strategy] = {}
        self._parts: Recent[JobSpec, list[JobSpec]] = Recent(MOST_SPECS)
        self._singles: Recent[JobSpec, JobSpec] = Recent(MOST_SPECS)
        self._median = MedianRule()
        self._halving = SuccessiveHalving()
        self._promotion = PromotionRule()
        self._lock = threading.Lock()

    def propose(self, history: History, first: int, count: int) -> Proposals:
        """Configurations for trials `first` to `first + count - 1`.

        Raises:
            Invalid: the strategy cannot work on this space, or is not installed.
        """
        if count < 1:
            return Proposals(())
        replicates = history.spec.replicates
        if replicates > 1:
            return self._replicated(history, first, count, replicates)
        return self._distinct(history, first, count)

    def _distinct(self, history: History, first: int, count: int) -> Proposals:
        """Configurations, each for one trial."""
        if len(history.spec.definitions) > 1:
            return self._several(history, first, count)
        return self._single(history, first, count)

    def _single(self, history: History, first: int, count: int) -> Proposals:
        """Configurations for a job with one definition."""
        if history.spec.definitions[0].initial:
            answer = self._initial(history, first, count)
        else:
            answer = self.strategy(history.spec).propose(history, first, count)
        if chosen_name(history.spec) == Name.BAYESIAN or answer.converged:
            return answer
        table = self._tables.of(history)
        own = table.values[table.cube.inside(table.rows)]
        return replace(answer, converged=stagnant(own, table.cube.d, model=False))

    def judge(self, history: History, number: int, upto: int) -> Verdict:
        """Whether trial `number` goes on, having seen its curve up to epoch `upto`."""
        if history.spec.early_stopping:
            return self._median.judge(history, number, upto)
        if history.spec.promotes and not self._is_long(history, number):
            return self._promotion.judge(history, number, upto)
        halving = history.spec.strategy is Name.HYPERBAND and "strategy" not in history.spec.options
        if halving and not proposals_by_model(history.spec):
            return self._halving.judge(history, number, upto)
        strategy = self.strategy(history.spec)
        return strategy.judge(history, number, upto) if isinstance(strategy, Judge) else Verdict(False)

    @staticmethod
    def _is_long(history: History, number: int) -> bool:
        """Whether a trial is of the long bracket, which knows no pauses."""
        return proposals_by_model(history.spec) and is_long(history, number)

    def promote(self, history: History, places: int) -> tuple[Promotion, ...]:
        """Which paused trials go on, the most deserving first, at most `places` of them."""
        return self._promotion.promote(history, places) if history.spec.promotes else ()

    def strategy(self, spec: JobSpec) -> Strategy:
        """The strategy that a spec names."""
        name = chosen_name(spec)
        if name == Name.HYPERBAND and proposals_by_model(spec):
            name = _IN_BRACKETS
        with self._lock:
            if name not in self._strategies:
                builders = self._builders()
                self._strategies[name] = builders[name]() if name in builders else load_installed(name)
            return self._strategies[name]

    def _builders(self) -> dict[str, Callable[[], Strategy]]:
        return {
            Name.RANDOM: lambda: RandomSearch(self._tables),
            Name.GRID: lambda: GridSearch(self._tables),
            Name.HYPERBAND: lambda: RandomSearch(self._tables),
            _IN_BRACKETS: lambda: _in_brackets(self._tables),
            Name.BAYESIAN: lambda: _bayesian(self._tables),
        }

    # ---- replicates ----

    def _replicated(self, history: History, first: int, count: int, replicates: int) -> Proposals:
        """Each configuration for as many trials as it is to have; those under way are completed first."""
        spec = self._once(history.spec)
        known = {configuration_of(r.number, replicates): r for r in history.records.values()}
        numbers = range(first, first + count)
        new = sorted({configuration_of(n, replicates) for n in numbers} - set(known))
        answer = Proposals(())
        if new:
            answer = self._distinct(merged(history, spec, replicates), new[0], len(new))
        points = {number: (record.point, record.definition) for number, record in known.items()}
        points |= {one.number: (one.point, one.definition) for one in answer.proposals}
        found: list[Proposal] = []
        for number in numbers:
            point = points.get(configuration_of(number, replicates))
            if point is None:
                break
            found.append(Proposal(number, *point))
        # The last configuration of a used-up space is run as often as all others.
        whole = not found or replicate_of(found[-1].number, replicates) == replicates
        return replace(answer, proposals=tuple(found), exhausted=answer.exhausted and whole)

    def _once(self, spec: JobSpec) -> JobSpec:
        """The spec without replicates; the same object while the job's spec is the same object."""
        options = {name: text for name, text in spec.options.items() if name != "replicates"}
        return self._singles.of(spec, lambda: replace(spec, options=options))

    # ---- points that come first ----

    def _initial(self, history: History, first: int, count: int) -> Proposals:
        """One proposal at a time: the next wanted point, filled up from the strategy's own."""
        wanted = history.spec.definitions[0].initial
        if next_point(self._tables.of(history), wanted, first, None) is None:
            return self.strategy(history.spec).propose(history, first, count)
        grown = history.snapshot()
        proposals: list[Proposal] = []
        for number in range(first, first + count):
            answer = self.strategy(history.spec).propose(grown, number, 1)
            base = answer.proposals[0].point if answer.proposals else None
            point = next_point(self._tables.of(grown), wanted, number, base)
            if point is not None:
                answer = replace(answer, proposals=(Proposal(number, point),), exhausted=self._full(grown, point))
            if not answer.proposals:
                return replace(answer, proposals=tuple(proposals))
            proposals.append(answer.proposals[0])
            grown.records[number] = Record(number, 0, answer.proposals[0].point)
        return replace(answer, proposals=tuple(proposals))

    def _full(self, history: History, point: Point) -> bool:
        """Whether a finite space is used up with this point."""
        table = self._tables.of(history)
        new = table.cube.key(table.cube.encode(point)) not in table.keys
        return table.cube.size is not None and table.inside(int(new)) >= table.cube.size

    # ---- several definitions ----

    def _several(self, history: History, first: int, count: int) -> Proposals:
        """One proposal at a time, each from the definition that the allocator gives the trial to."""
        spec = history.spec
        records = dict(history.records)
        proposals: list[Proposal] = []
        open_to = list(range(len(spec.definitions)))
        for number in range(first, first + count):
            found = None
            while open_to and found is None:
                definition = allocate(spec, records, number, open_to)
                answer = self._part(spec, records, definition, number)
                if answer.proposals:
                    found = replace(answer.proposals[0], definition=definition)
                else:
                    open_to.remove(definition)
            if found is None:
                return Proposals(tuple(proposals), exhausted=True)
            proposals.append(found)
            records[number] = Record(number, found.definition, found.point)
        return Proposals(tuple(proposals), converged=_all_stagnant(history))

    def _part(self, spec: JobSpec, records: dict[int, Record], definition: int, number: int) -> Proposals:
        part = History(self._part_specs(spec)[definition], turns=len(spec.definitions))
        part.records = {n: record for n, record in records.items() if record.definition == definition}
        return self._single(part, number, 1)

    def _part_specs(self, spec: JobSpec) -> list[JobSpec]:
        """A spec for each definition; the same objects while the job's spec is the same object."""
        return self._parts.of(spec, lambda: [replace(spec, definitions=(each,)) for each in spec.definitions])
