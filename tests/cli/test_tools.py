"""logs, test-metric, replay and doctor."""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import Result

import tunewright
from tunewright.assembly import Host
from tunewright.cli.diagnosis import Finding, _where
from tunewright.cli.replaying import replayed
from tunewright.cli.tailing import _copy, _last_lines
from tunewright.cli.trying import tried
from tunewright.control.metrics import Scraper
from tunewright.core.errors import Invalid
from tunewright.core.reads import TrialView
from tunewright.core.space import Space
from tunewright.core.spec import Definition, Function, JobSpec, Limits, MetricDefinition, Strategy, Training
from tunewright.executors.functions.store import load_function, store_function
from tunewright.settings import Settings

from .still import StillEngine

Run = Callable[..., Result]
A: dict[str, Any] = {"lr": 0.01, "units": "200"}


# ---- logs ----


@pytest.fixture
def logged(digits: StillEngine) -> StillEngine:
    digits.begin("digits", A, A)
    digits.log("digits", 1, "first\n")
    digits.log("digits", 2, "a\nb\nc")
    digits.log_paths(digits.job("digits").live[2].name)[1].write_text("oops\n")
    return digits


def test_logs_of_the_newest_training_job(logged: StillEngine, cli: Run) -> None:
    result = cli("logs", "digits")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "a\nb\nc", "oops\n")


def test_logs_by_number_by_name_and_their_end(logged: StillEngine, cli: Run) -> None:
    assert cli("logs", "digits", "1").stdout == "first\n"
    assert cli("logs", "digits", logged.job("digits").live[1].name).stdout == "first\n"
    assert cli("logs", "digits", "--lines", "2").stdout == "b\nc"
    paths = cli("logs", "digits", "1", "--path").stdout.splitlines()
    assert [Path(path).name for path in paths] == ["stdout.log", "stderr.log"]
    assert json.loads(cli("logs", "digits", "--json").stdout)["Errors"] == "oops\n"


def test_logs_of_a_training_job_that_is_not_there(logged: StillEngine, cli: Run) -> None:
    result = cli("logs", "digits", "7")
    assert result.exit_code == 2 and "digits has numbers 1 to 2" in result.stderr
    name = logged.job("digits").live[2].name
    assert f"Did you mean '{name}'?" in cli("logs", "digits", name[:-1] + "x").stderr


def test_logs_before_anything_started(digits: StillEngine, cli: Run) -> None:
    assert "It has started no training job yet" in cli("logs", "digits").stderr


def test_logs_are_followed_until_the_training_job_ends(logged: StillEngine, cli: Run) -> None:
    path = logged.log_paths(logged.job("digits").live[2].name)[0]

    def more() -> None:
        with path.open("a") as file:
            file.write("d\n")

    logged.then(more, lambda: logged.exit("digits", 2))
    assert cli("logs", "digits", "-f").stdout == "a\nb\ncd\n"


def test_logs_of_several_hosts(engine: StillEngine, request_of: Callable[..., dict[str, Any]], cli: Run) -> None:
    training = {"entry_point": "train.py", "metrics": {"acc": "acc=(.*)"}, "instance_count": 2}
    engine.call("CreateHyperParameterTuningJob", **request_of(training=training))
    engine.begin("digits", A)
    engine.log("digits", 1, "one\ntwo")
    name = engine.job("digits").live[1].name
    stdout, stderr = engine.log_paths(name, "algo-2")
    stdout.parent.mkdir(parents=True)
    stdout.write_text("other\n")
    stderr.write_text("oops\n")
    result = cli("logs", "digits")
    assert (result.stdout, result.stderr) == ("algo-1  one\nalgo-2  other\nalgo-1  two\n", "algo-2  oops\n")
    assert cli("logs", "digits", "--host", "algo-2").stdout == "other\n"
    assert len(cli("logs", "digits", "--path").stdout.splitlines()) == 4
    assert cli("logs", "digits", "--path", "--host", "algo-2").stdout.splitlines() == [str(stdout), str(stderr)]
    hosts = json.loads(cli("logs", "digits", "--json").stdout)["Hosts"]
    assert [(host["Host"], host["Output"]) for host in hosts] == [("algo-1", "one\ntwo"), ("algo-2", "other\n")]
    wrong = cli("logs", "digits", "--host", "algo-3")
    assert wrong.exit_code == 2 and "ran on algo-1 to algo-2" in wrong.stderr


@settings(max_examples=30)
@given(
    st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"")), max_size=12), st.integers(1, 9), st.booleans()
)
def test_the_last_lines_of_a_file(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], count: int, end: bool
) -> None:
    path = tmp_path_factory.mktemp("t") / "log"
    data = b"\n".join(lines) + (b"\n" if end else b"")
    path.write_bytes(data)
    kept = data[_last_lines(path, count) :]
    assert data.endswith(kept)
    assert len(kept.splitlines()) <= count or b"\r" in data or b"\x0b" in data or b"\x0c" in data


def test_a_character_that_is_written_in_two_pieces_is_printed_whole(tmp_path: Path) -> None:
    path, out, decoder = tmp_path / "log", io.StringIO(), codecs.getincrementaldecoder("utf-8")("replace")
    path.write_bytes("é".encode()[:1])
    place = _copy(path, out, 0, decoder)
    path.write_bytes(b"\xff".join(["é".encode(), b"\n"]))
    assert _copy(path, out, place, decoder) == 4 and out.getvalue() == "é\ufffd\n"


# ---- test-metric ----


def test_a_lazy_group_captures_nothing(cli: Run, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("F1=0.83\n")
    result = cli("test-metric", "F1=(.*?)", str(log))
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "line 1: captured '': not a number",
        "No value: pattern matched 1 line, captured '' (not a number).",
    ]
    log.write_text("F1=0.83;\n")
    result = cli("test-metric", "F1=(.*?);", str(log))
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "1 values; the last one, 0.83, would be the objective."


def test_what_matches_nothing_names_the_closest_line(cli: Run, tmp_path: Path) -> None:
    result = cli("test-metric", "val_acc=(.*)", "-", input="loss 3\nval_acc: 0.5\n")
    assert result.exit_code == 1
    assert "the pattern matched no line; the line that came closest: 'val_acc: 0.5'" in result.stdout
    assert json.loads(cli("test-metric", "x=(.*)", "-", "--json", input="x=2\n").stdout) == {
        "Matches": [{"Line": 1, "Captured": "2", "Value": 2.0}],
        "Value": 2.0,
    }


def test_a_bad_pattern_and_a_missing_log_are_wrong_usage(cli: Run, tmp_path: Path) -> None:
    assert cli("test-metric", "x(", "-", input="").exit_code == 2
    assert cli("test-metric", "x", str(tmp_path / "none")).exit_code == 2


@pytest.mark.parametrize("last", ["inf", "nan"])
def test_a_last_value_that_training_does_not_use_is_no_value(cli: Run, last: str) -> None:
    result = cli("test-metric", "x=(.*)", "-", input=f"x=1\nx={last}\n")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == (
        f"No value: diverged: the last value of 'metric' is {last}, which is not used."
    )
    shape = json.loads(cli("test-metric", "x=(.*)", "-", "--json", input=f"x=1\nx={last}\n").stdout)
    assert "Value" not in shape and shape["Reason"].startswith("diverged")


def test_a_pattern_that_a_job_may_not_have_is_refused(cli: Run) -> None:
    result = cli("test-metric", "x=.*", "-", input="x=1\n")
    assert result.exit_code == 2 and "REGEX: 'x=.*' captures nothing; put parentheses around" in result.stderr


def test_many_matches_are_shortened(cli: Run) -> None:
    lines = cli("test-metric", "x=(.*)", "-", input="".join(f"x={n}\n" for n in range(100))).stdout.splitlines()
    assert len(lines) == 22 and lines[10] == "... 80 more"


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["x=1", "x=nan", "x=", "y=2", "x=1e-3 x=7", "\rx=4\r", "é x=5"]), max_size=8))
def test_the_answers_are_the_scrapers(lines: list[str]) -> None:
    data = "\n".join(lines).encode()
    scraper = Scraper([MetricDefinition("metric", "x=([^ ]*)")], "metric")
    observed, _ = scraper.log(data, 0.0, final=True)
    assert [repr(v) for v in tried("x=([^ ]*)", data).values] == [repr(o.value) for o in observed]


# ---- replay ----


def test_replay_agrees(finished: StillEngine, cli: Run) -> None:
    result = cli("replay", "digits")
    assert result.exit_code == 0
    assert result.stdout.endswith("give 4 training jobs, exactly as they are stored.\n")
    assert json.loads(cli("replay", "digits", "--json").stdout)["Agrees"] is True


class Altered:
    """Reads whose rows are not what the journal says."""

    def __init__(self, engine: StillEngine, change: Callable[[list[TrialView]], list[TrialView]]) -> None:
        self._reads, self._change = engine.reads, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reads, name)

    def all_trials(self, uid: str, *, deleted: bool = False) -> list[TrialView]:
        return self._change(self._reads.all_trials(uid, deleted=deleted))


def test_replay_tells_what_differs(finished: StillEngine) -> None:
    job = finished.job("digits")

    def change(rows: list[TrialView]) -> list[TrialView]:
        return [replace(rows[0], trial=replace(rows[0].trial, last=0.1)), *rows[1:3]]

    reads: Any = Altered(finished, change)
    assert replayed(reads, job).differences == (
        f"{finished.reads.all_trials(job.uid)[0].trial.name}: last is 0.1, the journal gives 0.75",
        "training job 4 is missing in the rows",
    )


# ---- doctor ----


def test_doctor_of_a_healthy_home(finished: StillEngine, cli: Run) -> None:
    result = cli("doctor", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0, found
    checks = {finding["Check"]: finding for finding in found["Findings"]}
    assert list(checks) == [
        "python", "settings", "home", "disk", "slots", "fork server", "/opt/ml", "store", "in charge", "journals",
    ]  # fmt: skip
    assert sys.executable in checks["python"]["Found"]
    assert "the newest 1 fold" in checks["journals"]["Found"]


def test_doctor_says_what_is_set_and_where_but_no_secrets(
    engine: StillEngine, cli: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tunewright.toml").write_text('slots = 3\nevents = "https://chat.example/secret"\n', encoding="utf-8")
    monkeypatch.setenv("TUNEWRIGHT_STOP_GRACE_SECONDS", "7")
    checks = {finding["Check"]: finding["Found"] for finding in json.loads(cli("doctor", "--json").stdout)["Findings"]}
    said = checks["settings"]
    assert "slots = 3 (tunewright.toml)" in said and "stop_grace_seconds = 7 (TUNEWRIGHT_STOP_GRACE_SECONDS)" in said
    assert "events (tunewright.toml)" in said and "secret" not in said and said.endswith("the others by default")


@pytest.mark.parametrize(("name", "value"), [("ACCOUNT", "12345"), ("REGION", "us east"), ("LEASE_SECONDS", "soon")])
def test_settings_that_nothing_could_be_made_of_are_told(
    name: str, value: str, engine: StillEngine, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"TUNEWRIGHT_{name}", value)
    result = cli("doctor")
    assert result.exit_code == 1
    assert f"{name.lower()}: must be" in result.stdout and f"Correct TUNEWRIGHT_{name}, or" in result.stdout


def test_doctor_names_jobs_that_nobody_runs(digits: StillEngine, cli: Run) -> None:
    digits.charge = False
    result = cli("doctor")
    assert result.exit_code == 0
    assert "nobody runs digits; take over with: tunewright resume digits" in result.stdout


def test_doctor_removes_functions_that_no_job_refers_to(engine: StillEngine, cli: Run) -> None:
    def stored(name: str) -> Function:
        return store_function(lambda x: (x, name), engine.home)

    files: dict[str, Path] = {}
    for name in ("tuning", "plain", "deleted", "fresh", "called"):
        function = stored(name)
        files[name] = engine.home / "functions" / f"{function.reference}.pkl"
        os.utime(files[name], (0, 0))
        if name in ("tuning", "plain", "deleted"):
            definition = Definition(Space({}), None, Training(function=function))
            strategy = None if name == "plain" else Strategy.RANDOM
            engine.recorder.create(JobSpec(name, (definition,), strategy, Limits(1, 1)))
    engine.begin("deleted", {})
    engine.exit("deleted", 1)
    trial = engine.reads.all_trials(engine.job("deleted").uid)[0].trial.name
    engine.call("DeleteHyperParameterTuningJob", HyperParameterTuningJobName="deleted")
    stored("fresh")
    load_function(Function(files["called"].stem, pickled=True), str(engine.home))
    assert engine.reads.trial(trial).trial.name == trial, "its training jobs stay, and run nothing any more"
    assert "1 of them (0.0 MB) belong to no job of this store" in cli("doctor").stdout
    assert all(path.exists() for path in files.values())
    assert "4 kept by value, 0.0 MB; 1 removed" in cli("doctor", "--clean").stdout
    assert [name for name, path in files.items() if not path.exists()] == ["deleted"]
    assert "functions" in cli("doctor").stdout and "--clean" not in cli("doctor").stdout


def test_doctor_of_a_home_that_cannot_be_written(
    engine: StillEngine, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEWRIGHT_HOME", os.devnull)
    result = cli("doctor")
    assert result.exit_code == 1 and "cannot be written" in result.stdout


def test_doctor_of_wrong_settings_and_a_store_that_does_not_open(
    engine: StillEngine, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(strict: bool = False) -> None:
        raise OSError("file is not a database")

    monkeypatch.setattr("tunewright.cli.diagnosis.connect", broken)
    assert "does not open: file is not a database" in cli("doctor").stdout
    monkeypatch.setenv("TUNEWRIGHT_LEASE_SECONDS", "soon")
    result = cli("doctor")
    assert result.exit_code == 1 and "lease_seconds" in result.stdout
    monkeypatch.setenv("TUNEWRIGHT_LEASE_SECONDS", "0")
    assert "must be a number of seconds, above 0 for a lease" in cli("doctor").stdout


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("slots", "foo", r"slots: 'foo' is not a number such as 8.*TUNEWRIGHT_SLOTS"),
        ("slots", "0", r"slots: '0' leaves no CPU slot; at least 1 is needed"),
        ("slots", "cpu", r"slots: 'cpu' is not"),
        ("executor", "ray", r"executor: must be local, got 'ray'.*TUNEWRIGHT_EXECUTOR"),
        ("instances", "ml.m5.large cpu", r"instances: 'ml.m5.large cpu' is not"),
        ("quotas", "jobs", r"quotas: 'jobs' is not"),
        ("home", os.devnull + "/below", r"home: '.*below' cannot be Tunewright's directory: .*Set TUNEWRIGHT_HOME"),
        ("home", os.devnull, r"home: '.*' cannot be Tunewright's directory: .*Set TUNEWRIGHT_HOME"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Run, name: str, value: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNEWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(f"TUNEWRIGHT_{name.upper()}", value)
    (tmp_path / "train.py").write_text("")
    file = tmp_path / "digits.yaml"
    file.write_text(
        "objective: {metric: acc}\nmax_jobs: 1\nparameters: {lr: {type: continuous, min: 0, max: 1}}\n"
        "training: {entry_point: train.py, metrics: {acc: 'acc=(.*)'}}\n"
    )
    for command in (["run", str(file)], ["list"], ["serve", "--port", "0"]):
        done = cli(*command)
        assert done.exit_code == 2 and re.search(says, done.stderr), done.output + done.stderr
    with pytest.raises(Invalid, match=says):
        tunewright.client()
    assert not (tmp_path / "home").exists()


def test_all_wrong_settings_are_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tunewright.toml").write_text('instances = ";;?"\nhome = "home"\n[slots]\ncpu = 3\n')
    with pytest.raises(Invalid) as caught:
        Host.open(Settings.load({}))
    assert [problem.path for problem in caught.value.problems] == ["slots", "instances"]


def test_a_stores_password_is_never_shown() -> None:
    settings = Settings(home=Path("/h"), store="postgresql+psycopg://me:s3cret@host/db")
    assert _where(settings) == "postgresql+psycopg://me:***@host/db"
    assert _where(replace(settings, store="sqlite:////h/x.db")) == "sqlite:////h/x.db"


def test_findings() -> None:
    assert Finding("bad", "a", "b").bad and not Finding("note", "a", "b").bad
