"""Watching: polls until the end, tells what is new, hears Ctrl-C once and twice, raises what failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewright.sdk.session import Session
from tunewright.sdk.watch import Watcher, stop_tuning_job
from tunewright.tuner import TuningJobFailed

from .fakes import START, FakeLocal, Played, Recorder, fake, session

REQUEST = {
    "HyperParameterTuningJobName": "j",
    "HyperParameterTuningJobConfig": {
        "Strategy": "Random",
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 1},
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "acc"},
        "ParameterRanges": {},
    },
    "TrainingJobDefinition": {
        "StaticHyperParameters": {},
        "AlgorithmSpecification": {"TrainingImage": "tunewright/script", "TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::000000000000:role/tunewright",
        "OutputDataConfig": {"S3OutputPath": "file:///out"},
        "StoppingCondition": {},
    },
}


def watched(mine: Session, *, owns: bool = True) -> tuple[Watcher, Recorder]:
    fake(mine).create_hyper_parameter_tuning_job(**REQUEST)
    display = Recorder()
    return Watcher(mine, "j", display, owns=owns, clock=lambda: START.timestamp() + 9), display


def engine(mine: Session) -> FakeLocal:
    assert isinstance(mine.local, FakeLocal)
    return mine.local


def test_every_finished_job_is_told_and_then_the_end(tmp_path: Path) -> None:
    mine = session(tmp_path, [Played(value=value / 10, parameters={"lr": "0.1"}) for value in (3, 5, 4, 7)])
    watcher, display = watched(mine)
    job = watcher.run()
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    told = [line for line in display.said if line.startswith("[")]
    assert [line.split("  ")[0] for line in told] == [f"[{n}/4] j-00{n}-0a1b2c3d" for n in (1, 2, 3, 4)]
    assert "Best acc: 0.7 by j-004-0a1b2c3d" in display.said
    assert "Best model: file:///models/j-004-0a1b2c3d/output/model.tar.gz" in display.said
    assert display.lived and display.closed.is_set()
    assert any(line.startswith("j  [") for lines in display.lived for line in lines)


def test_a_failed_tuning_job_raises_with_reason_and_log(tmp_path: Path) -> None:
    script = [Played("Failed", reason="AlgorithmError: exit code 1")] * 5
    mine = session(tmp_path, script, final="Failed", reason="No training job succeeded", log="ValueError: bad path")
    watcher, _ = watched(mine)
    with pytest.raises(TuningJobFailed) as caught:
        watcher.run()
    assert caught.value.name == "j" and caught.value.reason == "No training job succeeded"
    assert caught.value.training_job == "j-005-0a1b2c3d"
    assert caught.value.log is not None and "bad path" in caught.value.log.text
    assert "ValueError: bad path" in str(caught.value) and "logs/j-005-0a1b2c3d/stderr" in str(caught.value)


def test_the_first_interrupt_asks_to_stop_and_tells_so(tmp_path: Path) -> None:
    mine = session(tmp_path, [Played(value=0.5)] * 50)
    watcher, display = watched(mine)
    interrupts = iter([KeyboardInterrupt])

    def waiting() -> None:
        for interrupt in interrupts:
            raise interrupt

    engine(mine).waiting = waiting
    with pytest.raises(KeyboardInterrupt):
        watcher.run()
    text = "\n".join(display.said)
    assert fake(mine).stopped == 1
    assert "Stopping j and its running training jobs; interrupt again to end at once." in text
    assert "Tuning job j Stopped" in text and "Best acc: 0.5" in text and "tunewright resume j" in text
    assert display.closed.is_set()
    assert "hurry j" not in engine(mine).calls


def test_a_second_interrupt_ends_at_once_with_the_best_so_far(tmp_path: Path) -> None:
    mine = session(tmp_path, [Played(value=0.5000000001)] * 50)
    watcher, display = watched(mine)
    client = fake(mine)
    client.stop_hyper_parameter_tuning_job = lambda **_: {}  # type: ignore[method-assign]
    rounds = iter([None, KeyboardInterrupt, KeyboardInterrupt])

    def waiting() -> None:
        interrupt = next(rounds)
        if interrupt is not None:
            raise interrupt

    engine(mine).waiting = waiting
    with pytest.raises(KeyboardInterrupt):
        watcher.run()
    assert "hurry j" in engine(mine).calls
    assert display.said[-2].startswith("Best so far: 0.5 by j-001-0a1b2c3d")
    assert display.said[-1] == "Go on with it: tunewright resume j | tuner.resume()"
    assert display.closed.is_set()


def test_who_only_watches_leaves_the_job_running(tmp_path: Path) -> None:
    mine = session(tmp_path, [Played(value=0.5)] * 50)
    watcher, display = watched(mine, owns=False)

    def waiting() -> None:
        raise KeyboardInterrupt

    engine(mine).waiting = waiting
    with pytest.raises(KeyboardInterrupt):
        watcher.run()
    assert fake(mine).stopped == 0 and "hurry j" not in engine(mine).calls
    ways = "Watch it: tuner.wait()   Stop it: tuner.stop_tuning_job() | tunewright stop j"
    assert display.said[-1] == f"j goes on. {ways}" and display.closed.is_set()


def test_a_job_that_has_ended_already_may_be_stopped_again(tmp_path: Path) -> None:
    mine = session(tmp_path)
    stop_tuning_job(mine, "j")
    stop_tuning_job(mine, "j")
    assert fake(mine).stopped == 2
