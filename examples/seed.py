"""The first example of AMT's documentation, whole: `tunewright.tuner` in the place of `sagemaker.tuner`.

It tunes a small neural network on scikit-learn's handwritten digits, with the training and validation data in
two channels. Needs scikit-learn. `python examples/seed.py [max_jobs]`.
"""

import sys
import tempfile
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from tunewright.estimator import Estimator
from tunewright.tuner import ContinuousParameter, HyperparameterTuner, IntegerParameter

SCRIPT = Path(__file__).with_name("seed_train.py")
METRICS = [{"Name": "validation:accuracy", "Regex": r"validation_accuracy=([0-9.]+)"}]


def write_data(directory: Path) -> tuple[Path, Path]:
    """The digits as two CSV files, each in the directory of its channel: the label first, then the pixels."""
    images, labels = load_digits(return_X_y=True)
    split = train_test_split(images, labels, test_size=0.3, random_state=0, stratify=labels)
    channels = directory / "train", directory / "validation"
    for channel, pixels, digits in zip(channels, split[:2], split[2:], strict=True):
        channel.mkdir()
        rows = (",".join(map(str, [digit, *row])) for digit, row in zip(digits, pixels, strict=True))
        (channel / "digits.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return channels


def main(max_jobs: int = 20) -> None:
    with tempfile.TemporaryDirectory() as directory:
        train_data, validation_data = write_data(Path(directory))
        estimator = Estimator(
            entry_point=SCRIPT,
            hyperparameters={"epochs": 15},
            metric_definitions=METRICS,
            environment={"OMP_NUM_THREADS": "1"},
            base_job_name="digits",
        )
        hyperparameter_ranges = {
            "learning_rate": ContinuousParameter(0.001, 0.1),
            "num_layers": IntegerParameter(2, 10),
            "dropout": ContinuousParameter(0.1, 0.5),
        }
        tuner = HyperparameterTuner(
            estimator=estimator,
            objective_metric_name="validation:accuracy",
            hyperparameter_ranges=hyperparameter_ranges,
            max_jobs=max_jobs,
            max_parallel_jobs=4,
            strategy="Bayesian",
        )
        tuner.fit({"train": str(train_data), "validation": str(validation_data)})
        print(tuner.best_training_job(), tuner.best_params(), tuner.best_value())
        print(tuner.analytics().dataframe().sort_values("FinalObjectiveValue", ascending=False).head())
        print(tuner.best_estimator().model_data)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
