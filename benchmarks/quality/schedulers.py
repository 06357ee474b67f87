"""Our own early stopping as schedulers of a simulation: what to train next, and whether a training goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Protocol, TypeAlias

from tunewright.core.space import Parameter, Value
from tunewright.search import Search

Space: TypeAlias = Mapping[str, Parameter]


class Order(Enum):
    """What becomes of a training after an epoch."""

    GO = "go on"
    STOP = "stop for good"
    PAUSE = "pause, perhaps to be resumed"


@dataclass(frozen=True, slots=True)
class Start:
    """What a free worker does next: a training by its token, a new one or one that was paused."""

    token: int
    values: Mapping[str, Value]


class Scheduler(Protocol):
    def start(self) -> Start: ...

    def report(self, token: int, epoch: int, value: float) -> Order: ...


class Searching:
    """A search that stops or pauses trainings: Hyperband, or another strategy with the median rule."""

    def __init__(self, space: Space, epochs: int, seed: int, strategy: str = "Hyperband", **options: str) -> None:
        self._epochs = epochs
        hyperband = strategy == "Hyperband"
        self._search = Search(
            space,
            strategy=strategy,
            seed=seed,
            max_resource=epochs if hyperband else None,
            early_stopping=not hyperband,
            options={name: json.dumps(value) for name, value in options.items()},
        )

    def start(self) -> Start:
        suggestion = self._search.ask()
        return Start(suggestion.number, suggestion.values)

    def report(self, token: int, epoch: int, value: float) -> Order:
        if not self._search.report(token, epoch, value):
            return Order.PAUSE if self._search.history.records[token].paused else Order.STOP
        if epoch >= self._epochs:
            self._search.tell(token, value)
        return Order.GO


SCHEDULERS: dict[str, Callable[[Space, int, int], Scheduler]] = {
    "model": Searching,
    "random": partial(Searching, hyperband_proposals="random"),
    "promotion": partial(Searching, hyperband_mode="promotion"),
    "random+promotion": partial(Searching, hyperband_proposals="random", hyperband_mode="promotion"),
    "bayesian+median": partial(Searching, strategy="Bayesian"),
    "random+median": partial(Searching, strategy="Random"),
}
