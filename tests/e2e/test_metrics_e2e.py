"""What real programs print, and what becomes of it."""

from __future__ import annotations

import json

from tunewright.core.job import JobStatus
from tunewright.core.trial import ObjectiveStatus, TrialStatus

from .place import Place, categories


def test_case_03_values_on_stderr_between_carriage_returns(place: Place) -> None:
    script = place.script(
        r"""
        import sys
        sys.stderr.write("\rstep 1 val_loss=0.50;\rstep 2 val_loss=0.25;\n")
        """
    )
    job = place.run("stderr", script, jobs=1, metric="val_loss", regex="val_loss=(.*?);", type="Minimize")
    assert job.best is not None and job.best.value == 0.25
    assert [p.value for p in place.host.reads.curve(job.best.name)] == [0.5, 0.25]


def test_case_04_a_job_without_a_metric_does_not_hold_up_the_others(place: Place) -> None:
    script = place.script(
        """
        import os
        if "-002-" not in os.environ["TRAINING_JOB_NAME"]:
            print("acc=0.7;")
        """
    )
    job = place.run("silent", script)
    assert job.status is JobStatus.COMPLETED
    silent = place.trials(job)[1]
    assert silent.status is TrialStatus.COMPLETED and silent.objective_status is ObjectiveStatus.FAILED
    counters = place.describe("silent")["ObjectiveStatusCounters"]
    assert counters == {"Succeeded": 3, "Pending": 0, "Failed": 1}


def test_a_pattern_that_captures_nothing_says_so(place: Place) -> None:
    script = place.script("print('F1=0.83')")
    job = place.run("lazy", script, jobs=1, metric="F1", regex="F1=(.*?)")
    [trial] = place.trials(job)
    assert trial.status is TrialStatus.COMPLETED and trial.value is None
    assert trial.objective_reason == "pattern matched 1 line, captured '' (not a number)"
    job = place.run("ended", place.script("print('F1=0.83;')"), jobs=1, metric="F1", regex="F1=(.*?);")
    assert job.best is not None and job.best.value == 0.83


def test_case_05_every_job_failing_ends_after_five_with_the_cause(place: Place) -> None:
    script = place.script(
        """
        import sys
        sys.stderr.write("ValueError: bad path\\n")
        raise SystemExit(1)
        """
    )
    job = place.run("failing", script, jobs=20)
    assert job.status is JobStatus.FAILED and job.launched == 5
    answer = place.describe("failing")
    assert answer["FailureReason"].startswith("No training job succeeded after 5 attempts")
    assert "bad path" in answer["FailureReason"] and len(answer["FailureReason"]) <= 1024


def test_nan_is_never_the_best_and_sorts_last(place: Place) -> None:
    script = place.script(
        """
        import os
        print({"001": "acc=nan;", "002": "acc=0.5;", "003": "acc=0.7;"}[os.environ["TRAINING_JOB_NAME"].split("-")[1]])
        """
    )
    job = place.run("nan", script, jobs=3, type="Minimize")
    first, second, _ = place.trials(job)
    assert job.best is not None and (job.best.number, job.best.value) == (second.number, 0.5)
    assert first.objective_status is ObjectiveStatus.FAILED and "nan" in first.objective_reason
    found = place.local.client.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="nan", SortBy="FinalObjectiveMetricValue", SortOrder="Ascending"
    )["TrainingJobSummaries"]
    assert [s["TrainingJobName"] for s in found] == [place.trials(job)[1].name, place.trials(job)[2].name]


def test_case_08_infinity_is_not_used_and_every_answer_is_strict_json(place: Place) -> None:
    script = place.script(
        """
        import os
        print("acc=inf;" if "-001-" in os.environ["TRAINING_JOB_NAME"] else "acc=1.0;")
        """
    )
    job = place.run("infinite", script, jobs=2)
    assert job.best is not None and job.best.value == 1.0
    assert "inf" in place.trials(job)[0].objective_reason
    handle = place.local.operations.handle
    for operation, body in (
        ("DescribeHyperParameterTuningJob", {"HyperParameterTuningJobName": "infinite"}),
        ("ListTrainingJobsForHyperParameterTuningJob", {"HyperParameterTuningJobName": "infinite"}),
        ("DescribeTrainingJob", {"TrainingJobName": place.trials(job)[0].name}),
    ):
        status, _, text = handle(operation, json.dumps(body).encode())
        assert status == 200
        json.loads(text, parse_constant=lambda name: (_ for _ in ()).throw(AssertionError(name)))


def test_the_last_value_counts_not_the_best(place: Place) -> None:
    job = place.run("last", place.script("print('acc=0.9;')\nprint('acc=0.5;')"), jobs=1)
    assert job.best is not None and job.best.value == 0.5


def test_a_large_log_is_read_whole(place: Place) -> None:
    script = place.script(
        """
        import sys
        line = "x" * 199 + "\\n"
        for _ in range(100):
            sys.stdout.write(line * 1000)
        print("acc=0.25;")
        sys.stdout.write(line * 1000)
        """
    )
    job = place.run("large", script, jobs=1)
    assert job.best is not None and job.best.value == 0.25


def test_report_needs_no_pattern(place: Place) -> None:
    script = place.script(
        """
        import tunewright
        for step in range(1, 4):
            tunewright.report(step=step, **{"validation:accuracy": step / 10})
        """
    )
    job = place.run("pushed", script, jobs=2, metric="validation:accuracy", metrics=[])
    assert job.best is not None and job.best.value == 0.3
    assert [(p.epoch, p.value) for p in place.host.reads.curve(job.best.name)] == [(1, 0.1), (2, 0.2), (3, 0.3)]


def test_an_out_of_memory_kill_is_tolerated_and_named(place: Place) -> None:
    script = place.script(
        """
        import os, sys
        if sys.argv[sys.argv.index("--batch") + 1] == "512":
            os.kill(os.getpid(), 9)
        print("acc=0.5;")
        """
    )
    ranges = {
        **categories(batch=["64", "512"]),
        "ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0", "MaxValue": "1"}],
    }
    job = place.run("memory", script, jobs=6, ranges=ranges, parallel=2)
    assert job.status is JobStatus.COMPLETED
    failed = [t for t in place.trials(job) if t.status is TrialStatus.FAILED]
    assert {t.point["batch"] for t in failed} == {"512"}
    assert all("likely out of memory" in t.reason for t in failed)


def test_case_27_a_late_line_of_a_stopped_job_changes_nothing(place: Place) -> None:
    """Two good jobs set the median; a bad one is stopped early and prints once more while it goes."""
    script = place.script(
        """
        import os, signal, sys, time
        number = int(os.environ["TRAINING_JOB_NAME"].split("-")[1])
        def goodbye(*_):
            print("acc=0.99;", flush=True)
            sys.exit(0)
        signal.signal(signal.SIGTERM, goodbye)
        for epoch in range(8):
            print(f"acc={0.8 if number < 4 else 0.1};", flush=True)
        if number >= 4:
            time.sleep(60)
        """
    )
    job = place.run("late", script, jobs=4, config={"TrainingJobEarlyStoppingType": "Auto"})
    last = place.trials(job)[3]
    assert last.status is TrialStatus.STOPPED and last.value == 0.1
    assert "median" in last.reason
