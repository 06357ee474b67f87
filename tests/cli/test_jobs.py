"""Commands that move jobs: run, watch, stop, resume, delete, with their exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tunewright.core.events import StopAsked

from .still import StillEngine

Run = Callable[..., Result]
A: dict[str, Any] = {"lr": 0.01, "units": "200"}


@pytest.fixture
def file(tmp_path: Path, request_of: Callable[..., Any]) -> Path:
    """A valid tuning file of a job `digits` with one training job."""
    request_of(max_jobs=1)
    return tmp_path / "digits.yaml"


def one_job(engine: StillEngine, code: int = 0) -> None:
    engine.then(
        lambda: engine.begin("digits", A),
        lambda: engine.report("digits", 1, 0.9),
        lambda: engine.exit("digits", 1, code, "ValueError: x" if code else ""),
    )


def test_run_completes_with_0_and_without_cursor_codes(engine: StillEngine, cli: Run, file: Path) -> None:
    one_job(engine)
    result = cli("run", str(file))
    assert result.exit_code == 0, result.output
    assert "Tuning job digits Completed" in result.stdout and "\x1b" not in result.output


def test_run_that_fails_is_1(engine: StillEngine, cli: Run, file: Path) -> None:
    one_job(engine, code=1)
    assert cli("run", str(file)).exit_code == 1


def test_run_that_somebody_stops_is_130(engine: StillEngine, cli: Run, file: Path) -> None:
    engine.then(lambda: engine.record("digits", StopAsked(engine.clock.now())))
    assert cli("run", str(file)).exit_code == 130


def test_run_json(engine: StillEngine, cli: Run, file: Path) -> None:
    one_job(engine)
    events = [json.loads(line) for line in cli("run", str(file), "--json").stdout.splitlines()]
    assert events[0]["HyperParameterTuningJobName"] == "digits"
    assert events[-1]["Event"] == "TuningJobEnded"


def test_run_under_another_name(engine: StillEngine, cli: Run, file: Path) -> None:
    assert cli("run", str(file), "--name", "other", "--detach").exit_code == 0
    assert engine.job("other").spec.limits.max_jobs == 1


def test_run_detached_leaves_a_controller(engine: StillEngine, cli: Run, file: Path) -> None:
    result = cli("run", str(file), "--detach")
    assert result.exit_code == 0 and engine.done == ["detach"]
    assert "Watch it: tunewright watch digits" in result.stdout
    shape = json.loads(cli("run", str(file), "--detach", "--json", "--name", "two").stdout)
    assert shape["HyperParameterTuningJobArn"].endswith("hyper-parameter-tuning-job/two")


def test_run_refuses_a_bad_file_and_starts_nothing(engine: StillEngine, cli: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("objective: {metric: acc}\nmax_jobs: 0\ntraining: {entrypoint: x}\n")
    result = cli("run", str(bad))
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.startswith("Error: 3 problems:\n  line 2, max_jobs: 0 is too small")
    assert cli("run", str(tmp_path / "none.yaml")).exit_code == 2


def test_run_refuses_a_name_that_is_taken(digits: StillEngine, cli: Run, file: Path) -> None:
    result = cli("run", str(file))
    assert result.exit_code == 2
    assert result.stderr == (
        "Error: line 1, name: a tuning job called 'digits' already exists (InProgress); choose another name, here or"
        " with --name, go on with that one (tunewright resume digits) or stop it and be rid of it"
        " (tunewright delete digits).\n"
    )
    assert "already exists" in cli("validate", str(file)).stderr
    assert cli("validate", str(file), "--name", "other").exit_code == 0
    assert cli("run", str(file), "--detach").exit_code == 2


def test_of_a_failed_job_whose_name_is_taken_no_resuming_is_offered(digits: StillEngine, cli: Run, file: Path) -> None:
    for number in range(1, 5):
        digits.begin("digits", A)
        digits.exit("digits", number, 1, "ValueError: x")
    assert digits.job("digits").status == "Failed"
    told = cli("run", str(file)).stderr
    assert "already exists (Failed)" in told and "resume" not in told
    assert told.endswith("or be rid of it (tunewright delete digits).\n")


def test_run_warns_of_a_direction_that_fights_its_name(
    engine: StillEngine, cli: Run, tmp_path: Path, request_of: Callable[..., Any]
) -> None:
    request_of(objective={"metric": "acc", "type": "Minimize"}, max_jobs=1)
    result = cli("run", str(tmp_path / "digits.yaml"), "--detach")
    assert "Warning: objective.type is Minimize, but by its name 'acc' is to be maximized." in result.stderr


def test_stop_waits_for_the_training_jobs(digits: StillEngine, cli: Run) -> None:
    digits.begin("digits", A)
    digits.then(lambda: digits.exit("digits", 1, -15, killed=True))
    result = cli("stop", "digits")
    assert result.exit_code == 0
    assert result.stdout.startswith("The tuning job digits is Stopped.")
    assert digits.done == []
    again = cli("stop", "digits")
    assert again.exit_code == 2 and "is Stopped already" in again.stderr


def test_stop_without_waiting(digits: StillEngine, cli: Run) -> None:
    digits.begin("digits", A)
    shape = json.loads(cli("stop", "digits", "--no-wait", "--json").stdout)
    assert shape == {"HyperParameterTuningJobName": "digits", "HyperParameterTuningJobStatus": "Stopping"}


def test_stop_of_a_job_that_nobody_runs_takes_it_over(digits: StillEngine, cli: Run) -> None:
    digits.begin("digits", A)
    digits.charge = False
    digits.then(lambda: digits.exit("digits", 1, -15, killed=True))
    assert cli("stop", "digits").exit_code == 0
    assert digits.done == ["start"]


def test_resume_goes_on_to_the_end(digits: StillEngine, cli: Run) -> None:
    digits.record("digits", StopAsked(digits.clock.now()))
    digits.then(
        lambda: digits.begin("digits", A, A),
        *(lambda number=number: digits.report("digits", number, 0.9) for number in (1, 2)),
        *(lambda number=number: digits.exit("digits", number) for number in (1, 2)),
        lambda: digits.begin("digits", A, A),
        *(lambda number=number: digits.exit("digits", number) for number in (3, 4)),
    )
    result = cli("resume", "digits")
    assert result.exit_code == 0, result.output
    assert digits.done == ["resume 0"]


def test_resume_of_a_completed_job_is_0(finished: StillEngine, cli: Run) -> None:
    finished.script = [lambda: None] * 3
    assert cli("resume", "digits").exit_code == 0
    assert cli("resume", "digits", "--add-jobs", "3", "--detach").exit_code == 0
    assert finished.done == ["resume 0", "resume 3", "detach"]
    limits = json.loads(cli("describe", "digits", "--json").stdout)["HyperParameterTuningJobConfig"]["ResourceLimits"]
    assert finished.job("digits").budget == limits["MaxNumberOfTrainingJobs"] == 7


def test_resume_of_a_failed_job_is_refused(engine: StillEngine, request_of: Any, cli: Run) -> None:
    engine.call("CreateHyperParameterTuningJob", **request_of(max_jobs=1))
    engine.begin("digits", A)
    engine.exit("digits", 1, 1, "x")
    result = cli("resume", "digits")
    assert result.exit_code == 2 and "run it again under another name" in result.stderr


def test_delete(finished: StillEngine, cli: Run) -> None:
    result = cli("delete", "digits")
    assert result.exit_code == 0 and "its 4 training jobs stay" in result.stdout
    assert cli("describe", "digits").exit_code == 2


def test_delete_of_a_running_job_is_refused(digits: StillEngine, cli: Run) -> None:
    result = cli("delete", "digits")
    assert result.exit_code == 2
    assert result.stderr == "Error: The tuning job 'digits' is InProgress; stop it first: tunewright stop digits\n"


def test_watch_of_an_ended_job_tells_its_end(finished: StillEngine, cli: Run) -> None:
    result = cli("watch", "digits")
    assert result.exit_code == 0 and "Tuning job digits Completed" in result.stdout


def test_a_file_with_a_parent_that_has_ended_is_valid_and_one_with_other_rules_is_not(
    digits: StillEngine, cli: Run, tmp_path: Path, request_of: Callable[..., Any]
) -> None:
    for number in range(1, 5):
        digits.begin("digits", A)
        digits.exit("digits", number)
    assert digits.job("digits").status.terminal
    warm = {"type": "TransferLearning", "parents": ["digits"]}
    request_of("child", warm_start=warm)
    assert cli("validate", str(tmp_path / "child.yaml")).exit_code == 0
    request_of("other", warm_start=warm, objective={"metric": "acc", "type": "Minimize"})
    told = cli("validate", str(tmp_path / "other.yaml"))
    assert told.exit_code == 2 and "warm_start" in told.stderr


def test_what_else_will_be_gone_on_with_is_said(digits: StillEngine, cli: Run, tmp_path: Path, request_of: Any) -> None:
    digits.charge = False
    request_of("other")
    told = cli("run", str(tmp_path / "other.yaml"), "--detach").stderr
    assert "Going on with digits as well, which nobody ran." in told and "tunewright stop digits" in told
    digits.charge = True
    request_of("third")
    assert "Going on with" not in cli("run", str(tmp_path / "third.yaml"), "--detach").stderr


def test_resume_of_a_job_whose_source_was_moved_is_refused(finished: StillEngine, cli: Run, tmp_path: Path) -> None:
    static = finished.job("digits").spec.definitions[0].training.static
    place = Path(static["sagemaker_submit_directory"].strip('"').removeprefix("file://"))
    place.rename(tmp_path / "elsewhere")
    refused = cli("resume", "digits", "--add-jobs", "2")
    assert refused.exit_code == 2 and f"is not at {place} any more" in refused.stderr
    place.symlink_to(tmp_path / "elsewhere")
    assert "any more" not in cli("resume", "digits").stderr
