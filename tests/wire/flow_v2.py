"""A working day with the SageMaker Python SDK v2, run by its own interpreter: estimator, tuner, attach, warm starts."""

import contextlib
import io
import json
import sys
import tarfile
from pathlib import Path

import sagemaker
from sagemaker.analytics import TrainingJobAnalytics
from sagemaker.estimator import Estimator
from sagemaker.exceptions import UnexpectedStatusException
from sagemaker.sklearn import SKLearn
from sagemaker.tuner import (
    CategoricalParameter,
    ContinuousParameter,
    HyperparameterTuner,
    IntegerParameter,
    WarmStartConfig,
    WarmStartTypes,
)

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


first = tuner(estimator(), early_stopping_type="Auto", tags=[{"Key": "team", "Value": "blue"}], random_seed=3)
first.fit(inputs, job_name="first")
told = first.describe()
assert told["HyperParameterTuningJobStatus"] == "Completed"
assert told["ObjectiveStatusCounters"] == {"Succeeded": 6, "Pending": 0, "Failed": 0}
frame = first.analytics().dataframe()
row = frame.sort_values("FinalObjectiveValue").iloc[0]
assert len(frame) == 6 and row["TrainingJobName"] == first.best_training_job()
assert frame["learning_rate"].between(1e-4, 1.0).all() and frame["depth"].between(1, 8).all()
assert set(frame["optimizer"]) <= {'"sgd"', '"adam"', "sgd", "adam"}

best = first.best_estimator()
assert best.model_data == f"s3://{session.default_bucket()}/models/{first.best_training_job()}/output/model.tar.gz"
bucket, _, key = best.model_data.removeprefix("s3://").partition("/")
content = session.s3_client.get_object(Bucket=bucket, Key=key)["Body"].read()
with tarfile.open(fileobj=io.BytesIO(content)) as archive:
    model = json.load(archive.extractfile(next(name for name in archive.getnames() if name.endswith("model.json"))))
assert abs(model["loss"] - row["FinalObjectiveValue"]) < 1e-5
printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    best.logs()
assert "valid_loss=" in printed.getvalue()
arn = session.describe_training_job(first.best_training_job())["TrainingJobArn"]
assert {"Key": "team", "Value": "blue"} in session.sagemaker_client.list_tags(ResourceArn=arn)["Tags"]
curve = TrainingJobAnalytics(first.best_training_job(), ["valid:loss"]).dataframe()
assert set(curve["metric_name"]) == {"valid:loss"}

again = HyperparameterTuner.attach("first")
assert (again.best_training_job(), again.strategy, again.max_jobs) == (first.best_training_job(), "Bayesian", 6)

parent = WarmStartConfig(WarmStartTypes.TRANSFER_LEARNING, {"first"})
transferred = tuner(
    estimator(), max_jobs=3, warm_start_config=parent, ranges={**RANGES, "depth": IntegerParameter(1, 6)}
)
transferred.fit(inputs, job_name="transferred")
assert transferred.describe()["WarmStartConfig"]["WarmStartType"] == "TransferLearning"
# From an attached tuner the SDK would quote the categories twice.
identical = first.identical_dataset_and_algorithm_tuner()
identical.max_jobs, identical.max_parallel_jobs = 3, 3
identical.fit(inputs, job_name="identical")
assert identical.describe()["OverallBestTrainingJob"]["TuningJobName"] in ("first", "identical")

plain = Estimator(
    IMAGE,
    "arn:aws:iam::000000000000:role/SageMakerRole",
    1,
    "ml.m5.large",
    entry_point="train.py",
    source_dir=str(place / "source"),
    hyperparameters={"epochs": 2},
    output_path=f"s3://{session.default_bucket()}/models",
)
several = HyperparameterTuner.create(
    estimator_dict={"a": estimator(), "b": plain},
    objective_metric_name_dict={"a": "valid:loss", "b": "valid:loss"},
    hyperparameter_ranges_dict={"a": RANGES, "b": RANGES},
    metric_definitions_dict={"a": METRICS, "b": METRICS},
    objective_type="Minimize",
    max_jobs=4,
    max_parallel_jobs=2,
)
several.fit({"a": inputs, "b": inputs}, job_name="several", include_cls_metadata={})
assert set(several.analytics().dataframe()["TrainingJobDefinitionName"]) == {"a", "b"}

long = tuner(estimator(), max_jobs=300)
long.fit(inputs, job_name="long", wait=False)
long.stop_tuning_job()
long.wait()
assert long.describe()["HyperParameterTuningJobStatus"] == "Stopped"
long.stop_tuning_job()

plain.set_hyperparameters(learning_rate=0.01)
plain.fit(inputs, job_name="plain", logs="All")
assert plain.latest_training_job.describe()["TrainingJobStatus"] == "Completed"
plain.set_hyperparameters(**{"break": "here"})
try:
    plain.fit(inputs, job_name="broken", logs="None")
except UnexpectedStatusException as error:
    assert "AlgorithmError" in str(error) and "broken on purpose: here" in str(error)
else:
    raise AssertionError("a script that fails has to raise")
print("the whole day went well")
