"""The tuner as a user meets it: fit, what it prints, the best, attach, warm start, how it looks."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunewright.estimator import Estimator, FunctionEstimator, attach_training_job
from tunewright.sdk.session import Session
from tunewright.tuner import (
    CategoricalParameter,
    ContinuousParameter,
    HyperbandStrategyConfig,
    HyperparameterTuner,
    HyperparameterTuningJobAnalytics,
    InstanceConfig,
    IntegerParameter,
    InvalidArguments,
    NoBestTrainingJob,
    NotStarted,
    StrategyConfig,
    TuningJobCompletionCriteriaConfig,
    TuningJobFailed,
    WarmStartConfig,
    WarmStartTypes,
    create_identical_dataset_and_algorithm_tuner,
    create_transfer_learning_tuner,
)

from .fakes import FakeLocal, Played, fake, session

METRICS = {"acc": "acc=([0-9.]+)"}
RANGES = {
    "lr": ContinuousParameter(0.001, 0.1, "Logarithmic"),
    "layers": IntegerParameter(2, 10),
    "units": CategoricalParameter([200, 512, 1000]),
}
SCRIPT = [
    Played(value=0.5, parameters={"lr": "0.01", "layers": "3", "units": "200"}),
    Played(value=0.9, parameters={"lr": "0.02", "layers": "4", "units": "512"}, seconds=5),
    Played("Stopped", value=0.4, parameters={"lr": "0.03", "layers": "5", "units": "1000"}),
    Played("Failed", reason="AlgorithmError: exit code 1", parameters={"lr": "0.04", "layers": "6", "units": "200"}),
]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text("print('acc=0.5')\n")
    return path


def make(script: Path, mine: Session, **arguments: Any) -> HyperparameterTuner:
    estimator = Estimator(
        "train.py",
        script.parent,
        hyperparameters={"epochs": 3, "name": "a b", "layers": 2},
        environment={"A": "1"},
        cpus=2,
    )
    return HyperparameterTuner(estimator, "acc", RANGES, METRICS, max_jobs=4, session=mine, **arguments)


def test_fit_tells_its_story_and_ends(script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tuner = make(script, session(tmp_path / "home", SCRIPT), max_parallel_jobs=2)
    tuner.fit({"train": script})
    out = capsys.readouterr().out
    name = tuner.latest_tuning_job.name if tuner.latest_tuning_job else ""
    assert re.fullmatch(r"train-\d{6}-\d{4}-[0-9a-f]{4}", name)
    assert f"Tuning job {name} started: 4 training jobs, 2 at a time." in out
    assert "new best 0.9 (+0.4)" in out and "failed: exit code 1" in out and f"tunewright resume {name}" in out
    assert tuner.best_training_job() == f"{name}-002-0a1b2c3d"
    assert tuner.best_params() == {"lr": 0.02, "layers": 4, "units": 512}
    assert [type(value) for value in tuner.best_params().values()] == [float, int, int]
    assert tuner.best_value() == 0.9


def test_case_46_fit_without_waiting_names_the_job_and_leaves_a_controller(
    script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = session(tmp_path / "home", SCRIPT)
    tuner = make(script, mine)
    tuner.fit(job_name="mine", wait=False)
    out = capsys.readouterr().out
    assert "mine" in out and "tunewright watch mine" in out
    assert isinstance(mine.local, FakeLocal) and mine.local.calls == ["detach", "detach"]
    tuner.wait()
    assert "Best acc: 0.9" in capsys.readouterr().out
    tuner.stop_tuning_job()
    tuner.stop_tuning_job()


def test_a_failed_job_raises_and_the_tuner_still_answers(script: Path, tmp_path: Path) -> None:
    mine = session(
        tmp_path / "home", [Played("Failed", reason="x")], final="Failed", reason="No training job succeeded"
    )
    tuner = make(script, mine)
    with pytest.raises(TuningJobFailed, match="No training job succeeded"):
        tuner.fit(job_name="mine")
    with pytest.raises(NoBestTrainingJob, match="Best training job not available for tuning job 'mine' \\(Failed\\)"):
        tuner.best_training_job()


def test_the_best_estimator_stands_for_the_best_training_job(script: Path, tmp_path: Path) -> None:
    tuner = make(script, session(tmp_path / "home", SCRIPT))
    tuner.fit(job_name="mine")
    best = tuner.best_estimator()
    assert isinstance(best, Estimator) and best is not tuner.estimator
    assert best.training_job_name == "mine-002-0a1b2c3d"
    assert best.model_data == "file:///models/mine-002-0a1b2c3d/output/model.tar.gz"
    assert best.hyperparameters() == {"epochs": 3, "name": "a b", "lr": 0.02, "layers": 4, "units": 512}
    other = tuner.best_estimator({"TrainingJobName": "mine-001-0a1b2c3d"})
    assert other.hyperparameters()["units"] == 200
    assert tuner.best_estimator("mine-001-0a1b2c3d").hyperparameters() == other.hyperparameters()
    with pytest.raises(InvalidArguments, match="best_training_job: 'nobody' is no training job of 'mine'"):
        tuner.best_estimator("nobody")
    with pytest.raises(InvalidArguments, match="best_training_job: 3 is neither a training job's name nor"):
        tuner.best_estimator(3)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError, match="file:///models/mine-002"):
        tuner.deploy(1, "ml.m5.large")


def test_before_fit_everything_says_so(script: Path, tmp_path: Path) -> None:
    tuner = make(script, session(tmp_path / "home"))
    for question in (tuner.describe, tuner.wait, tuner.best_params, tuner.analytics, tuner.stop_tuning_job):
        with pytest.raises(NotStarted):
            question()
    assert repr(tuner) == "<HyperparameterTuner: not started, acc Maximize, Bayesian, 4 jobs>"
    assert tuner._repr_html_() is None
    with pytest.raises(NotImplementedError):
        tuner.deploy()


def test_case_46_it_shows_name_status_counts_and_best_never_an_address(script: Path, tmp_path: Path) -> None:
    tuner = make(script, session(tmp_path / "home", SCRIPT))
    tuner.fit(job_name="mine", wait=False)
    assert repr(tuner) == "<HyperparameterTuner mine: InProgress, 1/4 done, best 0.5 (mine-001-0a1b2c3d)>"
    html = tuner._repr_html_()
    assert html is not None
    assert "mine" in html and "2/4 done" in html and "<b>0.9</b>" in html and "units=512" in html
    assert "<svg" in html and "<polyline" in html and "0x" not in html + repr(tuner)
    fake(tuner.session).requests.clear()
    assert "mine: cannot be described" in repr(tuner)
    assert tuner._repr_html_() is None


@pytest.mark.parametrize("choice", [False, True])
def test_attach_gives_a_tuner_that_would_send_the_same_request(script: Path, tmp_path: Path, choice: bool) -> None:
    mine = session(tmp_path / "home", SCRIPT)
    first = make(
        script,
        mine,
        strategy="Hyperband",
        strategy_config=StrategyConfig(HyperbandStrategyConfig(27, 3)),
        completion_criteria_config=TuningJobCompletionCriteriaConfig(5, True, 0.99),
        warm_start_config=WarmStartConfig(WarmStartTypes.TRANSFER_LEARNING, ["p"]),
        max_runtime_in_seconds=600,
        random_seed=7,
        replicates=2,
    )
    if choice:
        first.override_resource_config([InstanceConfig(1, "ml.m5.large"), InstanceConfig(2, "ml.c5.large", 10)])
    first.fit(job_name="mine", wait=False)
    again = HyperparameterTuner.attach("mine", mine)
    assert again.best_params() == {"lr": 0.02, "layers": 4, "units": 512}
    again.fit(job_name="again", wait=False)
    requests = fake(mine).requests
    one, two = requests["mine"], requests["again"]
    assert {**two, "HyperParameterTuningJobName": "mine"} == one


def test_attach_to_a_job_of_several_estimators(script: Path, tmp_path: Path) -> None:
    def train(lr: float) -> float:
        return lr

    mine = session(tmp_path / "home", [Played(value=0.5, parameters={"lr": "0.1"}, definition="b")])
    first = HyperparameterTuner.create(
        {"a": Estimator(script, metric_definitions=METRICS), "b": FunctionEstimator(train)},
        {"a": "acc", "b": "acc"},
        {"a": RANGES, "b": {"lr": ContinuousParameter(0.1, 1.0)}},
        max_jobs=2,
        session=mine,
    )
    assert first.estimator is None and sorted(first.estimator_dict) == ["a", "b"]
    first.fit(job_name="mine", wait=False)
    again = HyperparameterTuner.attach("mine", mine)
    assert [type(each) for each in again.estimator_dict.values()] == [Estimator, FunctionEstimator]
    assert type(again.best_estimator()) is FunctionEstimator
    again.fit(job_name="again", wait=False)
    one, two = fake(mine).requests["mine"], fake(mine).requests["again"]
    assert {**two, "HyperParameterTuningJobName": "mine"} == one
    with pytest.raises(InvalidArguments, match="one estimator only"):
        again.transfer_learning_tuner()


def test_warm_starts_keep_what_sagemakers_sdk_loses(script: Path, tmp_path: Path) -> None:
    mine = session(tmp_path / "home", SCRIPT)
    first = make(script, mine, tags={"a": "b"}, early_stopping_type="Auto", random_seed=3)
    first.fit(job_name="mine", wait=False)
    same = first.identical_dataset_and_algorithm_tuner(["older"])
    same.max_jobs = 7
    same.fit(job_name="same", wait=False)
    sent = fake(mine).requests["same"]
    assert sent["WarmStartConfig"] == {
        "WarmStartType": "IdenticalDataAndAlgorithm",
        "ParentHyperParameterTuningJobs": [
            {"HyperParameterTuningJobName": "mine"},
            {"HyperParameterTuningJobName": "older"},
        ],
    }
    original = fake(mine).requests["mine"]
    assert sent["TrainingJobDefinition"] == original["TrainingJobDefinition"]
    config = {**original["HyperParameterTuningJobConfig"]}
    config["ResourceLimits"] = {**config["ResourceLimits"], "MaxNumberOfTrainingJobs": 7}
    assert sent["HyperParameterTuningJobConfig"] == config
    assert "Tags" not in sent and first.warm_start_config is None and first.max_jobs == 4
    text = first.transfer_learning_tuner("older").warm_start_config
    assert text is not None and text.parents == {"mine", "older"}
    with pytest.raises(InvalidArguments, match="additional_parents: 3 is neither a job's name nor a list of names"):
        first.transfer_learning_tuner(3)  # type: ignore[arg-type]
    with pytest.raises(InvalidArguments, match="additional_parents: 3 is not a job's name"):
        first.identical_dataset_and_algorithm_tuner([3])  # type: ignore[list-item]
    new = Estimator(script, metric_definitions=METRICS)
    other = first.transfer_learning_tuner(estimator=new)
    assert other.estimator is new and other.warm_start_config is not None
    assert other.warm_start_config.type is WarmStartTypes.TRANSFER_LEARNING
    assert create_transfer_learning_tuner("mine", ["p"], sagemaker_session=mine).warm_start_config is not None
    named = create_identical_dataset_and_algorithm_tuner("mine", sagemaker_session=mine)
    assert named.metric_definitions == [{"Name": "acc", "Regex": "acc=([0-9.]+)"}]


def test_what_a_parent_tried_first_is_not_tried_again_on_identical_data(script: Path, tmp_path: Path) -> None:
    points = [{"lr": 0.02, "layers": 3, "units": 200}]
    first = make(script, session(tmp_path / "home", SCRIPT), initial_points=points, replicates=2)
    first.fit(job_name="mine", wait=False)
    assert first.identical_dataset_and_algorithm_tuner().extensions == {"replicates": 2}
    assert first.transfer_learning_tuner().extensions == first.extensions == {"initial_points": points, "replicates": 2}


def test_attaching_to_a_functions_job_keeps_names_that_can_be_read(tmp_path: Path) -> None:
    def train(lr: float) -> float:
        return lr

    mine = session(tmp_path / "home", [Played(value=0.5, parameters={"lr": "0.1"})])
    space = {"lr": ContinuousParameter(0.1, 1.0)}
    HyperparameterTuner(FunctionEstimator(train), "acc", space, session=mine).fit(wait=False)
    [name] = fake(mine).requests
    for tuner in (
        HyperparameterTuner.attach(name, mine),
        create_identical_dataset_and_algorithm_tuner(name, sagemaker_session=mine),
    ):
        tuner.fit(wait=False)
    assert [each.rsplit("-", 3)[0] for each in fake(mine).requests] == ["train"] * 3
    best = HyperparameterTuner.attach(name, mine).best_estimator()
    assert best.base_job_name == "train"
    assert attach_training_job(f"{name}-001-0a1b2c3d", mine).base_job_name == "train"


def test_metric_definitions_and_limits_may_be_changed_before_fit(script: Path, tmp_path: Path) -> None:
    tuner = make(script, session(tmp_path / "home", SCRIPT))
    tuner.metric_definitions = [{"Name": "acc", "Regex": "other=(.*)"}]
    tuner.max_jobs, tuner.strategy = 9, "Wrong"
    with pytest.raises(InvalidArguments, match="Wrong"):
        tuner.fit()
    tuner.strategy = "Random"
    tuner.fit(job_name="mine", wait=False)
    sent = fake(tuner.session).requests["mine"]
    assert sent["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"][0]["Regex"] == "other=(.*)"
    assert tuner.hyperparameter_ranges()["IntegerParameterRanges"][0]["MaxValue"] == "10"


def test_the_table_has_v2s_columns_and_native_types(script: Path, tmp_path: Path) -> None:
    tuner = make(script, session(tmp_path / "home", SCRIPT))
    tuner.fit(job_name="mine")
    analytics = tuner.analytics()
    table = analytics.dataframe()
    assert list(table.columns) == [
        "lr",
        "layers",
        "units",
        "TrainingJobName",
        "TrainingJobStatus",
        "FinalObjectiveValue",
        "TrainingStartTime",
        "TrainingEndTime",
        "TrainingElapsedTimeSeconds",
    ]
    assert [str(kind) for kind in table.dtypes[:3]] == ["float64", "int64", "int64"]
    assert list(table["units"]) == [200, 512, 1000, 200] and list(table["TrainingElapsedTimeSeconds"]) == [2, 5, 2, 2]
    assert table["FinalObjectiveValue"].isna().tolist() == [False, False, False, True]
    assert analytics.dataframe() is table and analytics.dataframe(force_refresh=True) is not table
    assert analytics.tuning_ranges["layers"] == {
        "Name": "layers",
        "MinValue": "2",
        "MaxValue": "10",
        "ScalingType": "Auto",
    }
    assert len(analytics.training_job_summaries()) == 4
    assert analytics.description()["HyperParameterTuningJobName"] == "mine"
    assert "mine" in repr(analytics)
    analytics.export_csv(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().startswith("lr,layers,units,TrainingJobName")
    bare = HyperparameterTuningJobAnalytics("mine", tuner.session)
    assert list(bare.dataframe()["units"]) == [200, 512, 1000, 200]


def test_a_table_without_any_value_has_numbers_that_are_none(script: Path, tmp_path: Path) -> None:
    tuner = make(script, session(tmp_path / "home", [replace(each, value=None) for each in SCRIPT]))
    tuner.fit(job_name="mine", wait=False)
    column = tuner.analytics().dataframe()["FinalObjectiveValue"]
    assert str(column.dtype) == "float64" and column.isna().all()


def test_a_table_of_several_definitions_has_holes_and_still_whole_numbers(script: Path, tmp_path: Path) -> None:
    script_of = [
        Played(value=0.5, parameters={"lr": "0.1", "layers": "3", "units": "200"}, definition="a"),
        Played(value=0.6, parameters={"depth": "4"}, definition="b"),
    ]
    mine = session(tmp_path / "home", script_of)
    tuner = HyperparameterTuner.create(
        {"a": Estimator(script, metric_definitions=METRICS), "b": Estimator(script, metric_definitions=METRICS)},
        {"a": "acc", "b": "acc"},
        {"a": RANGES, "b": {"depth": IntegerParameter(1, 9)}},
        max_jobs=2,
        session=mine,
    )
    tuner.fit(job_name="mine")
    table = tuner.analytics().dataframe()
    assert list(table["TrainingJobDefinitionName"]) == ["a", "b"]
    assert str(table["depth"].dtype) == "Int64" and table["depth"][1] == 4 and table["depth"].isna()[0]
    assert set(tuner.analytics().tuning_ranges) == {"a", "b"}


def test_the_estimators_own_session_is_used_when_the_tuner_has_none(script: Path, tmp_path: Path) -> None:
    mine = session(tmp_path / "home")
    tuner = HyperparameterTuner(Estimator(script, session=mine, metric_definitions=METRICS), "acc", RANGES)
    assert tuner.session is mine
