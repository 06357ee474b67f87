"""Which known word a wrong one was meant to be."""

from __future__ import annotations

import pytest

from tunewright.core.spec import Strategy
from tunewright.core.suggest import did_you_mean


@pytest.mark.parametrize(
    ("wrong", "known", "meant"),
    [
        ("test_acc", ["test_acc ", "loss"], "test_acc "),
        ("Maximise", ["Maximize", "Minimize"], "Maximize"),
        ("Max-Jobs", ["max_jobs", "name"], "max_jobs"),
        ("conv", ["convergence_of_all", "target"], "convergence_of_all"),
        ("bayes", list(Strategy), "Bayesian"),
    ],
)
def test_a_close_word_is_suggested_as_it_is_written(wrong: str, known: list[str], meant: str) -> None:
    assert did_you_mean(wrong, known) == f" Did you mean {meant!r}?"


@pytest.mark.parametrize(("wrong", "known"), [("zzz", ["loss"]), ("lo", ["loss_of_all_the_data"]), ("x", [])])
def test_nothing_is_suggested_where_nothing_is_close(wrong: str, known: list[str]) -> None:
    assert did_you_mean(wrong, known) == ""
