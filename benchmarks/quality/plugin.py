"""Plug-in for `hpobench_suite` (named in `HPOBENCH_PLUGINS`): strategies of ours under names of their own.

The suite has an adapter for Bayesian search, `tunewright`; this adds `tunewright-random` and
`tunewright-local`, the same as `tunewright` but for the import of the search room alone. Schedulers for its
learning curves are `tunewright-model` (Hyperband, the model proposing), `tunewright-random` (as in strict mode),
and the median rule with either strategy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from hpobench_suite.optimizers import INTERPRETER_VARIABLES, Optimizer


class Local(Optimizer):  # type: ignore[misc]  # the suite is not installed where types are checked
    """`tunewright.search.Search`, asked for one trial at a time."""

    def __init__(self, *arguments: Any, strategy: str = "Bayesian") -> None:
        super().__init__(*arguments)
        from benchmarks.quality.suite_curves import our_space
        from tunewright.search import Search

        self._search = Search(our_space(self.space), strategy=strategy, seed=self.seed)

    def suggest(self) -> tuple[int, dict[str, Any]]:
        suggestion = self._search.ask()
        return suggestion.number, dict(suggestion.values)

    def observe(self, token: int, value: float) -> None:
        self._search.tell(token, value)

    def load(self, configs: list[dict[str, Any]], values: list[float]) -> None:
        """Results from elsewhere, before the first suggestion: linear in their number."""
        for config, value in zip(configs, values, strict=True):
            self._search.add(config, value)


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "tunewright-local": Local,
    "tunewright-random": lambda *arguments: Local(*arguments, strategy="Random"),
}
ENVIRONMENTS = {name: "tunewright" for name in OPTIMIZERS}
INTERPRETER_VARIABLES.update({name: "TUNEWRIGHT_PYTHON" for name in OPTIMIZERS})


class Halving:
    """One of our schedulers as the suite drives them."""

    def __init__(self, problem: Any, seed: int, parallel: int, name: str) -> None:
        from benchmarks.quality.schedulers import SCHEDULERS as ours
        from benchmarks.quality.schedulers import Order
        from benchmarks.quality.suite_curves import our_space

        self._scheduler, self._go = ours[name](our_space(problem.space), problem.max_fidelity, seed), Order.GO
        self._again: dict[str, Any] = {}
        self._repeats = 0

    def start(self) -> tuple[int, dict[str, Any]]:
        """A new trial; once a finite space is used up the first one again, which is stopped at its first epoch."""
        from tunewright.search import Exhausted

        try:
            started = self._scheduler.start()
        except Exhausted:
            self._repeats += 1
            return -self._repeats, self._again
        self._again = self._again or dict(started.values)
        return started.token, dict(started.values)

    def report(self, token: int, epoch: int, value: float) -> bool:
        return token < 0 or self._scheduler.report(token, epoch, value) is not self._go

    def finish(self, token: int, epoch: int, value: float, stopped: bool) -> None:
        """The search knows: it gave the verdict, or saw the last epoch."""


SCHEDULERS = {
    f"tunewright-{name}": partial(Halving, name=name)
    for name in ("model", "random", "bayesian+median", "random+median")
}
