"""The Python face on the real engine of this process: real botocore, store, loop and programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import tunewright
from tunewright import assembly
from tunewright.core.errors import WrongState
from tunewright.estimator import Estimator, FunctionEstimator, TrainingJobAnalytics, TrainingJobFailed
from tunewright.sdk.resuming import resume
from tunewright.sdk.session import Session
from tunewright.tuner import (
    CategoricalParameter,
    ContinuousParameter,
    HyperbandStrategyConfig,
    HyperparameterTuner,
    IntegerParameter,
    InvalidArguments,
    StrategyConfig,
    TunewrightWarning,
    TuningJobFailed,
)

SCRIPT = """
import argparse, json, os, pathlib
parser = argparse.ArgumentParser()
for name in ("lr", "units", "opt", "epochs", "title"):
    parser.add_argument("--" + name)
o = parser.parse_args()
assert o.title == "a b", o.title
hps = json.loads(os.environ["SM_HPS"])
assert isinstance(hps["units"], int) and isinstance(hps["opt"], str), hps
assert (pathlib.Path(os.environ["SM_CHANNEL_TRAIN"]) / "x.csv").read_text() == "1"
loss = (float(o.lr) - 0.3) ** 2 + abs(int(o.units) - 64) / 100
print("loss=%r;" % loss)
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text(repr(loss))
"""
METRICS = {"loss": "loss=(.*?);"}
RANGES = {
    "lr": ContinuousParameter(0.0, 1.0),
    "units": CategoricalParameter([32, 64]),
    "opt": CategoricalParameter(["sgd", "adam"]),
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in [name for name in os.environ if name.startswith(("TUNEWRIGHT_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TUNEWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "home"
    assembly.close_all()


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "my code" / "train.py"
    path.parent.mkdir()
    path.write_text(SCRIPT)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_text("1")
    return path


def estimator(script: Path, **options: object) -> Estimator:
    fixed = {"epochs": 3, "title": "a b"}
    return Estimator(script, hyperparameters=fixed, metric_definitions=METRICS, **options)


@pytest.mark.parametrize("strict", [False, True])
def test_a_script_is_tuned_from_end_to_end(
    home: Path, script: Path, strict: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    tuner = HyperparameterTuner(
        estimator(script),
        "loss",
        RANGES,
        objective_type="Minimize",
        max_jobs=4,
        max_parallel_jobs=2,
        strategy="Random",
        random_seed=3,
        strict=strict,
    )
    tuner.fit({"train": "data"})
    out = capsys.readouterr().out
    best = tuner.best_params()
    assert "new best" in out or "first value" in out
    assert best["units"] in (32, 64) and best["opt"] in ("sgd", "adam") and isinstance(best["lr"], float)
    table = tuner.analytics().dataframe()
    assert len(table) == 4 and str(table["units"].dtype) == "int64"
    assert tuner.best_value() == table["FinalObjectiveValue"].min()
    chosen = tuner.best_estimator()
    model = chosen.model_data
    assert model is not None and model.startswith("s3://tunewright/output/" if strict else home.as_uri())
    with tarfile.open(assembly.local(strict).objects.path(model)) as tar:
        member = tar.extractfile("model.txt")
        assert member is not None and float(member.read()) == tuner.best_value()
    assert chosen.hyperparameters() == {"epochs": 3, "title": "a b", **best}
    chosen.logs()
    assert f"loss={tuner.best_value()!r};" in capsys.readouterr().out


def test_attach_and_warm_start_on_what_the_service_says(
    home: Path, script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tuner = HyperparameterTuner(
        estimator(script), "loss", RANGES, objective_type="Minimize", max_jobs=2, strategy="Random"
    )
    tuner.fit({"train": "data"}, job_name="parent")
    again = HyperparameterTuner.attach("parent")
    assert again.best_params() == tuner.best_params() and again.max_jobs == 2
    assert again.metric_definitions == [{"Name": "loss", "Regex": "loss=(.*?);"}]
    child = again.identical_dataset_and_algorithm_tuner()
    child.max_jobs = 1
    child.fit({"train": "data"}, job_name="child")
    out = capsys.readouterr().out
    assert "Warm start: IdenticalDataAndAlgorithm from parent (2 results used, 0 dropped)\n" in out
    assert child.describe()["HyperParameterTuningJobStatus"] == "Completed"
    assert child.describe()["OverallBestTrainingJob"]["TuningJobName"] in ("parent", "child")


def scale() -> float:
    return 2.0


def test_functions_run_in_workers_wherever_they_were_defined(home: Path) -> None:
    offset = 0.25

    def bowl(x: float, n: int) -> dict[str, float]:
        tunewright.report(step=1, loss=9.0)
        return {"loss": (x - offset) ** 2 * scale() + n}

    ranges = {"x": ContinuousParameter(0.0, 1.0), "n": IntegerParameter(1, 3)}
    tuner = HyperparameterTuner(
        FunctionEstimator(bowl),
        "loss",
        ranges,
        objective_type="Minimize",
        max_jobs=6,
        max_parallel_jobs=2,
        initial_points=[{"x": 0.625, "n": 2}],
    )
    tuner.fit()
    best = tuner.best_params()
    first = tuner.analytics().dataframe().sort_values("TrainingJobName").iloc[0]
    assert (first["x"], first["n"], first["FinalObjectiveValue"]) == (0.625, 2, 2 * 0.375**2 + 2)
    assert isinstance(best["n"], int) and isinstance(best["x"], float)
    assert tuner.best_value() == pytest.approx((best["x"] - 0.25) ** 2 * 2 + best["n"], rel=1e-12)


def test_functions_are_paused_and_go_on_from_their_checkpoints(home: Path, tmp_path: Path) -> None:
    ledger = str(tmp_path / "ledger.txt")

    def train(x: float) -> None:
        from tunewright.script import checkpoint_dir, should_stop

        place = Path(checkpoint_dir() or "", "epoch")
        done = int(place.read_text()) if place.exists() else 0
        should_stop()
        for epoch in range(done + 1, 10):
            with open(ledger, "a") as lines:
                lines.write(f"{os.environ['TRAINING_JOB_NAME']} {epoch}\n")
            place.write_text(str(epoch))
            tunewright.report(step=epoch, loss=(x - 0.3) ** 2 + 1 / epoch)
            time.sleep(0.3)
            if should_stop():
                return

    options = {"checkpoint_s3_uri": str(tmp_path / "checkpoints")}
    tuner = HyperparameterTuner(
        FunctionEstimator(train, **options),
        "loss",
        {"x": ContinuousParameter(0.0, 1.0)},
        objective_type="Minimize",
        strategy="Hyperband",
        strategy_config=StrategyConfig(HyperbandStrategyConfig(max_resource=9, min_resource=1)),
        hyperband_mode="promotion",
        hyperband_proposals="random",
        max_jobs=9,
        max_parallel_jobs=3,
    )
    tuner.fit()
    assert tuner.describe()["TrainingJobStatusCounters"]["InProgress"] == 0
    ran: dict[str, list[int]] = {}
    for line in Path(ledger).read_text().splitlines():
        name, epoch = line.split()
        ran.setdefault(name, []).append(int(epoch))
    assert len(ran) == 9 and all(mine == list(range(1, len(mine) + 1)) for mine in ran.values())
    assert sum(map(len, ran.values())) < 9 * 9 and max(map(len, ran.values())) > 1
    rows = tuner.analytics().dataframe()
    assert (rows["TrainingJobStatus"] == "Stopped").sum() >= 4


def test_when_every_job_fails_the_cause_is_told_and_raised(
    home: Path, script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script.write_text("import sys\nprint('ValueError: bad path', file=sys.stderr)\nraise SystemExit(1)\n")
    tuner = HyperparameterTuner(
        estimator(script), "loss", RANGES, objective_type="Minimize", max_jobs=20, strategy="Random"
    )
    with pytest.raises(TuningJobFailed) as caught:
        tuner.fit({"train": "data"})
    assert "bad path" in caught.value.reason and "5 attempts" in caught.value.reason
    assert caught.value.log is not None and "bad path" in caught.value.log.text
    assert len(tuner.analytics().training_job_summaries()) == 5
    out = capsys.readouterr().out
    assert out.count("    log: ") == 1 and out.count("failed as before") == 4


def test_a_program_that_never_prints_its_metric_is_explained(
    home: Path, script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script.write_text("print('F1=0.83')\n")
    tuner = HyperparameterTuner(
        Estimator(script, metric_definitions={"f1": "F1=(.*?)"}), "f1", RANGES, max_jobs=2, strategy="Random"
    )
    with pytest.raises(TuningJobFailed):
        tuner.fit()
    out = capsys.readouterr().out
    assert "'F1=(.*?)'" in out and "F1=0.83" in out and "captured ''" in out


def test_what_the_objective_lacked_is_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def diverging(x: float) -> dict[str, float]:
        return {"loss": float("nan") if x >= 0 else x}

    space = {"x": ContinuousParameter(0, 1)}
    with pytest.raises(TuningJobFailed, match="diverged: the last value of 'loss' is nan"):
        HyperparameterTuner(FunctionEstimator(diverging), "loss", space, objective_type="Minimize").fit()
    out = capsys.readouterr().out
    assert "Completed, diverged: the last value of 'loss' is nan" in out and "Nothing reported it" not in out
    with pytest.raises(TuningJobFailed):
        HyperparameterTuner(FunctionEstimator(lambda x: {"z": x}), "m", space).fit()
    out = capsys.readouterr().out
    assert "'m' never seen after 1 reports; seen: 'z'" in out and "Nothing reported it" not in out


def test_a_plain_training_job_and_a_failing_one(home: Path, script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    single = estimator(script)
    single.set_hyperparameters(lr=0.3, units=64, opt="sgd")
    single.fit({"train": "data"})
    assert "loss=0.0;" in capsys.readouterr().out
    assert single.model_data is not None and single.model_data.startswith("file://")
    script.write_text("this is no Python")
    with pytest.raises(TrainingJobFailed, match="SyntaxError"):
        estimator(script).fit(logs=False)


def test_several_estimators_share_one_tuning_job(home: Path, script: Path) -> None:
    def line(x: float) -> float:
        return 10 + x

    tuner = HyperparameterTuner.create(
        {"script": estimator(script), "line": FunctionEstimator(line)},
        {"script": "loss", "line": "loss"},
        {"script": RANGES, "line": {"x": ContinuousParameter(0.0, 1.0)}},
        objective_type="Minimize",
        max_jobs=4,
        strategy="Random",
    )
    tuner.fit({"script": {"train": "data"}})
    table = tuner.analytics().dataframe()
    assert set(table["TrainingJobDefinitionName"]) == {"script", "line"}
    assert type(tuner.best_estimator()) is Estimator


def test_the_in_process_client_brings_its_engine(home: Path) -> None:
    client = tunewright.client(strict=True)
    found = Session.of(client, strict=False)
    assert found.strict and found.local is assembly.local(True) and found.client is client
    remote = tunewright.client("http://127.0.0.1:1")
    far = Session.of(remote, strict=False)
    assert far.local is None and far.uploads and far.output_path == "s3://tunewright/output"


DRIVER = """
import sys
from tunewright import ContinuousParameter, FunctionEstimator, HyperparameterTuner

def slow(x: float) -> float:
    import threading
    print("running", flush=True)
    if x >= 0:
        threading.Event().wait(600)
    return x

if __name__ == "__main__":
    tuner = HyperparameterTuner(FunctionEstimator(slow), "x", {"x": ContinuousParameter(0, 1)}, max_jobs=8,
                                max_parallel_jobs=2)
    try:
        tuner.fit(job_name="slow", wait=sys.argv[1] == "wait")
    except KeyboardInterrupt:
        print("interrupted", tuner.describe()["HyperParameterTuningJobStatus"], flush=True)
"""


def interrupted(home: Path, grace: str) -> subprocess.Popen[str]:
    """The driver, interrupted once while its training jobs run."""
    environment = {**os.environ, "TUNEWRIGHT_STOP_GRACE_SECONDS": grace, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "driver.py", "wait"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    assert process.stdout is not None
    assert "started" in process.stdout.readline()
    _until_running(home)
    process.send_signal(signal.SIGINT)
    return process


def test_one_interrupt_stops_the_job_and_python_goes_on(home: Path, tmp_path: Path) -> None:
    (tmp_path / "driver.py").write_text(textwrap.dedent(DRIVER))
    with interrupted(home, grace="2") as process:
        out, _ = process.communicate()
    assert process.returncode == 0, out
    assert "Stopping slow" in out and "interrupt again" in out
    assert "tunewright resume slow" in out and "interrupted Stopped" in out


def test_a_second_interrupt_does_not_wait_for_programs_that_will_not_end(home: Path, tmp_path: Path) -> None:
    deaf = DRIVER.replace("import threading", "import signal, threading; signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    (tmp_path / "driver.py").write_text(textwrap.dedent(deaf))
    with interrupted(home, grace="3000") as process:
        assert process.stdout is not None
        while "Stopping slow" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate()
    assert process.returncode == 0, out
    assert "Leaving at once" in out and "Go on with it: tunewright resume slow" in out and "interrupted Stop" in out


def test_an_interrupt_while_a_job_is_created_leaves_none_running(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def tuner() -> HyperparameterTuner:
        return HyperparameterTuner(FunctionEstimator(lambda x: x), "x", {"x": ContinuousParameter(0, 1)}, max_jobs=50)

    client = tunewright.client()
    create = client.create_hyper_parameter_tuning_job

    def before(**request: object) -> None:
        raise KeyboardInterrupt

    def after(**request: object) -> None:
        create(**request)
        raise KeyboardInterrupt

    first = tuner()
    monkeypatch.setattr(client, "create_hyper_parameter_tuning_job", after)
    with pytest.raises(KeyboardInterrupt):
        first.fit(job_name="first")
    assert first.latest_tuning_job is not None and first.latest_tuning_job.name == "first"
    assert first.describe()["HyperParameterTuningJobStatus"] in ("Stopping", "Stopped")
    assert "Interrupted: the tuning job first was being started, and is stopped." in capsys.readouterr().out
    first.wait()
    assert first.describe()["HyperParameterTuningJobStatus"] == "Stopped"

    second = tuner()
    monkeypatch.setattr(client, "create_hyper_parameter_tuning_job", before)
    with pytest.raises(KeyboardInterrupt):
        second.fit(job_name="second")
    assert second.latest_tuning_job is None
    assert "Interrupted: the tuning job second was not started." in capsys.readouterr().out


def test_the_metrics_of_a_training_job_are_a_table(home: Path, tmp_path: Path) -> None:
    def train(x: float) -> dict[str, float]:
        for epoch in (1, 2, 3):
            tunewright.report(epoch, loss=x / epoch, grad=float("nan") if epoch == 2 else 1.0)
        return {"loss": x / 4}

    space = {"x": ContinuousParameter(0, 1)}
    tuner = HyperparameterTuner(FunctionEstimator(train), "loss", space, objective_type="Minimize")
    tuner.fit()
    analytics = tuner.best_estimator().training_job_analytics
    table = analytics.dataframe()
    assert list(table.columns) == ["timestamp", "metric_name", "value"]
    assert list(table["metric_name"]) == ["loss"] * 4 + ["grad"] * 3
    x = tuner.best_params()["x"]
    assert isinstance(x, float) and list(table["value"][:4]) == [x, x / 2, x / 3, x / 4]
    assert list(table["value"].isna()) == [False] * 5 + [True, False]
    assert table["timestamp"][:4].is_monotonic_increasing and table["timestamp"].min() >= 0
    assert analytics.dataframe() is table and tuner.best_training_job() in repr(analytics)
    analytics.export_csv(tmp_path / "curve.csv")
    assert (tmp_path / "curve.csv").read_text().startswith("timestamp,metric_name,value")
    one = TrainingJobAnalytics(tuner.best_training_job(), ["grad", "other"])
    with pytest.warns(TunewrightWarning, match="has no values of 'other'"):
        assert set(one.dataframe()["metric_name"]) == {"grad"}


def test_a_job_that_has_ended_goes_on_from_python(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = {"x": ContinuousParameter(0, 1)}
    tuner = HyperparameterTuner(FunctionEstimator(lambda x: x), "x", space, max_jobs=2, strategy="Random")
    tuner.fit(job_name="more")
    assert "--add-jobs 10 | tuner.resume(add_jobs=10)" in capsys.readouterr().out
    HyperparameterTuner.attach("more").resume(add_jobs=2)
    out = capsys.readouterr().out
    assert "training jobs have ended before." in out and "[1/" not in out and "4 training jobs ended: 4 comp" in out
    assert len(tuner.analytics().training_job_summaries()) == 4
    with pytest.raises(InvalidArguments, match="add_jobs: must be at least 0, got -1"):
        tuner.resume(add_jobs=-1)
    tuner.resume(add_jobs=1, wait=False)
    assert "more goes on without this process" in capsys.readouterr().out
    tuner.wait()
    assert len(tuner.analytics().training_job_summaries()) == 5


def test_only_whole_configurations_are_added(home: Path) -> None:
    space = {"x": ContinuousParameter(0, 1)}
    function = FunctionEstimator(lambda x: x)
    tuner = HyperparameterTuner(function, "x", space, max_jobs=2, strategy="Random", replicates=2)
    tuner.fit(job_name="pairs")
    with pytest.raises(WrongState, match=r"add_jobs: 3 is not a multiple of replicates 2, .*; use 2 or 4"):
        tuner.resume(add_jobs=3)
    tuner.resume(add_jobs=2)
    assert [each.runs for each in tuner.configurations()] == [2, 2]


def test_strict_and_distant_jobs_are_not_resumed(home: Path, script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuner = HyperparameterTuner(
        estimator(script), "loss", RANGES, objective_type="Minimize", strategy="Random", strict=True
    )
    tuner.fit({"train": "data"}, job_name="strict")
    with pytest.raises(WrongState, match="was made in strict mode, where AMT knows no resuming"):
        tuner.resume()
    far = Session.of(tunewright.client("http://127.0.0.1:1"), strict=False)
    monkeypatch.setattr(far, "describe", lambda name: {"HyperParameterTuningJobStatus": "Stopped"})
    with pytest.raises(WrongState, match="'j' is a server's, and its API knows no resuming"):
        resume(far, "j", 0)


def _until_running(home: Path) -> None:
    """Wait until the tuning job `slow` has a running training job."""
    reads = assembly.local().reads
    for _ in range(6000):
        live = reads.job("slow").job.live.values()
        if any(trial.status.value == "InProgress" for trial in live):
            return
        assembly.local().wait("slow", 0.1)
    raise AssertionError("no training job came to run")


def test_a_job_goes_on_when_the_process_that_did_not_wait_is_gone(home: Path, tmp_path: Path) -> None:
    (tmp_path / "driver.py").write_text(textwrap.dedent(DRIVER).replace("x >= 0", "x < 0"))
    done = subprocess.run([sys.executable, "driver.py", "go"], capture_output=True, text=True, check=True)
    assert "tunewright watch slow" in done.stdout
    tuner = HyperparameterTuner.attach("slow")
    tuner.wait()
    assert tuner.describe()["HyperParameterTuningJobStatus"] == "Completed"
    assert len(tuner.analytics().training_job_summaries()) == 8


def test_functions_of_a_job_that_nobody_ran_outlive_who_found_it(home: Path, tmp_path: Path) -> None:
    waits = f"while not os.path.exists({str(tmp_path / 'go')!r}): threading.Event().wait(0.02)"
    code = textwrap.dedent(DRIVER).replace("threading.Event().wait(600)", waits)
    (tmp_path / "driver.py").write_text(code.replace("import threading", "import os, threading"))
    with subprocess.Popen([sys.executable, "driver.py", "wait"], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None and "started" in first.stdout.readline()
        _until_running(home)
        first.kill()
    passing = assembly.local()
    passing.start()
    for _ in range(6000):
        view = passing.reads.job("slow")
        if any(trial.attempt == 2 and trial.status.value == "InProgress" for trial in view.job.live.values()):
            break
        passing.wait("slow", 0.1)
    assembly.close_all()
    (tmp_path / "go").touch()
    assert view.owner is not None and view.owner.pid not in (os.getpid(), first.pid)
    tuner = HyperparameterTuner.attach("slow")
    tuner.wait()
    reads = assembly.local().reads
    trials = [reads.trial(each["TrainingJobName"]).trial for each in tuner.analytics().training_job_summaries()]
    assert sorted(trial.attempt for trial in trials) == [1] * 6 + [2] * 2, "two went down with the killed process"
