"""Automatic model tuning: Amazon SageMaker AMT, open and self-hosted.

`tunewright.tuner` and `tunewright.estimator` are the SageMaker SDK's names; `client` speaks AMT's own API;
`Search` is the engine alone; `report` is for training programs. Everything is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # type checkers take it for True; importing typing takes longer than all the rest
if TYPE_CHECKING:
    from typing import Any

    from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter
    from tunewright.estimator import AlgorithmEstimator, Estimator, FunctionEstimator
    from tunewright.script import report
    from tunewright.sdk.clients import client
    from tunewright.search.asktell import Search
    from tunewright.tuner import HyperparameterTuner, TunewrightWarning, WarmStartConfig, WarmStartTypes

    __version__: str

_HOMES = {
    "AlgorithmEstimator": "tunewright.estimator",
    "CategoricalParameter": "tunewright.core.space",
    "ContinuousParameter": "tunewright.core.space",
    "Estimator": "tunewright.estimator",
    "FunctionEstimator": "tunewright.estimator",
    "HyperparameterTuner": "tunewright.tuner",
    "IntegerParameter": "tunewright.core.space",
    "Search": "tunewright.search.asktell",
    "TunewrightWarning": "tunewright.tuner",
    "WarmStartConfig": "tunewright.tuner",
    "WarmStartTypes": "tunewright.tuner",
    "client": "tunewright.sdk.clients",
    "report": "tunewright.script",
}

__all__ = [
    "AlgorithmEstimator",
    "CategoricalParameter",
    "ContinuousParameter",
    "Estimator",
    "FunctionEstimator",
    "HyperparameterTuner",
    "IntegerParameter",
    "Search",
    "TunewrightWarning",
    "WarmStartConfig",
    "WarmStartTypes",
    "client",
    "report",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    elif name == "__version__":
        value = import_module("importlib.metadata").version("tunewright")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
