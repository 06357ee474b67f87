"""Hyperband proposals: random in strict mode, for short trials by the model over epochs in extended mode."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tunewright.core.errors import Invalid
from tunewright.core.history import Appeared, History
from tunewright.core.space import CategoricalParameter, ContinuousParameter
from tunewright.core.spec import Hyperband
from tunewright.search import Engine, Search
from tunewright.search.bayesian import acquisition
from tunewright.search.bayesian.ladder import Ladder, linked_targets, marks
from tunewright.search.hyperband import is_long
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


def edges() -> int:
    """How many numbers of short trials lie at an end of their range."""
    found = 0
    for seed in range(3):
        search = Search(SPACE, strategy="Hyperband", seed=seed, max_resource=9)
        play(search, 30)
        history = search.history
        points = [record.point for number, record in history.records.items() if not is_long(history, number)]
        found += sum(abs(float(str(point[name])) - 0.5) > 0.499 for point in points for name in ("x", "y"))
    return found


def test_the_best_of_short_trials_is_expected_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acquisition, "PRIOR_TRIALS", 0.0)
    often = edges()
    monkeypatch.setattr(acquisition, "PRIOR_TRIALS", 50.0)
    assert edges() < 0.5 * often


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
    ladder = Ladder.of(table, search.history)
    seen = ladder.shown
    assert ladder.values[seen][:3].tolist() == pytest.approx([1.0, 1 / 3, 1 / 4]), "rungs, and where it stands now"
    assert ladder.levels[seen].tolist() == pytest.approx([1.0, 2 / 3, 1 - np.log(4) / np.log(27), 0.0])
    assert np.isnan(ladder.values[seen][3])
    assert ladder.values[~seen].tolist() == [0.5], "what others are compared with at epoch 2"


@pytest.mark.parametrize(
    ("least", "most", "upto", "expected"),
    [
        (1, 27, 27, [1, 2, 3, 4, 6, 9, 13, 19]),
        (2, 18, 9, [2, 3, 4, 6, 9]),
        (5, 9, 4, []),
        (1, None, 30, [1, 2, 3, 4, 6, 9, 13, 19, 27]),
    ],
)
def test_marks_are_rungs_and_epochs_between_them(least: int, most: int | None, upto: int, expected: list[int]) -> None:
    assert marks(Hyperband(least, most), upto) == expected


def test_another_word_is_refused() -> None:
    with pytest.raises(Invalid, match="neither model nor random"):
        Search(SPACE, strategy="Hyperband", max_resource=9, options={"hyperband_proposals": '"guess"'})


def test_a_level_stands_where_its_trials_stood_before() -> None:
    levels = np.array([1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.0])
    values = np.array([0.9, 0.8, 0.7, 0.6, 0.3, 0.2, 0.1])
    targets = linked_targets(levels, values, np.array([0, 1, 2, 3, 2, 3, 3]))
    assert (np.diff(targets[:4]) < 0).all(), "at one level the order is that of the objectives"
    # Objectives of the second level are far below those of the first; the trials are not.
    assert targets[4:6].mean() == pytest.approx(targets[2:4].mean())
    assert targets[6] == pytest.approx(targets[5]), "one trial alone stays where it stood"


def test_failures_are_as_bad_as_the_worst() -> None:
    levels, owner = np.array([1.0, 1.0, 1.0, 0.0]), np.array([0, 1, 2, 3])
    targets = linked_targets(levels, np.array([0.5, 0.4, 0.3, np.nan]), owner)
    assert targets[3] == targets[:3].max()
