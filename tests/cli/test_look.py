"""Commands that only look: what they print, as text and as strict JSON, and their exit codes."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from typer.testing import Result

from tunewright.cli.commands.look import JobWord, Sort, TrialWord
from tunewright.cli.ranking import SORTS
from tunewright.core.job import JobStatus
from tunewright.core.trial import TrialStatus

from .still import StillEngine

Run = Callable[..., Result]


def strict(text: str) -> Any:
    """Strict JSON: NaN and Infinity are refused."""

    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_list_says_how_far_jobs_are(finished: StillEngine, cli: Run) -> None:
    result = cli("list")
    assert result.exit_code == 0
    header, row = result.stdout.splitlines()
    assert header.split() == ["NAME", "STATUS", "STRATEGY", "DONE", "BEST", "CREATED"]
    assert row.split()[:5] == ["digits", "Completed", "Bayesian", "4/4", "0.913"]


def test_list_says_that_nobody_is_in_charge_and_how_to_resume(digits: StillEngine, cli: Run) -> None:
    digits.charge = False
    assert "nobody runs it; take it over: tunewright resume digits" in cli("list").stdout
    [job] = strict(cli("list", "--json").stdout)["HyperParameterTuningJobSummaries"]
    assert job["Tunewright"] == {"InCharge": False}
    assert job["HyperParameterTuningJobStatus"] == "InProgress"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", job["CreationTime"])
    assert "nobody; take it over" in cli("describe", "digits").stdout


def test_list_filters_and_tells_of_more(engine: StillEngine, request_of: Any, cli: Run) -> None:
    assert cli("list").stdout == "There are no tuning jobs.\n"
    for name in ("one", "two", "three"):
        engine.clock.time += 1
        engine.call("CreateHyperParameterTuningJob", **request_of(name))
    lines = cli("list", "--limit", "2").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", "three", "two", "..."]
    assert "one" in cli("list", "--contains", "on").stdout
    assert cli("list", "--status", "Failed").stdout == "There are no tuning jobs like this.\n"


def test_describe(finished: StillEngine, cli: Run) -> None:
    text = cli("describe", "digits").stdout
    assert "4 of 4 ended (3 completed, 1 failed)" in text
    assert re.search(r"Best +0\.913 by digits-004-", text)
    assert re.search(r"Ended because +all 4 training jobs have run", text)
    assert "lr     continuous 0.001 to 0.1, Auto" in text
    assert "units  one of 200, 512, 1000" in text
    shape = strict(cli("describe", "digits", "--json").stdout)
    assert shape["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"] == {
        "MetricName": "acc",
        "Value": 0.913,
    }
    assert shape["Tunewright"]["EndReason"] == "all 4 training jobs have run"
    assert shape["TrainingJobStatusCounters"]["NonRetryableError"] == 1


def test_jobs_are_sorted_by_objective_with_remarks(finished: StillEngine, cli: Run) -> None:
    lines = cli("jobs", "digits").stdout.splitlines()
    assert lines[0].split() == ["#", "TRAINING", "JOB", "STATUS", "VALUE", "TIME", "REMARK", "lr", "units"]
    assert [line.split()[0] for line in lines[1:]] == ["4", "1", "2", "3"]
    assert lines[1].split()[-2:] == ["0.04", "512"]
    assert "ValueError: bad path" in lines[3]
    assert "'acc' never appeared in the log" in lines[4]


def test_what_is_odd_about_a_value_stands_beside_it(digits: StillEngine, cli: Run) -> None:
    digits.begin("digits", {"lr": 0.01, "units": "200"})
    digits.report("digits", 1, 1.2, note="the pattern of 'acc' took 1.2 of 1.2e-05")
    digits.exit("digits", 1)
    assert "the pattern of 'acc' took 1.2 of 1.2e-05" in cli("jobs", "digits").stdout.splitlines()[1]
    assert "Note: the pattern of 'acc' took 1.2 of 1.2e-05." in cli("best", "digits").stdout
    assert strict(cli("best", "digits", "--json").stdout)["ObjectiveReason"].startswith("the pattern of 'acc'")
    [exported] = csv.DictReader(io.StringIO(cli("export", "digits").stdout))
    assert (exported["ObjectiveStatus"], exported["FailureReason"]) == ("Succeeded", "")


def test_jobs_are_paged_and_filtered(finished: StillEngine, cli: Run) -> None:
    page = strict(cli("jobs", "digits", "--limit", "1", "--page", "2", "--json").stdout)
    assert (page["Total"], len(page["TrainingJobSummaries"])) == (4, 1)
    assert page["TrainingJobSummaries"][0]["TunedHyperParameters"] == {"lr": "0.01", "units": "200"}
    assert "Page 2 of 4" in cli("jobs", "digits", "--limit", "1", "--page", "2").stdout
    [failed] = strict(cli("jobs", "digits", "--status", "Failed", "--json").stdout)["TrainingJobSummaries"]
    assert failed["FailureReason"].startswith("AlgorithmError: ")
    numbers = [line.split()[0] for line in cli("jobs", "digits", "--sort", "time").stdout.splitlines()[1:]]
    assert numbers == ["1", "2", "3", "4"]
    assert cli("jobs", "digits", "--sort", "beauty").exit_code == 2


def test_case_13_best_is_typed_and_says_where_the_model_lies(finished: StillEngine, cli: Run) -> None:
    result = cli("best", "digits")
    assert result.exit_code == 0
    assert "acc 0.913" in result.stdout and "units  512" in result.stdout
    model = finished.home / "output" / finished.job("digits").best.name / "output" / "model.tar.gz"  # type: ignore[union-attr]
    assert f"Model: {model}" in result.stdout
    shape = strict(cli("best", "digits", "--json").stdout)
    assert shape["HyperParameters"] == {"lr": 0.04, "units": 512}
    assert shape["TunedHyperParameters"] == {"lr": "0.04", "units": "512"}
    assert shape["ModelPath"] == str(model)


def test_best_without_a_value_is_a_failure(digits: StillEngine, cli: Run) -> None:
    assert cli("best", "digits").exit_code == 1
    result = cli("best", "digits", "--json")
    assert result.exit_code == 1 and "TrainingJobName" not in strict(result.stdout)


def test_export_csv_is_typed(finished: StillEngine, cli: Run, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    result = cli("export", "digits", "--output", str(out))
    assert result.exit_code == 0 and "Wrote 4 training jobs" in result.stderr
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [row["units"] for row in rows] == ["200", "512", "1000", "512"]
    assert [row["FinalObjectiveValue"] for row in rows] == ["0.75", "", "", "0.913"]
    assert rows[0]["TrainingElapsedTimeSeconds"] == "10.0"
    assert cli("export", "digits").stdout == out.read_text()


def test_export_json_is_strict_and_typed(finished: StillEngine, cli: Run, tmp_path: Path) -> None:
    rows = strict(cli("export", "digits", "--format", "json").stdout)
    assert rows[3]["HyperParameters"] == {"lr": 0.04, "units": 512}
    assert rows == strict(cli("export", "digits", "--json").stdout)
    out = tmp_path / "out.json"
    cli("export", "digits", "-o", str(out))
    assert strict(out.read_text()) == rows
    assert cli("export", "digits", "-o", str(tmp_path / "none" / "x.csv")).exit_code == 2


@pytest.fixture
def measured(engine: StillEngine, request_of: Any) -> StillEngine:
    """`digits` with further metrics: one that its definition names, one that is only reported, and a named `lr`."""
    metrics = {"acc": "acc=(.*)", "f1": "f1=(.*)"}
    engine.call("CreateHyperParameterTuningJob", **request_of(training={"entry_point": "train.py", "metrics": metrics}))
    engine.begin("digits", {"lr": 0.01, "units": "200"}, {"lr": 0.02, "units": "512"})
    engine.report("digits", 1, 0.5, 0.25, metric="loss")
    engine.report("digits", 1, 0.75)
    engine.report("digits", 1, 0.875, metric="f1")
    engine.report("digits", 1, 0.001, metric="lr")
    engine.report("digits", 2, math.inf, metric="loss")
    for number in (1, 2):
        engine.exit("digits", number)
    return engine


def test_export_has_a_column_for_each_other_metric(measured: StillEngine, cli: Run) -> None:
    first, second = csv.DictReader(io.StringIO(cli("export", "digits").stdout))
    assert list(first)[-3:] == ["f1", "loss", "metric:lr"] and first["lr"] == "0.01"
    assert [first[name] for name in ("f1", "loss", "metric:lr")] == ["0.875", "0.25", "0.001"]
    assert [second[name] for name in ("f1", "loss", "metric:lr")] == ["", "", ""]
    one, two = strict(cli("export", "digits", "--json").stdout)
    values = {each["MetricName"]: each["Value"] for each in one["FinalMetricDataList"]}
    assert values == {"loss": 0.25, "acc": 0.75, "f1": 0.875, "lr": 0.001, "ObjectiveMetric": 0.75}
    assert one["FinalMetricDataList"][0]["Timestamp"].endswith("Z") and two["FinalMetricDataList"] == []


def test_best_and_jobs_show_the_other_metrics(measured: StillEngine, cli: Run) -> None:
    lines = cli("best", "digits").stdout.splitlines()
    assert lines[lines.index("Other metrics:") + 1 :][:3] == ["  loss  0.25", "  f1    0.875", "  lr    0.001"]
    listed = strict(cli("jobs", "digits", "--json").stdout)["TrainingJobSummaries"][0]["FinalMetricDataList"]
    assert listed == strict(cli("best", "digits", "--json").stdout)["FinalMetricDataList"]
    assert [each["MetricName"] for each in listed] == ["loss", "acc", "f1", "lr", "ObjectiveMetric"]


def test_export_of_curves_has_a_row_for_each_value(measured: StillEngine, cli: Run, tmp_path: Path) -> None:
    out = tmp_path / "curves.csv"
    assert "Wrote 6 values" in cli("export", "digits", "--curves", "-o", str(out)).stderr
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [(row["TrainingJobName"][:10], row["MetricName"], row["Epoch"], row["Value"]) for row in rows] == [
        ("digits-001", "loss", "", "0.5"),
        ("digits-001", "loss", "", "0.25"),
        ("digits-001", "acc", "1", "0.75"),
        ("digits-001", "f1", "", "0.875"),
        ("digits-001", "lr", "", "0.001"),
        ("digits-002", "loss", "", "inf"),
    ]
    shapes = strict(cli("export", "digits", "--curves", "--json").stdout)
    assert [shape["Value"] for shape in shapes] == [0.5, 0.25, 0.75, 0.875, 0.001, "Infinity"]
    assert shapes[0]["Epoch"] is None and shapes[0]["Timestamp"] == rows[0]["Timestamp"]


def test_export_of_an_empty_job(digits: StillEngine, cli: Run) -> None:
    assert strict(cli("export", "digits", "--json").stdout) == []
    assert len(cli("export", "digits").stdout.splitlines()) == 1


def test_a_diverged_value_stays_strict_json(digits: StillEngine, cli: Run) -> None:
    digits.begin("digits", {"lr": 0.01, "units": "200"})
    digits.report("digits", 1, float("inf"))
    digits.exit("digits", 1)
    for command in (("jobs", "digits"), ("export", "digits"), ("describe", "digits"), ("list",)):
        strict(cli(*command, "--json").stdout)
    assert "diverged" in cli("jobs", "digits").stdout


@pytest.mark.parametrize(
    "command", ["describe", "jobs", "best", "export", "logs", "replay", "watch", "stop", "resume", "delete"]
)
def test_an_unknown_name_is_told_with_the_nearest_one(digits: StillEngine, cli: Run, command: str) -> None:
    result = cli(command, "digitz")
    assert result.exit_code == 2
    assert result.stderr == "Error: There is no tuning job called 'digitz'. Did you mean 'digits'?\n"


def test_a_training_jobs_name_is_told_to_be_one(finished: StillEngine, cli: Run) -> None:
    name = finished.job("digits").best.name  # type: ignore[union-attr]
    assert "It is a training job of 'digits'." in cli("describe", name).stderr
    assert cli("delete", "digits").exit_code == 0
    told = cli("logs", name)
    place = finished.home / "jobs" / name / "stdout.log"
    assert f"It is a training job of 'digits', which was deleted; its log is at {place}." in told.stderr


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("SELECT ...", {}, Exception("disk I/O error\nmore")),
        sqlite3.OperationalError("disk I/O error\nmore"),
    ],
)
def test_a_store_that_cannot_be_used_is_told_in_one_line(
    engine: StillEngine, cli: Run, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(query: object) -> None:
        raise error

    monkeypatch.setattr(engine.reads, "jobs", broken)
    result = cli("list")
    assert result.exit_code == 1
    assert result.stderr == "Error: the store cannot be used: disk I/O error; see tunewright doctor\n"


def test_words_of_options_are_the_cores() -> None:
    assert JobWord.__args__ == tuple(JobStatus)  # type: ignore[attr-defined]
    assert TrialWord.__args__ == tuple(TrialStatus)  # type: ignore[attr-defined]
    assert Sort.__args__ == SORTS  # type: ignore[attr-defined]
