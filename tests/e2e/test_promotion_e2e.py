"""Pauses and promotions with real programs that checkpoint: epochs are counted from what the programs wrote."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest
from botocore.exceptions import ClientError

from tunewright.core.events import Promoted
from tunewright.core.job import Job, JobStatus
from tunewright.core.machine import step
from tunewright.core.trial import StopCause, TrialStatus

from .place import Place, extension

RESUMING = """
import json, os, time
from tunewright.script import checkpoint_dir, params, report, should_stop

place = os.path.join(checkpoint_dir(), "state.json")
done = json.load(open(place))["epoch"] if os.path.exists(place) else 0
rate = params()["rate"]
stopping = should_stop()
for epoch in range(done + 1, 10):
    time.sleep(0.15)
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(f"{os.environ['TRAINING_JOB_NAME']} {epoch} {os.getpid()}\\n")
    with open(place + ".part", "w") as out:
        json.dump({"epoch": epoch}, out)
    os.replace(place + ".part", place)
    value = (1 - abs(rate - 0.3)) * (1 - 0.5 / epoch)
    report({"acc": value}, step=epoch if STEPS else None)
    if should_stop():
        break
"""

BEST_FIRST = [{"rate": round(0.3 + 0.05 * place, 2)} for place in range(12)]
"""The best of these are at the first rung too early to be seen as such, whatever overtakes what: some are resumed."""


def epochs_run(place: Place) -> dict[str, list[int]]:
    """By training job, the epochs that its programs ran, in order."""
    found: dict[str, list[int]] = defaultdict(list)
    for line in place.lines("ledger.txt"):
        name, epoch, _ = line.split()
        found[name].append(int(epoch))
    return found


def run(place: Place, name: str, *, steps: bool, **changes: object) -> Job:
    script = place.script(RESUMING.replace("STEPS", str(steps)))
    training = {
        "CheckpointConfig": {"S3Uri": f"file://{place.folder / 'checkpoints'}"},
        "Environment": {"LEDGER": str(place.folder / "ledger.txt")},
    }
    told = {"strategy": "Hyperband", "jobs": 12, "parallel": 3, "training": training, "metrics": [], **changes}
    bounds = {"StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}}}
    proposals = told.pop("proposals", "random")
    points = told.pop("points", BEST_FIRST)
    options = extension(hyperband_mode="promotion", hyperband_proposals=proposals, initial_points=points)
    return place.run(name, script, static=options, config=bounds, **told)


@pytest.mark.parametrize("steps", [True, False])
def test_resumed_programs_go_on_where_they_were_paused(place: Place, steps: bool) -> None:
    job = run(place, "resumed", steps=steps)
    assert job.status is JobStatus.COMPLETED and job.counters.succeeded == 12, job
    trials = place.trials(job)
    ran = epochs_run(place)
    assert set(ran) == {trial.name for trial in trials}
    for trial in trials:
        mine = ran[trial.name]
        assert mine == list(range(1, len(mine) + 1)), "an epoch was run twice, or left out"
        curve = place.host.reads.curve(trial.name, "acc")
        assert [point.epoch for point in curve][: len(mine)] == mine[: len(curve)]
        if trial.cause is StopCause.EARLY:
            assert len(curve) == len(mine)
            assert trial.status is TrialStatus.STOPPED and trial.verdict is not None
            assert trial.verdict.cause is StopCause.PAUSED and "at rung" in trial.reason
    assert sum(map(len, ran.values())) <= 12 * 9 * 0.7
    assert any(len(mine) == 9 for mine in ran.values()), "the best ran in full"
    resumed = [trial for trial in trials if trial.resumptions]
    assert resumed and all(trial.attempt == 1 + trial.resumptions for trial in resumed)
    folded: Job | None = None
    for event in place.host.store.journal(job.uid):
        folded = step(folded, event).job
    assert folded == place.host.store.load(job.uid).job
    shown(place, resumed[0].name, job)


def shown(place: Place, name: str, job: Job) -> None:
    """What the wire says of a training job that was paused and resumed."""
    told = place.local.client.describe_training_job(TrainingJobName=name)
    words = [change["Status"] for change in told["SecondaryStatusTransitions"]]
    paused = words.index("Interrupted")
    assert words[paused - 1] == "Stopping" and words[paused + 1] == "Starting"
    assert "paused at epoch" in told["SecondaryStatusTransitions"][paused]["StatusMessage"]
    assert "resumed after epoch" in told["SecondaryStatusTransitions"][paused + 1]["StatusMessage"]
    assert told["BillableTimeInSeconds"] <= told["TrainingTimeInSeconds"]
    described = place.describe(job.name)
    counters = described["TrainingJobStatusCounters"]
    assert sum(counters.values()) == 12 and counters["InProgress"] == 0


def test_the_model_may_propose(place: Place) -> None:
    job = run(place, "model", steps=True, proposals="model", points=BEST_FIRST[:6])
    assert job.status is JobStatus.COMPLETED and job.counters.succeeded == 12
    ran = epochs_run(place)
    assert all(mine == list(range(1, len(mine) + 1)) for mine in ran.values())
    told = [event for event in place.host.store.journal(job.uid) if isinstance(event, Promoted)]
    assert told and sum(trial.resumptions for trial in place.trials(job)) == sum(len(e.promotions) for e in told)


def test_what_cannot_work_is_refused(place: Place) -> None:
    script = place.script(RESUMING)
    config = {"StrategyConfig": {"HyperbandStrategyConfig": {"MaxResource": 9}}}
    static = extension(hyperband_mode="promotion")
    for strategy, words in [
        ("Hyperband", r"checkpointConfig: is missing, and with hyperband_mode 'promotion'"),
        ("Random", r"_tunewright.hyperband_mode: 'promotion' is for the strategy Hyperband, got 'Random'"),
    ]:
        with pytest.raises(ClientError, match=words):
            place.start("no", script, strategy=strategy, static=static, config=config if strategy != "Random" else {})


def test_stopping_stays_the_default(place: Place) -> None:
    script = place.script("print('acc=0.5;')")
    config = {"StrategyConfig": {"HyperbandStrategyConfig": {"MaxResource": 9}}}
    job = place.run("plain", script, strategy="Hyperband", config=config, jobs=2)
    assert not job.spec.promotes
    assert json.loads(job.spec.request)["HyperParameterTuningJobName"] == "plain"
