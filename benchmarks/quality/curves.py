"""Learning curves of our own making: a family and an instance number give a problem. All are minimised.

Formulas: `rate` (power laws whose rate and limit are at odds, so that curves cross), `onset` (nothing happens for
a while, the longer the better the end), `overfit` (falls, then rises), `wide` (these three over wide continuous
ranges). Real trainings on whole grids, made once and kept in `$TUNEWRIGHT_BENCHMARK_CACHE` (default:
`~/.cache/tunewright-benchmarks`): `net` (small numpy networks on drawn data), `boost` (scikit-learn's gradient
boosting, an epoch being a tree).
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.networks import Network, boosting_curve, boosting_grid, drawn_data, network_grid
from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Parameter, Space, Value
from tunewright.search.encode import Cube

Values = Mapping[str, Value]
Floats = NDArray[np.float64]

EPOCHS = 27


@dataclass(frozen=True)
class CurveProblem:
    """A problem whose value is a curve over epochs 1 .. `epochs`.

    Args:
        seen: what is seen after each epoch, shape (epochs,); the same for the same values.
        true: what counts of a full training.
        best: the least `true` known; worse ones are measured against it.
    """

    name: str
    space: Mapping[str, Parameter]
    seen: Callable[[Values], Floats]
    true: Callable[[Values], float]
    best: float
    epochs: int = EPOCHS
    unit: float = field(default=math.nan)
    """Regret of the median best of ten random full trainings."""

    def regret(self, value: float) -> float:
        """Normalised: 0 at the best known, 1 at the median best of ten random full trainings."""
        return max(0.0, (value - self.best) / max(self.unit, 1e-12))


def _calibrated(problem: CurveProblem) -> CurveProblem:
    """With its scale, from the whole of its finite space."""
    cube = Cube(Space(dict(problem.space)))
    values = np.sort([problem.true(cube.decode(row)) for row in cube.all_rows])
    unit = float(values[int(len(values) * (1 - 0.5**0.1))] - values[0])
    return replace(problem, best=float(values[0]), unit=unit)


# ---- formulas ----


_SIZES = {"rate": 8, "decay": 4, "momentum": 4, "units": 4}
_KINDS = ("plain", "warm", "cyclic")
"""Small lattices: all of a space is looked through for the best proposal, which keeps a benchmark cheap."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where the best values of a made-up training lie, and how much each parameter matters."""

    centre: Floats
    weight: Floats
    right: str

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Shape:
        centre = np.array([rng.uniform(0.3, 0.7), *rng.uniform(0.15, 0.85, 3)])
        weight = np.exp(rng.uniform(-1.5, 0.7, 4))
        weight[0] = math.exp(rng.uniform(0.0, 1.0))
        return cls(centre, weight, str(rng.choice(_KINDS)))

    def away(self, values: Values) -> Floats:
        """Signed distances from the best place in the unit cube, shape (4,)."""
        return np.array([float(values[name]) / (size - 1) for name, size in _SIZES.items()]) - self.centre


def _jitter(values: Values, instance: int, size: float) -> Floats:
    """Noise that belongs to the values."""
    text = repr(sorted(values.items())).encode()
    seed = int.from_bytes(hashlib.sha256(text).digest()[:8], "little")
    steps = np.random.default_rng([seed, instance]).standard_normal(EPOCHS)
    return size * (0.7 * steps + 0.5 * np.convolve(steps, [0.5, 0.3, 0.2])[:EPOCHS])


def _formula(family: str, number: int, instance: int, law: Callable[[Floats, float, Floats], Floats]) -> CurveProblem:
    """A problem from a law: (signed distances, limit, constants) -> noise-free curve."""
    rng = np.random.default_rng([number, instance])
    shape = _Shape.draw(rng)
    constants, noise = rng.uniform(0, 1, 4), float(rng.uniform(0.002, 0.015))
    space: dict[str, Parameter] = {n: IntegerParameter(0, size - 1, "Linear") for n, size in _SIZES.items()}
    space["kind"] = CategoricalParameter(list(_KINDS))

    def clean(values: Values) -> Floats:
        away = shape.away(values)
        wrong = values["kind"] != shape.right
        return law(away, 0.1 + 0.5 * (1 - math.exp(-2.0 * float(shape.weight @ away**2))) + 0.04 * wrong, constants)

    def seen(values: Values) -> Floats:
        return np.asarray(np.maximum(clean(values) + _jitter(values, instance, noise), 0.0))

    return _calibrated(CurveProblem(f"{family}-{instance}", space, seen, lambda v: float(clean(v)[-1]), math.inf))


_T = np.arange(1, EPOCHS + 1, dtype=np.float64)


def _rate_law(away: Floats, limit: float, constants: Floats) -> Floats:
    slow = math.exp(np.clip(-(3 + 3 * constants[0]) * away[0] + 2 * constants[1] * away[3], -3.0, 3.0))
    curve = limit + (1.0 - limit) * (1 + _T / slow) ** -(1.0 + constants[2])
    return np.asarray(np.maximum(curve, 0.9) if away[0] > 0.35 + 0.1 * constants[3] else curve)


def _onset_law(away: Floats, limit: float, constants: Floats) -> Floats:
    start = (2 + 6 * constants[0]) * math.exp(np.clip(-4 * away[0] + 1.5 * away[2], -2.0, 2.0))
    return np.asarray(limit + (0.9 - limit) / (1 + np.exp((_T - start) / (0.8 + 2 * constants[1]))))


def _overfit_law(away: Floats, limit: float, constants: Floats) -> Floats:
    slow = math.exp(np.clip(-3 * away[0], -2.0, 2.5)) * (0.5 + constants[0])
    rise = max(0.0, -away[1] - 0.5 * away[2]) * (0.1 + 0.4 * constants[1])
    return np.asarray(limit + (0.9 - limit) * np.exp(-np.sqrt(_T / slow)) + rise * np.maximum(0, _T / EPOCHS - 0.25))


def rate(instance: int) -> CurveProblem:
    return _formula("rate", 21, instance, _rate_law)


def onset(instance: int) -> CurveProblem:
    return _formula("onset", 22, instance, _onset_law)


def overfit(instance: int) -> CurveProblem:
    return _formula("overfit", 23, instance, _overfit_law)


_LAWS = (_rate_law, _onset_law, _overfit_law)
_SAMPLES = 4000


def wide(instance: int) -> CurveProblem:
    """The three formulas in turn, over continuous ranges so wide that most of the space is bad."""
    rng = np.random.default_rng([24, instance])
    shape, law = _Shape.draw(rng), _LAWS[instance % len(_LAWS)]
    shape.weight[0] = math.exp(rng.uniform(1.5, 2.7))
    constants, noise = rng.uniform(0, 1, 4), float(rng.uniform(0.002, 0.015))
    space: dict[str, Parameter] = {
        "rate": ContinuousParameter(1e-5, 1.0, "Logarithmic"),
        "decay": ContinuousParameter(1e-7, 1e-1, "Logarithmic"),
        "momentum": ContinuousParameter(0.0, 0.99, "Linear"),
        "units": IntegerParameter(8, 1024, "Logarithmic"),
        "kind": CategoricalParameter(list(_KINDS)),
    }
    cube = Cube(Space(space))

    def clean(values: Values) -> Floats:
        away = cube.encode(values)[:4] - shape.centre
        wrong = values["kind"] != shape.right
        return law(away, 0.1 + 0.5 * (1 - math.exp(-2.0 * float(shape.weight @ away**2))) + 0.04 * wrong, constants)

    def seen(values: Values) -> Floats:
        return np.asarray(np.maximum(clean(values) + _jitter(values, instance, noise), 0.0))

    problem = CurveProblem(f"wide-{instance}", space, seen, lambda v: float(clean(v)[-1]), math.inf)
    return _sampled(problem, cube)


def _sampled(problem: CurveProblem, cube: Cube) -> CurveProblem:
    """With its scale from random configurations, the best of which is improved by random steps."""
    rng = np.random.default_rng(98)
    rows = cube.draw(rng.random((_SAMPLES, cube.d)))
    values = np.array([problem.true(cube.decode(row)) for row in rows])
    row, best = rows[int(values.argmin())], float(values.min())
    for size in np.geomspace(0.2, 0.001, _SAMPLES):
        step = np.where(cube.is_categorical, 0.0, size * rng.standard_normal(cube.d))
        other = cube.snap(np.clip(row + step, 0.0, None)[None])[0]
        value = problem.true(cube.decode(other))
        if value < best:
            row, best = other, value
    unit = float(np.sort(values)[int(_SAMPLES * (1 - 0.5**0.1))]) - best
    return replace(problem, best=best, unit=unit)


# ---- real trainings ----


def cache_directory() -> Path:
    """Where grids of real trainings are kept."""
    told = os.environ.get("TUNEWRIGHT_BENCHMARK_CACHE")
    return Path(told) if told else Path.home() / ".cache" / "tunewright-benchmarks"


def _table(
    family: str, instance: int, grid: Mapping[str, list[Value]], train: Callable[[Values], Floats]
) -> CurveProblem:
    """A problem over a whole grid of trainings; ordered values are given as their places."""
    path = cache_directory() / f"{family}-{instance}.npy"
    shape = tuple(len(values) for values in grid.values())
    if not path.exists():
        made = np.empty((*shape, EPOCHS))
        for place in itertools.product(*map(range, shape)):
            made[place] = train({name: values[i] for (name, values), i in zip(grid.items(), place, strict=True)})
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.npy")
        np.save(part, made)
        part.replace(path)
    curves = np.load(path)
    space: dict[str, Parameter] = {}
    for name, values in grid.items():
        text = isinstance(values[0], str)
        space[name] = CategoricalParameter(values) if text else IntegerParameter(0, len(values) - 1, "Linear")

    def seen(values: Values) -> Floats:
        place = tuple(
            grid[name].index(value) if isinstance(value, str) else int(value)
            for name, value in ((name, values[name]) for name in grid)
        )
        return np.asarray(curves[place])

    return _calibrated(CurveProblem(f"{family}-{instance}", space, seen, lambda v: float(seen(v)[-1]), math.inf))


def net(instance: int) -> CurveProblem:
    data = drawn_data(instance)
    return _table("net", instance, network_grid(), lambda values: Network(values).curve(data, EPOCHS))


def boost(instance: int) -> CurveProblem:
    data = drawn_data(1000 + instance)
    return _table("boost", instance, boosting_grid(), lambda values: boosting_curve(values, data, EPOCHS))


FAMILIES: dict[str, Callable[[int], CurveProblem]] = {
    "rate": rate,
    "onset": onset,
    "overfit": overfit,
    "wide": wide,
    "net": net,
    "boost": boost,
}
