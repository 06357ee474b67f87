"""Cases 24 to 28: whatever dies or fails on the way."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from e2e.place import Place, categories
from faults.site import Site, wait
from features.ground import Sim, prints, x_of
from typer.testing import Result

from tunewright.core.job import JobStatus
from tunewright.core.ports import Task
from tunewright.core.trial import TrialStatus
from tunewright.executors import tasklock
from tunewright.executors.workdir import Workdir
from tunewright.testing.world import Program

from .test_metrics import tuning_file

Run = Callable[..., Result]


def running(site: Site) -> dict[str, int]:
    """The training jobs that are running now, and the processes of their programs."""
    ended = {name for word, name, _ in site.lines() if word == "end"}
    return {name: pid for word, name, pid in site.lines() if word == "start" and name not in ended}


def test_case_24_a_killed_service_leaves_no_zombies(tmp_path: Path) -> None:
    """Of two running jobs one dies while nobody looks, the other goes on: it is taken over."""
    site = Site(tmp_path)
    site.create("kill", {}, site.training(4.0), jobs=8, parallel=2)
    process = site.controller()
    while not (len(site.trials()) == 4 and len(running(site)) == 2):
        wait(process, 0.05)
    process.kill()
    process.wait()
    third, fourth = sorted(running(site))
    assert "-003-" in third and "-004-" in fourth
    shim = tasklock.read_state(Workdir.of(str(site.settings.home), third, 1)).shim
    assert shim is not None
    os.kill(shim[0], signal.SIGKILL)
    job = site.finish()
    assert job.status is JobStatus.COMPLETED
    trials = {trial.name: trial for trial in site.trials()}
    assert len(trials) == 8 and not [trial for trial in trials.values() if trial.status.live]
    assert trials[third].status is TrialStatus.FAILED and "worker lost" in trials[third].reason
    assert trials[fourth].status is TrialStatus.COMPLETED
    starts = [name for word, name, _ in site.lines() if word == "start"]
    assert sorted(starts) == sorted(trials), "exactly eight, each once"
    assert job.counters.succeeded == 7
    site.refolds()


HALVING = {"StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}}}


def learns(task: Task) -> Program:
    return prints(*(x_of(task) * (1 - 0.7**epoch) for epoch in range(1, 12)), seconds=12.0)


def told(sim: Sim, name: str) -> list[tuple[object, ...]]:
    """What became of each training job: its configuration, its end, and the epochs it was allowed."""
    children = sim.children(name)
    curves = [len(sim.reads.curve(child["TrainingJobName"], "acc")) for child in children]
    return [
        (child["TunedHyperParameters"], child["TrainingJobStatus"], epochs)
        for child, epochs in zip(children, curves, strict=True)
    ]


def test_case_25_hyperband_goes_on_where_it_was(simulate: Callable[..., Sim]) -> None:
    """Two controllers die on the way; everything comes out as if none had."""
    calm, killed = simulate(learns), simulate(learns)
    request = calm.request("band", strategy="Hyperband", jobs=12, seed=4, **HALVING)
    expected = calm.run(request)
    killed.create(request)
    uid = killed.store.find("band", tuning=True)
    for finished in (3, 7):
        killed.until(lambda finished=finished: killed.store.load(uid).job.launched > finished)  # type: ignore[misc]
        killed.controller()
    described = killed.end("band")
    for counters in ("TrainingJobStatusCounters", "ObjectiveStatusCounters"):
        assert described[counters] == expected[counters]
    assert sum(described["TrainingJobStatusCounters"].values()) == 12
    assert told(killed, "band") == told(calm, "band")
    assert {row[1] for row in told(calm, "band")} == {"Stopped"} and len({row[2] for row in told(calm, "band")}) > 1


OUT_OF_MEMORY = """
import sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
if given["--batch_size"] == "512":
    sys.exit(137)
print(f"acc={1 - (float(given['--lr']) - 0.02) ** 2};")
"""


def test_case_26_one_bad_value_does_not_end_the_job(place: Place) -> None:
    ranges = {
        **categories(batch_size=["64", "128", "256", "512"]),
        "ContinuousParameterRanges": [{"Name": "lr", "MinValue": "0.0001", "MaxValue": "0.1"}],
    }
    job = place.run("memory", place.script(OUT_OF_MEMORY), jobs=12, strategy="Bayesian", ranges=ranges, seed=3)
    assert job.status is JobStatus.COMPLETED and job.launched == 12
    failed = [child for child in _children(place, "memory") if child["TrainingJobStatus"] == "Failed"]
    assert 1 <= len(failed) <= 2
    for child in failed:
        assert child["TunedHyperParameters"]["batch_size"] == "512"
        assert "137" in child["FailureReason"] and "killed (likely out of memory)" in child["FailureReason"]
    assert place.describe("memory")["TrainingJobStatusCounters"]["NonRetryableError"] == len(failed)


def _children(place: Place, name: str) -> list[dict[str, Any]]:
    answer = place.local.client.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name, MaxResults=100
    )
    found: list[dict[str, Any]] = answer["TrainingJobSummaries"]
    return found


def test_case_28_a_syntax_error_is_told_once_with_its_log(home: Path, cli: Run, tmp_path: Path) -> None:
    done = cli("run", tuning_file(tmp_path, "def (:\n", max_jobs=2))
    assert done.exit_code == 1
    first = done.output.split("Tuning job job Failed")[0]
    assert first.count("SyntaxError") == 1
    log = cli("logs", "job", "1", "--path").stdout.splitlines()[1]
    assert first.count(log) == 1 and "SyntaxError" in Path(log).read_text(encoding="utf-8")
    assert "SyntaxError" in cli("jobs", "job", "--json").stdout


def test_case_28_a_missing_interpreter_is_named(home: Path, cli: Run, tmp_path: Path) -> None:
    done = cli("run", tuning_file(tmp_path, "print('loss=1;')\n", max_jobs=1, training={"python": "python9"}))
    assert done.exit_code != 0
    assert "'python9' is not in PATH. Name an interpreter that is there" in done.output


def test_case_28_a_folder_may_have_a_blank(home: Path, cli: Run, tmp_path: Path) -> None:
    folder = tmp_path / "my own code"
    folder.mkdir()
    done = cli("run", tuning_file(folder, "print('loss=1;')\n", max_jobs=1))
    assert done.exit_code == 0, done.output
