"""A value whose training jobs always fail is tried, learned, and left alone."""

from __future__ import annotations

import math

import pytest

from tunewright import CategoricalParameter, ContinuousParameter, Search


@pytest.mark.parametrize("seed", range(3))
def test_a_batch_size_that_never_fits_is_tried_at_most_twice_in_twelve(seed: int) -> None:
    space = {"batch_size": CategoricalParameter([64, 128, 256, 512]), "lr": ContinuousParameter(1e-4, 1e-1)}
    search = Search(space, objective_type="Maximize", seed=seed)
    tried = []
    for _ in range(12):
        suggestion = search.ask()
        tried.append(suggestion.values["batch_size"])
        value = 1 - abs(math.log10(float(suggestion.values["lr"])) + 2) / 4
        search.tell(suggestion.number, None if tried[-1] == 512 else value)
    assert 1 <= tried.count(512) <= 2
    assert {64, 128, 256} <= set(tried)
