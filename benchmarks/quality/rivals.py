"""Optuna's samplers behind the face of `Search`, for comparisons on problems of our own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tunewright.core.space import CategoricalParameter, IntegerParameter, Parameter, Value
from tunewright.search import Search

SAMPLERS = {"optuna-gp": "GPSampler", "optuna-tpe": "TPESampler", "optuna-cmaes": "CmaEsSampler"}


class Asked(Protocol):
    """A configuration to try."""

    @property
    def number(self) -> int: ...

    @property
    def values(self) -> Mapping[str, Value]: ...


class Asking(Protocol):
    """What is compared: asked for configurations, told of their objectives."""

    def ask(self) -> Asked: ...

    def tell(self, number: int, value: float | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Trial:
    """A configuration that Optuna suggests."""

    number: int
    values: Mapping[str, Value]


class OptunaSearch:
    """A study with one of Optuna's samplers, all of its settings at their defaults."""

    def __init__(self, space: Mapping[str, Parameter], sampler: str, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = {name: distribution(parameter) for name, parameter in space.items()}
        self._study = optuna.create_study(sampler=getattr(optuna.samplers, SAMPLERS[sampler])(seed=seed))
        self._failed = optuna.trial.TrialState.FAIL

    def ask(self) -> Trial:
        trial = self._study.ask(self._space)
        return Trial(trial.number, trial.params)

    def tell(self, number: int, value: float | None) -> None:
        if value is None or math.isnan(value):
            self._study.tell(number, state=self._failed)
        else:
            self._study.tell(number, value)


def distribution(parameter: Parameter) -> Any:
    """Optuna's word for a parameter."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(parameter, CategoricalParameter):
        return CategoricalDistribution(list(parameter.values))
    log = parameter.scaling_type == "Logarithmic"
    if isinstance(parameter, IntegerParameter):
        return IntDistribution(int(parameter.min_value), int(parameter.max_value), log=log)
    return FloatDistribution(float(parameter.min_value), float(parameter.max_value), log=log)


def opened(space: Mapping[str, Parameter], strategy: str, seed: int) -> Asking:
    """A search of our own with a strategy, or one of `SAMPLERS`."""
    return OptunaSearch(space, strategy, seed) if strategy in SAMPLERS else Search(space, strategy=strategy, seed=seed)
