"""Warm starts and several estimators with the SageMaker Python SDK v2, run by its own interpreter."""

from sagemaker.tuner import HyperparameterTuner, IntegerParameter, WarmStartConfig, WarmStartTypes
from v2_user import METRICS, RANGES, estimator, inputs, plain, tuner

first = tuner(estimator(), max_jobs=3)
first.fit(inputs, job_name="first")
parent = WarmStartConfig(WarmStartTypes.TRANSFER_LEARNING, {"first"})
transferred = tuner(
    estimator(), max_jobs=3, warm_start_config=parent, ranges={**RANGES, "depth": IntegerParameter(1, 6)}
)
transferred.fit(inputs, job_name="transferred")
assert transferred.describe()["WarmStartConfig"]["WarmStartType"] == "TransferLearning"
helped = first.transfer_learning_tuner(additional_parents={"transferred"}, estimator=estimator())
helped.max_jobs, helped.max_parallel_jobs = 3, 3
helped.fit(inputs, job_name="helped")
told = helped.describe()["WarmStartConfig"]
parents = {parent["HyperParameterTuningJobName"] for parent in told["ParentHyperParameterTuningJobs"]}
assert (told["WarmStartType"], parents) == ("TransferLearning", {"first", "transferred"})
# From an attached tuner the SDK would quote the categories twice.
identical = first.identical_dataset_and_algorithm_tuner()
identical.max_jobs, identical.max_parallel_jobs = 3, 3
identical.fit(inputs, job_name="identical")
assert identical.describe()["OverallBestTrainingJob"]["TuningJobName"] in ("first", "identical")

several = HyperparameterTuner.create(
    estimator_dict={"a": estimator(), "b": plain()},
    objective_metric_name_dict={"a": "valid:loss", "b": "valid:loss"},
    hyperparameter_ranges_dict={"a": RANGES, "b": RANGES},
    metric_definitions_dict={"a": METRICS, "b": METRICS},
    objective_type="Minimize",
    max_jobs=4,
    max_parallel_jobs=2,
)
several.fit({"a": inputs, "b": inputs}, job_name="several", include_cls_metadata={})
assert set(several.analytics().dataframe()["TrainingJobDefinitionName"]) == {"a", "b"}
best = several.best_training_job()
assert several.best_estimator().latest_training_job.name == best
assert HyperparameterTuner.attach("several").best_training_job() == best
print("the whole day went well")
