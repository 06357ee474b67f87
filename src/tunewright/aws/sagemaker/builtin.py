"""Algorithms that bring their own metric definitions, recognised by image or name as AMT does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tunewright.core.spec import Direction, MetricDefinition, Objective

_NUMBER = r"[-+]?(?:[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?|nan|inf)"
ALGORITHMS = ("xgboost",)
XGBOOST_METRICS = (
    "accuracy",
    "auc",
    "aucpr",
    "error",
    "f1",
    "logloss",
    "mae",
    "map",
    "mape",
    "merror",
    "mlogloss",
    "mse",
    "ndcg",
    "poisson-nloglik",
    "r2",
    "rmse",
    "rmsle",
)
XGBOOST_MAXIMISED = frozenset({"accuracy", "auc", "aucpr", "f1", "map", "ndcg", "r2"})
XGBOOST_RANGES = {
    "IntegerParameterRanges": (("max_depth", "2", "10", "Linear"), ("num_round", "10", "1000", "Logarithmic")),
    "ContinuousParameterRanges": (
        ("alpha", "1e-3", "100", "Logarithmic"),
        ("colsample_bytree", "0.5", "1", "Linear"),
        ("eta", "0.01", "0.5", "Logarithmic"),
        ("lambda", "1e-3", "100", "Logarithmic"),
        ("min_child_weight", "0.1", "100", "Logarithmic"),
        ("subsample", "0.5", "1", "Linear"),
    ),
}
"""What matters most for boosted trees, over the widths in which it does: name, bounds and scaling."""
SCRIPT = "sagemaker_program"
"""The hyperparameter that names a script: what an image does then is to run it."""
_IMAGE = re.compile(r"(?:^|/)(?:sagemaker-)?(xgboost)(?:[:@]|$)")
_NAME = re.compile(r"(?:^|/)(xgboost)$")


def algorithm_of(specification: Mapping[str, Any], static: Mapping[str, str]) -> str | None:
    """The built-in algorithm that a definition runs, or None: custom images, and script mode on its image."""
    if SCRIPT in static:
        return None
    found = _IMAGE.search(specification.get("TrainingImage", ""))
    found = found or _NAME.search(specification.get("AlgorithmName", ""))
    return found[1] if found else None


def metrics_of(algorithm: str) -> tuple[MetricDefinition, ...]:
    """What a built-in algorithm prints: `[3]<TAB>train-rmse:1.5<TAB>validation-rmse:1.7` for XGBoost."""
    if algorithm != "xgboost":
        raise KeyError(algorithm)
    return tuple(
        MetricDefinition(f"{part}:{metric}", rf".*\[[0-9]+\].*(?:#011|\s){part}-{re.escape(metric)}:({_NUMBER}).*")
        for part in ("train", "validation")
        for metric in XGBOOST_METRICS
    )


def default_ranges(algorithm: str, static: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """What an algorithm is tuned over when Autotune leaves the choice to us: what is given as a static stays so."""
    if algorithm != "xgboost":
        raise KeyError(algorithm)
    found: dict[str, list[dict[str, Any]]] = {}
    for kind, rows in XGBOOST_RANGES.items():
        ranges = [
            {"Name": name, "MinValue": low, "MaxValue": high, "ScalingType": scaling}
            for name, low, high, scaling in rows
            if name not in static
        ]
        if ranges:
            found[kind] = ranges
    return found


def default_objective(static: Mapping[str, str]) -> Objective:
    """What XGBoost is tuned for when Autotune leaves the choice to us: the metric of its own objective."""
    kind = static.get("objective", "reg:squarederror").strip('"')
    metric = static.get("eval_metric", "").strip('"').split(",")[0].strip()
    if metric not in XGBOOST_METRICS:
        by_kind = {"binary": "logloss", "multi": "mlogloss", "rank": "ndcg", "count": "poisson-nloglik"}
        metric = by_kind.get(kind.split(":")[0], "rmse")
    direction = Direction.MAXIMIZE if metric in XGBOOST_MAXIMISED else Direction.MINIMIZE
    return Objective(f"validation:{metric}", direction)
