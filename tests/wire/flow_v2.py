"""A working day with the SageMaker Python SDK v2, run by its own interpreter: estimator, tuner, attach, stop."""

import contextlib
import io
import json
import tarfile

from sagemaker import get_execution_role
from sagemaker.analytics import TrainingJobAnalytics
from sagemaker.exceptions import UnexpectedStatusException
from sagemaker.tuner import HyperparameterTuner
from v2_user import estimator, inputs, plain, session, tuner

assert get_execution_role() == f"arn:aws:iam::{session.account_id()}:role/SageMakerRole"
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

long = tuner(estimator(), max_jobs=300)
long.fit(inputs, job_name="long", wait=False)
long.stop_tuning_job()
long.wait()
assert long.describe()["HyperParameterTuningJobStatus"] == "Stopped"
long.stop_tuning_job()

alone = plain()
alone.set_hyperparameters(learning_rate=0.01)
alone.fit(inputs, job_name="plain", logs="All")
assert alone.latest_training_job.describe()["TrainingJobStatus"] == "Completed"
alone.set_hyperparameters(**{"break": "here"})
try:
    alone.fit(inputs, job_name="broken", logs="None")
except UnexpectedStatusException as error:
    assert "AlgorithmError" in str(error) and "broken on purpose: here" in str(error)
else:
    raise AssertionError("a script that fails has to raise")
print("the whole day went well")
