"""Plug-in for `hpobench_suite` (named in `HPOBENCH_PLUGINS`): strategies of ours under names of their own.

The suite has an adapter for Bayesian search, `tunewright`; this adds `tunewright-random` and
`tunewright-local`, the same as `tunewright` but for the import of the search room alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hpobench_suite.optimizers import INTERPRETER_VARIABLES, Optimizer  # type: ignore[import-not-found]
from hpobench_suite.space import Categorical, Int  # type: ignore[import-not-found]


class Local(Optimizer):  # type: ignore[misc]
    """`tunewright.search.Search`, asked for one trial at a time."""

    def __init__(self, *arguments: Any, strategy: str = "Bayesian") -> None:
        super().__init__(*arguments)
        from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter
        from tunewright.search import Search

        parameters: dict[str, Any] = {}
        for name, parameter in self.space.items():
            if isinstance(parameter, Categorical):
                parameters[name] = CategoricalParameter(list(parameter.choices))
            else:
                kind = IntegerParameter if isinstance(parameter, Int) else ContinuousParameter
                scaling = "Logarithmic" if parameter.log else "Linear"
                parameters[name] = kind(parameter.low, parameter.high, scaling)
        self._search = Search(parameters, strategy=strategy, seed=self.seed)

    def suggest(self) -> tuple[int, dict[str, Any]]:
        suggestion = self._search.ask()
        return suggestion.number, dict(suggestion.values)

    def observe(self, token: int, value: float) -> None:
        self._search.tell(token, value)

    def load(self, configs: list[dict[str, Any]], values: list[float]) -> None:
        for config, value in zip(configs, values, strict=True):
            self._search.add(config, value)


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "tunewright-local": Local,
    "tunewright-random": lambda *arguments: Local(*arguments, strategy="Random"),
}
ENVIRONMENTS = {name: "tunewright" for name in OPTIMIZERS}
INTERPRETER_VARIABLES.update({name: "TUNEWRIGHT_PYTHON" for name in OPTIMIZERS})
