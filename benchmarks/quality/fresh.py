"""Problems of our own making, endless in number: a family and an instance number give a function.

All are minimised and reach 0 at a known place. They were written to develop the search on, so that the
problems it is judged by stay unseen. Families: `bumps` (several smooth basins), `valley` (rotated, badly
conditioned), `ripple` (a basin with many dents), `levels` (each value of a categorical has its own basin),
`training` (a caricature of training a network, with diverging runs), `steps` (plateaus), `lattice` (integers
only), `noisy` (bumps seen through noise).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Parameter, Value

Values = Mapping[str, Value]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fresh:
    """A problem.

    Args:
        true: the noise-free value; may be infinite where a run diverges.
        noise: standard deviation of what is seen around it.
        worst: what a diverged run counts as when a table needs a number.
    """

    name: str
    space: Mapping[str, Parameter]
    true: Callable[[Values], float]
    noise: float = 0.0
    worst: float = 10.0


def _continuous(d: int) -> dict[str, Parameter]:
    return {f"x{j}": ContinuousParameter(-1.0, 1.0, "Linear") for j in range(d)}


def _vector(values: Values, d: int) -> Floats:
    return np.array([float(values[f"x{j}"]) for j in range(d)])


def _bumps(rng: np.random.Generator, d: int) -> Callable[[Floats], float]:
    count = int(rng.integers(3, 8))
    centres = rng.uniform(-0.9, 0.9, (count, d))
    lengths = np.exp(rng.uniform(math.log(0.2), math.log(1.5), (count, d))) * math.sqrt(d / 3)
    heights = np.concatenate([[1.0], rng.uniform(0.5, 0.9, count - 1)])

    def value(x: Floats) -> float:
        return float(1.0 - (heights * np.exp(-0.5 * (((x - centres) / lengths) ** 2).sum(axis=1))).max())

    return value


def _valley(rng: np.random.Generator, d: int) -> Callable[[Floats], float]:
    turn, _ = np.linalg.qr(rng.standard_normal((d, d)))
    scale = 10.0 ** np.linspace(0, float(rng.uniform(1, 2.5)), d)
    centre = rng.uniform(-0.7, 0.7, d)
    power = float(rng.uniform(0.5, 1.0))
    return lambda x: float((scale * (turn @ (x - centre)) ** 2).sum() ** power)


def _ripple(rng: np.random.Generator, d: int) -> Callable[[Floats], float]:
    centre = rng.uniform(-0.7, 0.7, d)
    depth, waves = float(rng.uniform(0.05, 0.4)), float(rng.uniform(4, 12))
    weight = np.exp(rng.uniform(-1, 1, d))

    def value(x: Floats) -> float:
        away = x - centre
        return float((weight * away**2).sum() + depth * (1 - np.cos(waves * away)).sum())

    return value


def bumps(instance: int) -> Fresh:
    rng = np.random.default_rng([1, instance])
    d = int(rng.integers(2, 8))
    value = _bumps(rng, d)
    return Fresh(f"bumps-{instance}", _continuous(d), lambda v: value(_vector(v, d)))


def valley(instance: int) -> Fresh:
    rng = np.random.default_rng([2, instance])
    d = int(rng.integers(2, 9))
    value = _valley(rng, d)
    return Fresh(f"valley-{instance}", _continuous(d), lambda v: value(_vector(v, d)))


def ripple(instance: int) -> Fresh:
    rng = np.random.default_rng([3, instance])
    d = int(rng.integers(2, 6))
    value = _ripple(rng, d)
    return Fresh(f"ripple-{instance}", _continuous(d), lambda v: value(_vector(v, d)))


def levels(instance: int) -> Fresh:
    rng = np.random.default_rng([4, instance])
    d, count, more = int(rng.integers(2, 5)), int(rng.integers(2, 7)), int(rng.integers(0, 3))
    inner = [(_bumps if rng.random() < 0.5 else _valley)(rng, d) for _ in range(count)]
    floors = np.concatenate([[0.0], rng.uniform(0.1, 0.6, count - 1)])
    slopes = np.concatenate([[float(rng.uniform(1, 2))], rng.uniform(0.2, 1.0, count - 1)])
    right = rng.integers(0, 2, more)
    names = [f"level{i}" for i in range(count)]
    order = rng.permutation(count)
    space = {
        **_continuous(d),
        "kind": CategoricalParameter([names[i] for i in order]),
        **{f"flag{i}": CategoricalParameter(["off", "on"]) for i in range(more)},
    }

    def true(v: Values) -> float:
        i = names.index(str(v["kind"]))
        flags = sum(0.15 for k in range(more) if (v[f"flag{k}"] == "on") != bool(right[k]))
        return float(floors[i] + slopes[i] * min(inner[i](_vector(v, d)), 3.0) + flags)

    return Fresh(f"levels-{instance}", space, true)


def training(instance: int) -> Fresh:
    rng = np.random.default_rng([5, instance])
    rate, decay, batch = rng.uniform(-3.5, -1.5), rng.uniform(-5, -2), rng.uniform(4, 7)
    depth, width = int(rng.integers(1, 7)), float(rng.uniform(4, 8))
    shift = {"sgd": 0.0, "adam": float(rng.uniform(-1.0, -0.3)), "rms": float(rng.uniform(-0.6, 0.2))}
    loss = {"sgd": float(rng.uniform(0, 0.1)), "adam": 0.0, "rms": float(rng.uniform(0.02, 0.1))}
    space: dict[str, Parameter] = {
        "rate": ContinuousParameter(1e-6, 1.0, "Logarithmic"),
        "decay": ContinuousParameter(1e-7, 1e-1, "Logarithmic"),
        "momentum": ContinuousParameter(0.0, 0.999, "ReverseLogarithmic"),
        "batch": IntegerParameter(8, 512, "Logarithmic"),
        "depth": IntegerParameter(1, 6, "Linear"),
        "width": IntegerParameter(8, 512, "Logarithmic"),
        "optimizer": CategoricalParameter(["sgd", "adam", "rms"]),
    }

    def true(v: Values) -> float:
        name = str(v["optimizer"])
        size = math.log2(float(v["batch"]))
        effective = math.log10(float(v["rate"])) - shift[name] - 0.5 * math.log10(1 - float(v["momentum"]))
        step = effective - 0.15 * (size - batch) - rate
        if step > 2.2:
            return math.inf
        fit = 0.25 * (1 - math.exp(-0.5 * (step / (0.7 if step > 0 else 1.1)) ** 2))
        rest = 0.02 * min(abs(math.log10(float(v["decay"])) - decay), 3.0) + 0.01 * abs(size - batch) / 2
        shape = 0.015 * abs(int(v["depth"]) - depth) + 0.01 * abs(math.log2(float(v["width"])) - width)
        return float(fit + rest + shape + loss[name])

    return Fresh(f"training-{instance}", space, true)


def steps(instance: int) -> Fresh:
    rng = np.random.default_rng([6, instance])
    d = int(rng.integers(2, 6))
    value, height = _bumps(rng, d), 1.0 / int(rng.integers(15, 60))
    return Fresh(f"steps-{instance}", _continuous(d), lambda v: height * math.floor(value(_vector(v, d)) / height))


def lattice(instance: int) -> Fresh:
    rng = np.random.default_rng([7, instance])
    d = int(rng.integers(3, 6))
    sizes = rng.integers(3, 14, d)
    value = (_ripple if rng.random() < 0.5 else _bumps)(rng, d)
    space: dict[str, Parameter] = {f"x{j}": IntegerParameter(0, int(sizes[j]) - 1, "Linear") for j in range(d)}
    rough = rng.uniform(0, 0.1, tuple(sizes))
    table = np.array([value(2 * np.array(i) / (sizes - 1) - 1) for i in np.ndindex(*sizes)]).reshape(sizes) + rough
    table -= table.min()
    return Fresh(f"lattice-{instance}", space, lambda v: float(table[tuple(int(v[f"x{j}"]) for j in range(d))]))


def noisy(instance: int) -> Fresh:
    rng = np.random.default_rng([8, instance])
    d = int(rng.integers(2, 6))
    value = _bumps(rng, d)
    return Fresh(f"noisy-{instance}", _continuous(d), lambda v: value(_vector(v, d)), float(rng.uniform(0.02, 0.1)))


FAMILIES: dict[str, Callable[[int], Fresh]] = {
    "bumps": bumps,
    "valley": valley,
    "ripple": ripple,
    "levels": levels,
    "training": training,
    "steps": steps,
    "lattice": lattice,
    "noisy": noisy,
}
