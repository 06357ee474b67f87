"""`Search`: the engine alone, ask and tell. A thin face of History and Engine, for loops of one's own."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import SupportsIndex

from tunewright.core.errors import Invalid, Problem, TunewrightError
from tunewright.core.history import Appeared, Emitted, Ended, History, Weighed
from tunewright.core.space import (
    KINDS,
    CategoricalParameter,
    IntegerParameter,
    Parameter,
    Point,
    Space,
    Value,
    not_a_range,
    with_rules,
)
from tunewright.core.spec import (
    Definition,
    Direction,
    Hyperband,
    JobSpec,
    Objective,
    Strategy,
    Training,
    WarmStart,
)
from tunewright.core.trial import StopCause
from tunewright.search.advisor import Engine
from tunewright.search.initial import points_in, read_points
from tunewright.search.parents import IDENTICAL
from tunewright.search.replicate import merged
from tunewright.search.table import State, sign_of, state_of


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
        _check_ranges(space)
        checked, wrong = with_rules(space, steps, conditions, forbidden)
        if isinstance(replicates, bool) or not isinstance(replicates, int) or replicates < 1:
            wrong.append(Problem("replicates", f"{replicates!r} is not a whole number >= 1."))
        wrong += _turned(parents, objective_type) if warm_start_type == IDENTICAL else []
        _check(checked, wrong, strategy, objective_type, seed, max_resource)
        extended = dict(options or {})
        initial = read_points(checked, initial_points) or points_in(extended, checked)
        if replicates != 1:
            extended["replicates"] = json.dumps(replicates)
        known = strategy in set(Strategy)
        if not known:
            extended["strategy"] = json.dumps(strategy)
        definition = Definition(checked, Objective("objective", Direction(objective_type)), Training(), initial=initial)
        names = tuple(f"parent-{place}" for place in range(1, len(parents) + 1))
        spec = JobSpec(
            name="search",
            definitions=(definition,),
            strategy=Strategy(strategy) if known else Strategy.BAYESIAN,
            early_stopping=early_stopping,
            hyperband=Hyperband(min_resource, max_resource) if strategy == Strategy.HYPERBAND else None,
            warm_start=WarmStart(warm_start_type, names) if parents else None,
            seed=seed,
            options=extended,
        )
        self._engine = Engine()
        self._history = History(spec, tuple(_parent(spec, parent) for parent in parents))
        self._converged = False
        self._engine.strategy(spec)

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
            Invalid: there is no such suggestion, or its result has been told.
        """
        number = _number_of(number)
        record = self._history.records.get(number)
        if record is None:
            raise Invalid.one("number", f"{number!r} was never suggested; use the number that ask() gave.")
        if record.ended is not None and not record.ended.stopped:
            raise Invalid.one("number", f"the result of suggestion {number} has been told; ask() for a new one.")
        stopped = record.ended is not None
        self._history.apply([_ended(number, value, stopped=stopped)])
        if stopped:
            # An end that changes is new to nobody who keeps what has ended.
            self._engine = Engine()

    def report(self, number: int | Suggestion, step: int, value: float) -> bool:
        """An intermediate objective at an epoch (from 1): whether training should go on.

        On False the last value counts as the suggestion's result; telling another one is allowed. With the option
        `hyperband_mode` at `promotion` it may also be paused: then it has no result yet, and `ask` may resume it.
        """
        number = _number_of(number)
        record = self._history.records.get(number)
        if record is None or record.ended is not None:
            raise Invalid.one("number", f"suggestion {number!r} is not pending; nothing can be reported for it.")
        if record.paused:
            raise Invalid.one("number", f"suggestion {number} is paused; report when ask() has resumed it.")
        self._history.apply([Emitted(number, step, float(value))])
        verdict = self._engine.judge(self._history, number, step)
        if self._history.spec.promotes:
            self._history.apply([Weighed(number, step, paused=verdict.cause is StopCause.PAUSED)])
        if verdict.stop and verdict.cause is not StopCause.PAUSED:
            self._history.apply([_ended(number, float(value), stopped=True)])
        return not verdict.stop

    def add(self, values: Point, value: float | None) -> int:
        """A result from elsewhere, inside or outside the ranges; the number it got.

        Raises:
            Invalid: a parameter is missing, unknown or of the wrong kind, or there are replicates.
        """
        if self._history.spec.replicates > 1:
            text = "results from elsewhere have no place among replicates; give them as parents."
            raise Invalid.one("replicates", text)
        number = self._next
        point = self._cast(values)
        self._history.apply([Appeared(number, 0, point), _ended(number, value, stopped=False)])
        return number

    @property
    def best(self) -> Result | None:
        """The best result told so far, the earliest of equals; None until a finite value was told.

        With replicates it is the mean of the best configuration whose results have all been told.
        """
        spec = self._history.spec
        if spec.replicates > 1:
            return _best_mean(self._history, spec)
        sign = sign_of(spec)
        good = [r for r in self._history.records.values() if state_of(r) is State.GOOD and r.value is not None]
        if not good:
            return None
        record = min(good, key=lambda r: (sign * r.value if r.value is not None else math.inf, r.number))
        assert record.value is not None, "good records have a value"
        return Result(record.number, dict(record.point), record.value)

    @property
    def converged(self) -> bool:
        """Whether further trials are unlikely to improve the best by 1 %, as of the last `ask`."""
        return self._converged

    def importance(self) -> dict[str, float]:
        """Each parameter's share in the objective by the model, the largest first; zeros with too few results."""
        from tunewright.search.importance import importance

        return {entry.name: entry.share for entry in importance(self._history)}

    @property
    def _next(self) -> int:
        return next(reversed(self._history.records), 0) + 1

    def _cast(self, values: Point) -> dict[str, Value]:
        """The active values with native types. Raises Invalid with everything that is wrong."""
        space = self._history.spec.definitions[0].space
        active = space.rules.active(values)
        problems = [Problem(name, "has no value.") for name in space.parameters if name in active - set(values)]
        point: dict[str, Value] = {}
        for name, value in values.items():
            parameter = space.parameters.get(name)
            if parameter is None:
                problems.append(Problem(name, "is not a parameter of this space."))
                continue
            try:
                point[name] = parameter.cast(_text(parameter, value))
            except (TypeError, ValueError, OverflowError) as error:
                problems.append(Problem(name, f"{error}."))
        if problems:
            raise Invalid(problems)
        return {name: point[name] for name in space.parameters if name in active}


def _text(parameter: Parameter, value: Value) -> str:
    """A value as it is written. Raises ValueError or TypeError: it is no number, not finite, or not whole."""
    if not isinstance(parameter, CategoricalParameter) and not isinstance(value, str):
        number = float(value)
        if not math.isfinite(number):
            raise ValueError(f"{value!r} is not a finite number")
        if isinstance(parameter, IntegerParameter) and number != int(number):
            raise ValueError(f"{value!r} is not a whole number")
    return parameter.text(value)


def _best_mean(history: History, spec: JobSpec) -> Result | None:
    sign, found = sign_of(spec), merged(history, spec, spec.replicates)
    good = [r for r in found.records.values() if state_of(r) is State.GOOD and r.value is not None]
    if not good:
        return None
    top = min(good, key=lambda r: (sign * (r.value or 0.0), r.number))
    return Result((top.number - 1) * spec.replicates + 1, dict(top.point), top.value or 0.0)


def _ended(number: int, value: float | None, *, stopped: bool) -> Ended:
    if value is None:
        return Ended(number, None, failed=True, diverged=False, stopped=stopped)
    finite = math.isfinite(float(value))
    return Ended(number, float(value) if finite else None, failed=False, diverged=not finite, stopped=stopped)


def _check_ranges(space: object) -> None:
    """Raises Invalid: the space is no dictionary, or holds what are no parameters; nothing more can be said then."""
    if not isinstance(space, Mapping):
        raise Invalid.one("space", f"{space!r} is not a dictionary of names to ranges, such as {{'x': ...}}.")
    if problems := [
        Problem(str(name), not_a_range(each)) for name, each in space.items() if not isinstance(each, KINDS)
    ]:
        raise Invalid(problems)


def _number_of(given: object) -> int:
    """The number of a suggestion, from itself or from the number. Raises Invalid."""
    if isinstance(given, Suggestion):
        return given.number
    if not isinstance(given, SupportsIndex):
        raise Invalid.one("number", f"{given!r} is neither a suggestion nor its number; use what ask() gave.")
    return given.__index__()


def _check(
    space: Space, wrong: Sequence[Problem], strategy: str, objective_type: str, seed: int, max_resource: int | None
) -> None:
    problems = [*wrong, *space.problems(strict=False)]
    if not space.parameters:
        problems.append(Problem("space", "is empty; give at least one parameter."))
    if objective_type not in set(Direction):
        problems.append(Problem("objective_type", f"{objective_type!r} is neither Minimize nor Maximize."))
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        problems.append(Problem("seed", f"{seed!r} is not a whole number >= 0."))
    if strategy == Strategy.HYPERBAND and max_resource is None:
        problems.append(Problem("max_resource", "Hyperband needs it: the number of epochs of a full training."))
    if problems:
        raise Invalid(problems)


def _turned(parents: Sequence[Search | Sequence[tuple[Point, float]]], objective_type: str) -> list[Problem]:
    """Parents whose results cannot be the search's own, since they went the other way."""
    kinds = [p.history.spec.definitions[0].objective for p in parents if isinstance(p, Search)]
    turned = [kind for kind in kinds if kind is not None and kind.direction != objective_type]
    text = f"one of them has the objective type {{}}, this one {objective_type}; use TransferLearning."
    return [Problem("parents", text.format(kind.direction)) for kind in turned[:1]]


def _parent(spec: JobSpec, parent: Search | Sequence[tuple[Point, float]]) -> History:
    if isinstance(parent, Search):
        return parent.history
    history = History(spec)
    for number, (values, value) in enumerate(parent, start=1):
        history.apply([Appeared(number, 0, dict(values)), _ended(number, value, stopped=False)])
    return history
