"""Hyperband's proposals: random in strict mode, by the model over epochs in extended mode."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tunewright.core.errors import Invalid
from tunewright.core.history import Appeared, History
from tunewright.core.space import CategoricalParameter, ContinuousParameter
from tunewright.search import Engine, Search
from tunewright.search.bayesian.fidelity import Ladder
from tunewright.search.table import Table

SPACE = {
    "x": ContinuousParameter(0, 1),
    "y": ContinuousParameter(0, 1),
    "kind": CategoricalParameter(["a", "b"]),
}


def curve(v: dict[str, object], epoch: int) -> float:
    x, y = float(str(v["x"])), float(str(v["y"]))
    return 1.0 / epoch + (x - 0.3) ** 2 + (y - 0.8) ** 2 + 0.2 * (v["kind"] == "a")


def play(search: Search, count: int) -> list[tuple[object, ...]]:
    tried = []
    for _ in range(count):
        suggestion = search.ask()
        tried.append(tuple(suggestion.values.values()))
        for epoch in range(1, 10):
            if not search.report(suggestion.number, epoch, curve(dict(suggestion.values), epoch)):
                break
    return tried


def test_the_model_learns_from_short_runs() -> None:
    search = Search(SPACE, strategy="Hyperband", seed=0, max_resource=9)
    play(search, 30)
    random = Search(SPACE, strategy="Hyperband", seed=0, max_resource=9, options={"hyperband_proposals": '"random"'})
    play(random, 30)
    assert search.best is not None and random.best is not None
    assert search.best.value < random.best.value
    late = [r.point for r in search.history.records.values()][-12:]
    assert np.median([abs(float(str(p["x"])) - 0.3) for p in late]) < 0.2


def test_strict_draws_at_random_the_same_sequence_at_any_parallelism() -> None:
    spec = replace(Search(SPACE, strategy="Hyperband", seed=4, max_resource=9).history.spec, strict=True)
    one, other = History(spec), History(spec)
    singles = []
    for number in range(1, 9):
        proposal = Engine().propose(one, number, 1).proposals[0]
        singles.append(proposal.point)
        one.apply([Appeared(number, 0, proposal.point)])
    assert [p.point for p in Engine().propose(other, 1, 8).proposals] == singles


def test_every_rung_is_an_observation() -> None:
    search = Search(SPACE, strategy="Hyperband", seed=0, max_resource=27)
    number = search.ask().number
    for epoch in range(1, 5):
        search.report(number, epoch, 1.0 / epoch)
    failed = search.ask().number
    search.tell(failed, None)
    table = Table(search.history.spec)
    table.update(search.history)
    ladder = Ladder(table, search.history)
    assert ladder.values[:2].tolist() == pytest.approx([1.0, 1 / 3])
    assert ladder.levels.tolist() == pytest.approx([1.0, 2 / 3, 0.0])
    assert np.isnan(ladder.values[2])


def test_another_word_is_refused() -> None:
    with pytest.raises(Invalid, match="neither model nor random"):
        Search(SPACE, strategy="Hyperband", max_resource=9, options={"hyperband_proposals": '"guess"'})
