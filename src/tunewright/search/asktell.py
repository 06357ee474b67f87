"""`Search`: the engine alone, ask and tell. A thin face of History and Engine, for loops of one's own."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex

from tunewright.core.errors import Invalid, Problem, TunewrightError, TunewrightWarning
from tunewright.core.history import Appeared, Emitted, Ended, History, Weighed
from tunewright.core.space import Parameter, Point, Value
from tunewright.core.spec import IDENTICAL, JobSpec
from tunewright.core.trial import StopCause
from tunewright.search.advisor import Engine
from tunewright.search.arguments import known_of, objective_of, pairs_of, point_of, step_of
from tunewright.search.asked import Asked, parents_in, spec_of
from tunewright.search.parents import places
from tunewright.search.replicate import merged


class Exhausted(TunewrightError):
    """Every configuration of the space has been suggested."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A configuration to try.

    Args:
        number: what `tell` and `report` may know it by, from 1.
        values: parameter name to value, with native types.
        epoch: the one after which its training goes on; 0 for a training that begins.
    """

    number: int
    values: Mapping[str, Value]
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """A configuration with its finite objective; with replicates, their first number and their mean."""

    number: int
    values: Mapping[str, Value]
    value: float


class Search:
    """Suggests configurations and learns from their results. Same calls and seed, same suggestions.

    Safe to use from several threads, whose calls wait for one another. Copies, pickled ones too, go on by themselves.

    Args:
        space: name to ContinuousParameter, IntegerParameter or CategoricalParameter; numeric ones may have a step.
        strategy: Bayesian, Random, Grid, Hyperband, or the name of an installed strategy.
        objective_type: Minimize or Maximize.
        seed: a whole number >= 0.
        parents: earlier searches (or lists of (values, value) pairs) to start from.
        warm_start_type: TransferLearning, or IdenticalDataAndAlgorithm to take the parents' results as own ones.
        min_resource, max_resource: Hyperband's range of epochs.
        early_stopping: whether `report` applies the median rule.
        initial_points: configurations to suggest first; each may leave parameters to the strategy.
        conditions: name of a parameter to the condition under which it is there: `{"beta1": "optimizer == 'adam'"}`.
        steps: name of a numeric parameter to the distance between its values.
        forbidden: conditions that no suggestion meets: `["optimizer == 'sgd' and lr > 0.1"]`.
        replicates: how many suggestions in a row each configuration gets; the model learns their mean.
        options: further extended options by name, each as JSON text (`hyperband_proposals`, ...).

    Raises:
        Invalid: all that is wrong with the arguments.

    Warns:
        TunewrightWarning: none of a parent's results has a place in the space.
    """

    def __init__(
        self,
        space: Mapping[str, Parameter],
        strategy: str = "Bayesian",
        objective_type: str = "Minimize",
        seed: int = 0,
        *,
        parents: Sequence[Search | Sequence[tuple[Point, float]]] = (),
        warm_start_type: str = "TransferLearning",
        min_resource: int = 1,
        max_resource: int | None = None,
        early_stopping: bool = False,
        initial_points: Sequence[Point] = (),
        conditions: Mapping[str, str] | None = None,
        steps: Mapping[str, float] | None = None,
        forbidden: Sequence[str] = (),
        replicates: int = 1,
        options: Mapping[str, str] | None = None,
    ) -> None:
        listed = parents_in(parents)
        asked = Asked(
            space=space,
            strategy=strategy,
            objective_type=objective_type,
            seed=seed,
            warm_start_type=warm_start_type,
            min_resource=min_resource,
            max_resource=max_resource,
            early_stopping=early_stopping,
            initial_points=initial_points,
            conditions=conditions,
            steps=steps,
            forbidden=forbidden,
            replicates=replicates,
            options=options,
        )
        turned = _turned(listed, objective_type) if warm_start_type == IDENTICAL else []
        spec = spec_of(asked, len(listed), turned)
        self._lock = threading.RLock()
        self._engine = Engine()
        self._history = History(spec, tuple(_parent(spec, place, each) for place, each in enumerate(listed)))
        self._converged = False
        self._engine.strategy(spec)
        self._remark_on_parents()

    def __getstate__(self) -> dict[str, object]:
        """What a copy, here or in another process, goes on from; it suggests what this one would have."""
        with self._lock:
            return {"history": self._history.snapshot(), "converged": self._converged}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self._lock, self._engine = threading.RLock(), Engine()
        self._history, self._converged = state["history"], state["converged"]

    @property
    def history(self) -> History:
        """All that happened, as strategies see it."""
        return self._history

    def ask(self) -> Suggestion:
        """The next configuration; several may be pending.

        With the option `hyperband_mode` at `promotion` it may be an earlier one, whose training goes on.

        Raises:
            Exhausted: every configuration of a finite space has been suggested.
        """
        with self._lock:
            for promotion in self._engine.promote(self._history, 1):
                return self._resumed(promotion.number)
            number = self._next
            answer = self._engine.propose(self._history, number, 1)
            self._converged = self._converged or answer.converged
            if not answer.proposals:
                count = len(self._history.records)
                raise Exhausted(f"search space exhausted ({count}): every configuration has been suggested.")
            point = dict(answer.proposals[0].point)
            self._history.apply([Appeared(number, 0, point)])
            return Suggestion(number, dict(point))

    def _resumed(self, number: int) -> Suggestion:
        record = self._history.records[number]
        epoch = max(record.curve)
        self._history.apply([Weighed(number, epoch)])
        return Suggestion(number, dict(record.point), epoch)

    def tell(self, number: int | Suggestion, value: float | None) -> None:
        """The final objective of a suggestion: None when its training failed, NaN or infinity when it diverged.

        Args:
            number: the suggestion, or its number.

        Raises:
            Invalid: there is no such suggestion, its result has been told, or the value is no number.
        """
        number = _number_of(number)
        told = None if value is None else objective_of(value)
        with self._lock:
            record = self._history.records.get(number)
            if record is None:
                raise Invalid.one("number", f"{number!r} was never suggested; use the number that ask() gave.")
            if record.ended is not None and not record.ended.stopped:
                raise Invalid.one("number", f"the result of suggestion {number} has been told; ask() for a new one.")
            stopped = record.ended is not None
            self._history.apply([_ended(number, told, stopped=stopped)])
            if stopped:
                # An end that changes is new to nobody who keeps what has ended.
                self._engine = Engine()

    def report(self, number: int | Suggestion, step: int, value: float) -> bool:
        """An intermediate objective at an epoch (from 1): whether training should go on.

        On False the last value counts as the suggestion's result; telling another one is allowed. With the option
        `hyperband_mode` at `promotion` it may also be paused: then it has no result yet, and `ask` may resume it.

        Raises:
            Invalid: the suggestion is not pending, the step is no whole number >= 0, or the value is no number.
        """
        number, step, value = _number_of(number), step_of(step), _shown_value(value)
        with self._lock:
            record = self._history.records.get(number)
            if record is None or record.ended is not None:
                text = (
                    f"suggestion {number!r} is not pending; nothing can be reported for it. Go on with another ask()."
                )
                raise Invalid.one("number", text)
            if record.paused:
                raise Invalid.one("number", f"suggestion {number} is paused; report when ask() has resumed it.")
            self._history.apply([Emitted(number, step, value)])
            verdict = self._engine.judge(self._history, number, step)
            if self._history.spec.promotes:
                self._history.apply([Weighed(number, step, paused=verdict.cause is StopCause.PAUSED)])
            if verdict.stop and verdict.cause is not StopCause.PAUSED:
                self._history.apply([_ended(number, value, stopped=True)])
            return not verdict.stop

    def add(self, values: Point, value: float | None) -> int:
        """A result from elsewhere, inside or outside the ranges; the number it got.

        Raises:
            Invalid: a parameter is missing, unknown or of the wrong kind, the value no number, or there are replicates.
        """
        if self._history.spec.replicates > 1:
            text = "results from elsewhere have no place among replicates; give them as parents."
            raise Invalid.one("replicates", text)
        point = point_of(self._history.spec.definitions[0].space, values)
        told = None if value is None else objective_of(value)
        with self._lock:
            number = self._next
            self._history.apply([Appeared(number, 0, point), _ended(number, told, stopped=False)])
            return number

    @property
    def best(self) -> Result | None:
        """The best result told so far, the earliest of equals; None until a finite value was told.

        With replicates it is the mean of the best configuration whose results have all been told.
        """
        spec, sign = self._history.spec, self._history.spec.sign
        with self._lock:
            seen = merged(self._history, spec, spec.replicates) if spec.replicates > 1 else self._history
            values = [(sign * r.value, r.number) for r in seen.records.values() if r.value is not None]
        if not values:
            return None
        value, number = min(values)
        first = (number - 1) * spec.replicates + 1
        return Result(first, dict(seen.records[number].point), sign * value)

    @property
    def converged(self) -> bool:
        """Whether at some `ask` so far further trials were unlikely to improve the best by 1 %; it stays so."""
        return self._converged

    def importance(self) -> dict[str, float]:
        """Each parameter's share in the objective by the model, the largest first; zeros with too few results."""
        from tunewright.search.importance import importance

        with self._lock:
            seen = self._history.snapshot()
        return {entry.name: entry.share for entry in importance(seen)}

    @property
    def _next(self) -> int:
        return next(reversed(self._history.records), 0) + 1

    def _remark_on_parents(self) -> None:
        """Warn of parents none of whose results has a place here: nothing is learned from them."""
        space = self._history.spec.definitions[0].space
        for place, parent in enumerate(self._history.parents):
            used, dropped = places(parent, space) if parent.records else (0, 0)
            if dropped and not used:
                text = (
                    f"parents[{place}]: none of its {dropped} results has a place in this space, so that nothing is"
                    f" learned from it; a result needs values of {', '.join(space.parameters)}, under these names."
                )
                warnings.warn(text, TunewrightWarning, stacklevel=3)


def _ended(number: int, value: float | None, *, stopped: bool) -> Ended:
    if value is None:
        return Ended(number, None, failed=True, diverged=False, stopped=stopped)
    finite = math.isfinite(value)
    return Ended(number, value if finite else None, failed=False, diverged=not finite, stopped=stopped)


def _shown_value(value: object) -> float:
    """A reported objective. Raises Invalid."""
    if value is None:
        raise Invalid.one("value", "None is not a number; tell(number, None) says that a training failed.")
    return objective_of(value)


def _number_of(given: object) -> int:
    """The number of a suggestion, from itself or from the number. Raises Invalid."""
    if isinstance(given, Suggestion):
        return given.number
    if isinstance(given, bool) or not isinstance(given, SupportsIndex):
        raise Invalid.one("number", f"{given!r} is neither a suggestion nor its number; use what ask() gave.")
    return given.__index__()


def _turned(parents: Sequence[object], objective_type: object) -> list[Problem]:
    """Parents whose results cannot be the search's own, since they went the other way."""
    kinds = [p.history.spec.definitions[0].objective for p in parents if isinstance(p, Search)]
    turned = [kind for kind in kinds if kind is not None and kind.direction != objective_type]
    text = f"one of them has the objective type {{}}, this one {objective_type}; use TransferLearning."
    return [Problem("parents", text.format(kind.direction)) for kind in turned[:1]]


def _parent(spec: JobSpec, place: int, parent: object) -> History:
    """The history of a parent. Raises Invalid: it is none."""
    if isinstance(parent, Search):
        return parent.history
    history, space = History(spec), spec.definitions[0].space
    for number, (values, value) in enumerate(pairs_of(place, parent), start=1):
        history.apply([Appeared(number, 0, known_of(space, values)), _ended(number, value, stopped=False)])
    return history
