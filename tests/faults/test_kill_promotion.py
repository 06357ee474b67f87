"""Killed controllers while training jobs are paused and resumed: what every epoch's line in the ledger says."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from pathlib import Path

import pytest

from tunewright.core.events import Promoted
from tunewright.core.job import JobStatus
from tunewright.core.trial import StopCause

from .site import Site

PROGRAM = """
import json, os, sys, time
from tunewright.script import checkpoint_dir, params, should_stop

place = os.path.join(checkpoint_dir(), "state.json")
done = json.load(open(place))["epoch"] if os.path.exists(place) else 0
hyper = params()
# Two of five are good, the earlier the better: paused as number 0.4 n of n, and resumed when n has grown by a fifth.
# So there is somebody to resume however far training jobs went while no controller watched them.
number = int(os.environ["TRAINING_JOB_NAME"].split("-")[1])
quality = number / 100 + (number % 5 not in (0, 2))
should_stop()
for epoch in range(done + 1, 10):
    time.sleep(hyper["seconds"])
    with open(hyper["ledger"], "a") as ledger:
        ledger.write(f"epoch {os.environ['TRAINING_JOB_NAME']} {epoch}\\n")
    with open(place + ".part", "w") as out:
        json.dump({"epoch": epoch}, out)
    os.replace(place + ".part", place)
    print(f"loss={quality + 1 / epoch};", flush=True)
    if should_stop():
        break
"""
HYPERBAND = {
    "Strategy": "Hyperband",
    "StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}},
}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_pauses_and_promotions_survive_the_controller(tmp_path: Path) -> None:
    site = Site(tmp_path, PROGRAM)
    options = {"hyperband_mode": "promotion", "hyperband_proposals": "random"}
    training = site.training(0.2, CheckpointConfig={"S3Uri": "s3://bucket/checkpoints"})
    training["StaticHyperParameters"]["_tunewright"] = json.dumps(options)
    site.create("kill", HYPERBAND, training, jobs=24, parallel=3, strict=False)
    assert site.kill_controllers(8, random.Random(8), lives=(0.9, 1.8)) >= 6
    job = site.finish()
    assert job.status is JobStatus.COMPLETED and job.counters.succeeded == 24
    ran: dict[str, list[int]] = defaultdict(list)
    for _, name, epoch in site.lines():
        ran[name].append(epoch)
    trials = site.trials()
    assert set(ran) == {trial.name for trial in trials}
    for trial in trials:
        mine = ran[trial.name]
        assert mine == list(range(1, len(mine) + 1)), "an epoch was run twice, or left out"
        curve = [point.epoch for point in site.host.reads.curve(trial.name, "loss")]
        assert curve == list(range(1, len(curve) + 1))
        assert len(curve) == len(mine) or trial.cause is StopCause.MAX_RESOURCE
    assert any(trial.resumptions for trial in trials) and any(len(mine) == 9 for mine in ran.values())
    told = [e for e in site.host.store.journal(job.uid) if isinstance(e, Promoted)]
    assert sum(len(event.promotions) for event in told) >= 2
    site.refolds()
