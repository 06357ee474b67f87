"""Cases 1 to 7: metrics that do not come out of the log as they were meant to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from features.ground import Sim
from typer.testing import Result

from tunewright.estimator import Estimator
from tunewright.tuner import ContinuousParameter, HyperparameterTuner

Run = Callable[..., Result]


def tuning_file(folder: Path, script: str, **fields: Any) -> str:
    """A tuning file for a script, four training jobs one after the other unless told otherwise."""
    (folder / "train.py").write_text(script, encoding="utf-8")
    data = {
        "name": "job",
        "strategy": "Random",
        "objective": {"metric": "loss", "type": "Minimize"},
        "max_jobs": 4,
        "max_parallel_jobs": 1,
        "seed": 1,
        "parameters": {"rate": {"type": "continuous", "min": 0, "max": 1}},
        "training": {"entry_point": "train.py", "metrics": {"loss": "loss=(.*?);"}, **fields.pop("training", {})},
        **fields,
    }
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return str(path)


def test_case_01_an_objective_that_no_definition_names(sim: Sim) -> None:
    objective = {"Type": "Maximize", "MetricName": "validation:f1"}
    specification = {
        "TrainingImage": "mine",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}],
    }
    request = sim.request(
        "job", HyperParameterTuningJobObjective=objective, training={"AlgorithmSpecification": specification}
    )
    message = sim.refused(request)
    assert "'validation:f1'" in message and "'loss'" in message
    assert sim.client.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"] == []


def test_case_01_the_estimators_definitions_serve_the_tuner(home: Path) -> None:
    script = home.parent / "train.py"
    script.write_text("print('F1=0.75;')\n", encoding="utf-8")
    estimator = Estimator(script, metric_definitions={"validation:f1": "F1=(.*?);"})
    tuner = HyperparameterTuner(estimator, "validation:f1", {"x": ContinuousParameter(0, 1)}, max_jobs=1)
    tuner.fit(job_name="job")
    assert tuner.best_value() == 0.75


WHY = "pattern matched 1 line, captured '' (not a number)"


def test_case_02_a_lazy_group_captures_nothing(home: Path, cli: Run, tmp_path: Path) -> None:
    """What the job says, and what trying the pattern on the log says."""
    file = tuning_file(tmp_path, "print('loss=0.83')\n", max_jobs=1, training={"metrics": {"loss": "loss=(.*?)"}})
    done = cli("run", file)
    assert done.exit_code == 1 and WHY in done.output
    shown = cli("jobs", "job").stdout
    assert "Completed" in shown and WHY in shown
    assert '"ObjectiveStatus": "Failed"' in cli("jobs", "job", "--json").stdout
    log = cli("logs", "job", "--path").stdout.splitlines()[0]
    assert WHY in cli("test-metric", "loss=(.*?)", log).stdout
    file = tuning_file(tmp_path, "print('loss=0.83;')\n", max_jobs=1, name="ended")
    assert cli("run", file).exit_code == 0
    assert "0.83" in cli("best", "ended").stdout
    log = cli("logs", "ended", "--path").stdout.splitlines()[0]
    assert "the last one, 0.83, would be the objective" in cli("test-metric", "loss=(.*?);", log).stdout


@pytest.mark.parametrize("kind", ["Random", "Bayesian"])
def test_case_06_a_blank_behind_a_name_is_refused(sim: Sim, kind: str) -> None:
    specification = {
        "TrainingImage": "mine",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "test_acc ", "Regex": "acc=(.*?);"}],
    }
    objective = {"Type": "Maximize", "MetricName": "test_acc"}
    request = sim.request(
        "job",
        strategy=kind,
        HyperParameterTuningJobObjective=objective,
        training={"AlgorithmSpecification": specification},
    )
    message = sim.refused(request)
    assert "'test_acc'" in message and "'test_acc '" in message


def test_case_06_a_blank_in_what_is_reported_is_shown(home: Path, cli: Run, tmp_path: Path) -> None:
    script = "import tunewright\nfor step in range(3):\n    tunewright.report(step=step, **{'test_acc ': 0.5})\n"
    file = tuning_file(
        tmp_path, script, max_jobs=2, objective={"metric": "test_acc", "type": "Maximize"}, training={"metrics": {}}
    )
    done = cli("run", file)
    assert done.exit_code == 1
    assert done.output.count("'test_acc' never seen after 3 reports; seen: 'test_acc '") >= 1


def test_case_07_nan_is_never_the_best(home: Path, cli: Run, tmp_path: Path) -> None:
    script = """
import os
values = {"001": "nan", "002": "0.5", "003": "0.7"}
print("loss=" + values[os.environ["TRAINING_JOB_NAME"].split("-")[1]] + ";")
"""
    done = cli("run", tuning_file(tmp_path, script, max_jobs=3))
    assert done.exit_code == 0, done.output
    assert "best nan" not in done.output.lower() and "first value nan" not in done.output.lower()
    best = cli("best", "job", "--json").stdout
    assert '"Value": 0.5' in best and "job-002-" in best
    rows = cli("jobs", "job", "--sort", "objective").stdout.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["2", "3", "1"], "the job without a number comes last"
    assert "nan" in rows[-1]
    described = cli("jobs", "job", "--json").stdout
    assert described.count('"ObjectiveStatus": "Failed"') == 1 and "NaN" not in described
