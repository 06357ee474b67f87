"""A working day with the SageMaker Python SDK v3, run by its own interpreter: trainer, tuner, resources."""

import sys
from pathlib import Path

from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.parameter import CategoricalParameter, ContinuousParameter, IntegerParameter
from sagemaker.core.resources import HyperParameterTuningJob, TrainingJob
from sagemaker.core.shapes import (
    HyperParameterTuningJobWarmStartConfig,
    MetricDefinition,
    OutputDataConfig,
    ParentHyperParameterTuningJob,
    StoppingCondition,
)
from sagemaker.core.training.configs import Compute, InputData, SourceCode
from sagemaker.train import ModelTrainer
from sagemaker.train.tuner import HyperparameterTuner

place = Path(sys.argv[1])
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
METRICS = [{"Name": "valid:loss", "Regex": "valid_loss=([0-9.]+);"}]
RANGES = {
    "learning_rate": ContinuousParameter(1e-4, 1.0, scaling_type="Logarithmic"),
    "depth": IntegerParameter(1, 8),
    "optimizer": CategoricalParameter(["sgd", "adam"]),
}
assert MetricDefinition(name="a", regex="b").name == "a"
session = Session()
assert get_execution_role() == f"arn:aws:iam::{session.account_id()}:role/SageMakerRole"
inputs = [
    InputData(channel_name=name, data_source=session.upload_data(str(place / name), key_prefix=f"data/{name}"))
    for name in ("train", "validation")
]


def trainer(**parameters):
    return ModelTrainer(
        sagemaker_session=session,
        role="arn:aws:iam::000000000000:role/SageMakerRole",
        training_image=IMAGE,
        base_job_name="trainer",
        source_code=SourceCode(source_dir=str(place / "source"), entry_script="train.py"),
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        hyperparameters={"epochs": 3, **parameters},
        stopping_condition=StoppingCondition(max_runtime_in_seconds=600),
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{session.default_bucket()}/models"),
    )


def tuner(**options):
    options = {"max_jobs": 5, "max_parallel_jobs": 3, **options}
    return HyperparameterTuner(
        trainer(), "valid:loss", RANGES, metric_definitions=METRICS, objective_type="Minimize", **options
    )


first = tuner(strategy="Bayesian", early_stopping_type="Auto")
first.tune(inputs=inputs, job_name="first", wait=False)
first.latest_tuning_job.wait(poll=1)
told = first.describe()
assert told.hyper_parameter_tuning_job_status == "Completed"
frame = first.analytics().dataframe()
row = frame.sort_values("FinalObjectiveValue").iloc[0]
assert len(frame) == 5 and row["TrainingJobName"] == first.best_training_job()
assert set(frame["optimizer"]) <= {"sgd", "adam"}
best = TrainingJob.get(first.best_training_job())
assert best.training_job_status == "Completed"
assert best.tuning_job_arn.endswith("hyper-parameter-tuning-job/first")
assert len(list(told.get_all_training_jobs(sort_by="FinalObjectiveMetricValue", sort_order="Ascending"))) == 5
assert "first" in [job.hyper_parameter_tuning_job_name for job in HyperParameterTuningJob.get_all()]

parents = [ParentHyperParameterTuningJob(hyper_parameter_tuning_job_name="first")]
start = HyperParameterTuningJobWarmStartConfig(
    warm_start_type="TransferLearning", parent_hyper_parameter_tuning_jobs=parents
)
transferred = tuner(max_jobs=3, warm_start_config=start)
transferred.tune(inputs=inputs, job_name="transferred", wait=False)
transferred.latest_tuning_job.wait(poll=1)
assert transferred.describe().warm_start_config.warm_start_type == "TransferLearning"

long = tuner(max_jobs=300)
long.tune(inputs=inputs, job_name="long", wait=False)
long.stop_tuning_job()
long.latest_tuning_job.wait(poll=1)
assert long.describe().hyper_parameter_tuning_job_status == "Stopped"
long.latest_tuning_job.delete()
long.latest_tuning_job.wait_for_delete(poll=1, timeout=60)

alone = trainer(learning_rate=0.01)
alone.train(input_data_config=[InputData(channel_name="train", data_source=str(place / "train"))], wait=True, logs=True)
assert alone._latest_training_job.refresh().training_job_status == "Completed"
print("the whole day went well")
