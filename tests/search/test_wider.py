"""Looking wider when the model expects next to nothing, and values that always failed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tunewright import CategoricalParameter, ContinuousParameter, Search
from tunewright.core.space import Space
from tunewright.search.bayesian.floor import barren_levels
from tunewright.search.bayesian.transforms import half_rank, unit_of
from tunewright.search.bayesian.wider import crowd_weights, expects_little
from tunewright.search.encode import Cube

SPACE = {"x": ContinuousParameter(0, 1, "Linear"), "kind": CategoricalParameter(["a", "b"])}
CUBE = Cube(Space(SPACE))


def test_a_crowd_has_one_voice() -> None:
    rows = np.array([[0.50, 0.0], [0.55, 0.0], [0.52, 0.0], [0.52, 1.0], [0.90, 0.0]])
    assert crowd_weights(rows) == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1.0, 1.0])


def test_long_histories_count_crowds_in_a_sample() -> None:
    rows = np.vstack([np.full((3000, 2), [0.5, 0.0]), [[0.9, 1.0]]])
    found = crowd_weights(rows)
    assert found[:3000] == pytest.approx(1 / 3000, rel=0.01)
    assert found[3000] == 1.0


def test_a_crowd_does_not_move_the_median() -> None:
    crowd, others = np.linspace(0.0, 1e-4, 20), np.array([1.0, 2.0, 3.0, 4.0])
    values = np.concatenate([crowd, others])
    weights = np.concatenate([np.full(20, 1 / 20), np.ones(4)])
    assert unit_of(values, weights) > 1000 * unit_of(values)
    assert half_rank(values, weights)[20:22] == pytest.approx([1.0, 2.0])
    assert half_rank(values) == pytest.approx(half_rank(values, np.full(24, 3.0)))


@pytest.mark.parametrize(("gain", "little"), [(1e-3, True), (1.9e-2, True), (2.1e-2, False), (1.0, False)])
def test_little_is_two_hundredths_of_the_spread(gain: float, little: bool) -> None:
    assert expects_little(math.log(gain), np.arange(10.0), np.ones(10)) is little


def test_values_that_failed_every_time_are_barren() -> None:
    rows = np.array([[0.1, 0.0], [0.2, 1.0], [0.3, 1.0], [0.4, 0.0]])
    assert barren_levels(CUBE, rows, np.array([True, False, False, True])) == [(1, 1)]
    assert barren_levels(CUBE, rows, np.array([True, False, True, True])) == []
    assert barren_levels(CUBE, rows, np.zeros(4, dtype=bool)) == []


@pytest.mark.parametrize("seed", range(3))
def test_once_a_basin_is_polished_the_rest_of_the_space_gets_trials(seed: int) -> None:
    space = {"x": ContinuousParameter(0, 1, "Linear"), "y": ContinuousParameter(0, 1, "Linear")}
    search = Search(space, seed=seed)
    away = []
    for _ in range(50):
        trial = search.ask()
        x, y = float(trial.values["x"]) - 0.3, float(trial.values["y"]) - 0.3
        away.append(max(abs(x), abs(y)))
        search.tell(trial.number, -math.exp(-((x / 0.25) ** 2) - (y / 0.25) ** 2))
    assert sum(far > 0.2 for far in away[25:]) >= 5
    assert min(away) < 0.005, "the others go on polishing"


def test_a_lucky_value_does_not_end_the_search() -> None:
    centre, names = np.array([0.3, 0.7, 0.4, 0.6, 0.2]), [f"x{i}" for i in range(5)]
    rows = np.random.default_rng(0).random((2000, 5))
    everywhere = np.square(rows - centre).sum(axis=1)
    late = []
    for seed in range(4):
        noise = np.random.default_rng(seed)
        search = Search({name: ContinuousParameter(0, 1, "Linear") for name in names}, seed=seed)
        for number in range(45):
            trial = search.ask()
            true = float(np.square(np.array([trial.values[name] for name in names], dtype=float) - centre).sum())
            late += [true] if number >= 30 else []
            search.tell(trial.number, true + float(everywhere.std() * noise.standard_normal()))
    assert np.mean(late) < 0.6 * everywhere.mean(), "they are where the function is low"
