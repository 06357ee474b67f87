"""Things that are allowed and probably not meant: a direction that fights its metric's name."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from itertools import pairwise

from tunewright.core.errors import TunewrightWarning
from tunewright.core.spec import Direction

MORE_IS_BETTER = frozenset(
    {"accuracy", "acc", "auc", "auroc", "auprc", "f1", "f1score", "precision", "recall", "ndcg", "map", "r2", "iou"}
    | {"bleu", "rouge", "dice", "mrr", "reward", "throughput", "likelihood", "jaccard", "kappa", "mcc", "sensitivity"}
)
LESS_IS_BETTER = frozenset(
    {"loss", "error", "err", "mse", "rmse", "mae", "mape", "rmsle", "logloss", "crossentropy", "perplexity", "ppl"}
    | {"nll", "latency", "merror", "wer", "cer", "cost", "regret", "smape", "msle", "deviance"}
)
NEGATED = frozenset({"neg", "negative", "minus", "inverse", "1minus"})


def expected_direction(metric: str) -> Direction | None:
    """The direction that a metric's name asks for, or None when it says nothing or both."""
    words = [word for word in re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", metric).lower()) if word]
    pairs = ["".join(pair) for pair in pairwise(words)]
    found = {*words, *pairs}
    if found & NEGATED:
        return None
    less, more = bool(found & LESS_IS_BETTER), bool(found & MORE_IS_BETTER)
    if less == more:
        return None
    return Direction.MINIMIZE if less else Direction.MAXIMIZE


def direction_advice(metric: str, direction: str) -> str | None:
    """A sentence about a direction that fights its metric's name, or None."""
    expected = expected_direction(metric)
    if expected is None or expected == direction:
        return None
    better = "smaller" if expected is Direction.MINIMIZE else "larger"
    return (
        f"{metric!r} is to be {direction.lower()}d, but by its name {better} is better. If that is not meant, say"
        f" objective_type={expected.value!r}."
    )


def advise(objectives: Mapping[str, str]) -> None:
    """Warn, at the place where `fit` was called, of each objective (metric to direction) that fights its name."""
    for metric, direction in objectives.items():
        text = direction_advice(metric, direction)
        if text is not None:
            warnings.warn(text, TunewrightWarning, stacklevel=3)
