"""Local mode of the SageMaker Python SDK v2 with Tunewright's session: no server, no S3, no Docker."""

import sys
from pathlib import Path

from sagemaker.sklearn import SKLearn
from sagemaker.tuner import ContinuousParameter, HyperparameterTuner

from tunewright.sagemaker import LocalSession

place = Path(sys.argv[1])
estimator = SKLearn(
    entry_point="train.py",
    source_dir=str(place / "source"),
    framework_version="1.2-1",
    role="anybody",
    instance_type="local",
    instance_count=1,
    hyperparameters={"epochs": 2, "learning_rate": 0.1},
    sagemaker_session=LocalSession(),
)
inputs = {"train": f"file://{place / 'train'}"}
estimator.fit(inputs)
assert estimator.model_data.startswith("file:///") and Path(estimator.model_data.removeprefix("file://")).is_file()
tuner = HyperparameterTuner(
    estimator,
    "valid:loss",
    {"learning_rate": ContinuousParameter(1e-4, 1.0)},
    metric_definitions=[{"Name": "valid:loss", "Regex": "valid_loss=([0-9.]+);"}],
    objective_type="Minimize",
    max_jobs=4,
    max_parallel_jobs=2,
)
tuner.fit(inputs)
assert len(tuner.analytics().dataframe()) == 4
assert Path(tuner.best_estimator().model_data.removeprefix("file://")).is_file()
print("the whole day went well")
