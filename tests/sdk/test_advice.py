"""Directions that fight their metric's name are warned of, and nothing else is."""

from __future__ import annotations

import pytest

from tunewright.core.spec import Direction
from tunewright.sdk.advice import advise, direction_advice, expected_direction
from tunewright.tuner import TunewrightWarning


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("validation:accuracy", Direction.MAXIMIZE),
        ("val_acc", Direction.MAXIMIZE),
        ("test:f1", Direction.MAXIMIZE),
        ("macro_f1_score", Direction.MAXIMIZE),
        ("validation:auc", Direction.MAXIMIZE),
        ("valAccuracy", Direction.MAXIMIZE),
        ("ndcg@10", Direction.MAXIMIZE),
        ("validation:rmse", Direction.MINIMIZE),
        ("train_loss", Direction.MINIMIZE),
        ("valLoss", Direction.MINIMIZE),
        ("log_loss", Direction.MINIMIZE),
        ("error-rate", Direction.MINIMIZE),
        ("neg_mean_squared_error", None),
        ("score", None),
        ("gloss", None),
        ("accelerate", None),
        ("accuracy_loss", None),
    ],
)
def test_what_a_name_asks_for(metric: str, expected: Direction | None) -> None:
    assert expected_direction(metric) is expected


def test_a_fight_is_told_with_the_remedy() -> None:
    text = direction_advice("validation:rmse", "Maximize")
    assert text is not None and "maximized" in text and "objective_type='Minimize'" in text
    assert direction_advice("validation:rmse", "Minimize") is None
    assert direction_advice("score", "Minimize") is None


def test_it_is_a_warning_of_our_own_class() -> None:
    with pytest.warns(TunewrightWarning, match="accuracy") as caught:
        advise({"accuracy": "Minimize", "loss": "Minimize"})
    assert len(caught) == 1
