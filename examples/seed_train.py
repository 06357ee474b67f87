"""A training script under SageMaker's contract: a perceptron in NumPy with dropout, trained on CSV channels.

Reads its hyperparameters from the command line, its data from `SM_CHANNEL_*`, prints one line of metrics per
epoch, and writes its weights to `SM_MODEL_DIR`.
"""

import argparse
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
WIDTH = 32
BATCH = 64
MOMENTUM = 0.9


def read(channel: str) -> tuple[Array, NDArray[np.int64]]:
    """Pixels between 0 and 1, and labels, of every CSV file of a channel."""
    directory = Path(os.environ[f"SM_CHANNEL_{channel.upper()}"])
    rows = np.vstack([np.loadtxt(path, delimiter=",", ndmin=2) for path in sorted(directory.glob("*.csv"))])
    return rows[:, 1:] / 16.0, rows[:, 0].astype(np.int64)


def forward(weights: list[tuple[Array, Array]], pixels: Array, masks: list[Array] | None = None) -> list[Array]:
    """The activations of every layer; the last ones are probabilities of the ten digits."""
    layers = [pixels]
    for index, (matrix, bias) in enumerate(weights):
        signal = layers[-1] @ matrix + bias
        if index == len(weights) - 1:
            powers = np.exp(signal - signal.max(axis=1, keepdims=True))
            layers.append(powers / powers.sum(axis=1, keepdims=True))
            continue
        signal = np.maximum(signal, 0.0)
        layers.append(signal if masks is None else signal * masks[index])
    return layers


def step(
    weights: list[tuple[Array, Array]],
    speeds: list[tuple[Array, Array]],
    layers: list[Array],
    labels: NDArray[np.int64],
    rate: float,
) -> None:
    """One step of gradient descent with momentum on the cross entropy, in place."""
    error = layers[-1].copy()
    error[np.arange(len(labels)), labels] -= 1.0
    error /= len(labels)
    for index in range(len(weights) - 1, -1, -1):
        below = (error @ weights[index][0].T) * (layers[index] > 0)
        gradients = layers[index].T @ error, error.sum(axis=0)
        for weight, speed, gradient in zip(weights[index], speeds[index], gradients, strict=True):
            speed *= MOMENTUM
            speed -= rate * gradient
            weight += speed
        error = below


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--learning_rate", type=float, default=0.05)
    parser.add_argument("--num_layers", type=int, default=2)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    (pixels, labels), (held_pixels, held_labels) = read("train"), read("validation")
    sizes = [pixels.shape[1], *[WIDTH] * (options.num_layers - 1), 10]
    weights = [
        (random.normal(0, np.sqrt(2 / before), (before, after)), np.zeros(after)) for before, after in pairwise(sizes)
    ]
    speeds = [(np.zeros_like(matrix), np.zeros_like(bias)) for matrix, bias in weights]
    for epoch in range(1, options.epochs + 1):
        order = random.permutation(len(labels))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            keep = 1.0 - options.dropout
            masks = [(random.random((len(batch), WIDTH)) < keep) / keep for _ in sizes[1:-1]]
            step(weights, speeds, forward(weights, pixels[batch], masks), labels[batch], options.learning_rate)
        guesses = forward(weights, held_pixels)[-1].argmax(axis=1)
        print(f"epoch={epoch} validation_accuracy={np.mean(guesses == held_labels):.6f}", flush=True)
    arrays = {
        f"{kind}{index}": each for index, pair in enumerate(weights) for kind, each in zip("wb", pair, strict=True)
    }
    np.savez(Path(os.environ.get("SM_MODEL_DIR", ".")) / "weights.npz", **arrays)


if __name__ == "__main__":
    main()
