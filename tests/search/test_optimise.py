"""The maximiser, on acquisitions whose best row is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np
import pytest

from tunewright.core.space import CategoricalParameter, ContinuousParameter, Space
from tunewright.search.arrays import Floats, Ints
from tunewright.search.bayesian.acquisition import LogEI
from tunewright.search.bayesian.optimise import Maximiser
from tunewright.search.encode import Cube
from tunewright.search.random import Taken


class Additive:
    """An acquisition that adds up over the parameters, and counts the rows that it was asked about."""

    def __init__(self, cube: Cube, seed: int) -> None:
        dice = np.random.default_rng(seed)
        self.weights = dice.random(len(cube.group))
        self.numeric = cube.column[cube.numeric]
        self.weights[self.numeric] = 0.0
        self.asked = 0

    def __call__(self, features: Floats) -> Floats:
        self.asked += len(features)
        away = features[:, self.numeric] - 0.3
        return np.asarray(features @ self.weights / math.sqrt(0.5) - (away**2).sum(axis=1))

    def along(self, features: Floats, columns: Ints) -> Callable[[Floats], tuple[Floats, Floats]]:
        def values_and_slopes(moving: Floats) -> tuple[Floats, Floats]:
            moved = features.copy()
            moved[:, columns] = moving
            return self(moved), -2 * (moving - 0.3)

        return values_and_slopes


@pytest.mark.parametrize(("categories", "values"), [(3, 4), (3, 12), (8, 13), (15, 30)])
@pytest.mark.parametrize("numbers", [0, 2])
def test_the_best_of_many_categories_is_found_without_trying_all(categories: int, values: int, numbers: int) -> None:
    cube = Cube(
        Space(
            {
                **{f"k{i}": CategoricalParameter([f"v{j}" for j in range(values)]) for i in range(categories)},
                **{f"x{i}": ContinuousParameter(0, 1) for i in range(numbers)},
            }
        )
    )
    acquire = Additive(cube, categories)
    maximiser = Maximiser(cube, cast(LogEI, acquire), cube.features, Taken({}), np.empty((0, cube.d)))
    found = maximiser.best(cube.draw(np.full((1, cube.d), 0.5)), np.empty((0, cube.d)), np.random.default_rng(1))
    assert found is not None
    best = acquire.weights[cube.is_categorical[cube.group]]
    assert found[0][:categories] == pytest.approx(best.reshape(categories, values).argmax(axis=1))
    assert found[0][categories:] == pytest.approx(0.3, abs=1e-3)
    assert acquire.asked < 1200 + 20 * categories * values
