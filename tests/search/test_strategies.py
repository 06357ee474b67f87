"""Every strategy of ours under the suite that is shipped for others', behind the engine's door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tunewright.core.space import Parameter
from tunewright.core.spec import JobSpec
from tunewright.search import Engine
from tunewright.search.bayesian.strategy import BayesianSearch
from tunewright.search.grid import GridSearch
from tunewright.search.random import RandomSearch
from tunewright.testing.strategy_suite import StrategySuite


class TestRandom(StrategySuite):
    name = "Random"
    by_number_only = True

    def make(self) -> RandomSearch:
        return RandomSearch()


class TestGrid(StrategySuite):
    name = "Grid"
    finite_only = True
    by_number_only = True

    def make(self) -> GridSearch:
        return GridSearch()


class TestBayesian(StrategySuite):
    name = "Bayesian"

    def make(self) -> BayesianSearch:
        return BayesianSearch()


class TestHyperband(StrategySuite):
    name = "Hyperband"

    def make(self) -> Engine:
        return Engine()


class TestStrictHyperband(StrategySuite):
    name = "Hyperband"
    by_number_only = True

    def make(self) -> Engine:
        return Engine()

    def spec(self, space: Mapping[str, Parameter], *, seed: int = 0, maximise: bool = False) -> JobSpec:
        return replace(super().spec(space, seed=seed, maximise=maximise), strict=True)
