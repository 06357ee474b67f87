"""What a user of the SageMaker Python SDK v2 has at hand: a session, data in S3, estimators and a tuner."""

import sys
from pathlib import Path

import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.sklearn import SKLearn
from sagemaker.tuner import CategoricalParameter, ContinuousParameter, HyperparameterTuner, IntegerParameter

place = Path(sys.argv[1])
METRICS = [{"Name": "valid:loss", "Regex": "valid_loss=([0-9.]+);"}]
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
RANGES = {
    "learning_rate": ContinuousParameter(1e-4, 1.0, scaling_type="Logarithmic"),
    "depth": IntegerParameter(1, 8),
    "optimizer": CategoricalParameter(["sgd", "adam"]),
}
session = sagemaker.Session()
inputs = {name: session.upload_data(str(place / name), key_prefix=f"data/{name}") for name in ("train", "validation")}
assert inputs["train"] == f"s3://{session.default_bucket()}/data/train"


def estimator(**parameters):
    return SKLearn(
        entry_point="train.py",
        source_dir=str(place / "source"),
        framework_version="1.2-1",
        py_version="py3",
        role="SageMakerRole",
        instance_type="ml.m5.large",
        instance_count=1,
        hyperparameters={"epochs": 3, **parameters},
        output_path=f"s3://{session.default_bucket()}/models",
    )


def tuner(base, **options):
    options = {"max_jobs": 6, "max_parallel_jobs": 3, "strategy": "Bayesian", **options}
    ranges = options.pop("ranges", RANGES)
    return HyperparameterTuner(
        base, "valid:loss", ranges, metric_definitions=METRICS, objective_type="Minimize", **options
    )


def plain():
    return Estimator(
        IMAGE,
        "arn:aws:iam::000000000000:role/SageMakerRole",
        1,
        "ml.m5.large",
        entry_point="train.py",
        source_dir=str(place / "source"),
        hyperparameters={"epochs": 2},
        output_path=f"s3://{session.default_bucket()}/models",
    )
