"""Train a small neural network on handwritten digits.

An ordinary SageMaker training script: hyperparameters as arguments, data and model directories from SM_*
variables, progress as lines of text. It knows nothing of what tunes it, and runs by hand as well:

    python train.py --train .demo/data/train --validation .demo/data/validation --model_dir /tmp/model
"""

import argparse
import os
import pathlib

import joblib
import numpy as np
from sklearn.neural_network import MLPClassifier


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--learning_rate", type=float, default=1e-3)
    parser.add_argument("--units", type=int, default=64, help="width of the hidden layer")
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--activation", choices=["relu", "tanh", "logistic"], default="relu")
    parser.add_argument("--alpha", type=float, default=1e-4, help="strength of the L2 penalty")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", type=pathlib.Path, default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--validation", type=pathlib.Path, default=os.environ.get("SM_CHANNEL_VALIDATION"))
    parser.add_argument("--model_dir", type=pathlib.Path, default=os.environ.get("SM_MODEL_DIR", "model"))
    return parser.parse_args()


def load(directory: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Images of shape (n, 64) scaled to 0..1, and labels of shape (n,), from every CSV file of a channel."""
    rows = np.concatenate([np.loadtxt(path, delimiter=",") for path in sorted(directory.glob("*.csv"))])
    return rows[:, 1:] / 16.0, rows[:, 0].astype(int)


def main() -> None:
    args = arguments()
    images, labels = load(args.train)
    held_out, truth = load(args.validation)
    model = MLPClassifier(
        hidden_layer_sizes=(args.units,),
        activation=args.activation,
        alpha=args.alpha,
        batch_size=args.batch_size,
        learning_rate_init=args.learning_rate,
        random_state=args.seed,
    )
    for epoch in range(1, args.epochs + 1):
        model.partial_fit(images, labels, classes=np.arange(10))
        print(f"epoch={epoch} validation:accuracy={model.score(held_out, truth):.4f};", flush=True)
    args.model_dir.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, args.model_dir / "model.joblib")


if __name__ == "__main__":
    main()
