"""Cases 34 to 36 and 40: early stopping, Hyperband, seeds, and models that fill the disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from e2e.place import Place
from features.ground import Sim, Wire, categories, continuous, prints

from tunewright.core.ports import Task
from tunewright.testing.world import Program

CURVES = {
    1: (1.0, 0.8, 0.6),
    2: (1.0, 0.9, 0.8),
    3: (1.0, 1.0, 1.0),
    4: (1.0, 0.94, 0.95),
    5: (1.0, 0.94, 0.85),
}


def curves(task: Task) -> Program:
    """The first three end; the others go on for a while after their third value."""
    return prints(*CURVES[task.number], seconds=4.0 if task.number < 4 else 8.0)


def test_case_34_the_median_of_running_averages_stops(simulate: Callable[..., Sim]) -> None:
    """Averages at the second epoch are 0.9, 0.95, 1.0, at the third 0.8, 0.9, 1.0."""
    sim = simulate(curves)
    request = sim.request("job", jobs=5, type="Minimize", TrainingJobEarlyStoppingType="Auto")
    sim.run(request)
    children = sim.children("job")
    assert [child["TrainingJobStatus"] for child in children] == ["Completed"] * 3 + ["Stopped", "Completed"]
    late, early = children[3], children[4]
    assert late["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == pytest.approx(0.95)
    assert late["ObjectiveStatus"] == "Succeeded"
    assert len(sim.reads.curve(late["TrainingJobName"], "acc")) == 3, "it went on at the second epoch"
    assert early["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == pytest.approx(0.85)


def hyperband(**more: Any) -> dict[str, Any]:
    return {"strategy": "Hyperband", **more}


def test_case_35_hyperband_finds_its_maximum_or_says_why_not(sim: Sim) -> None:
    static: Wire = {"training": {"StaticHyperParameters": {"epochs": "27"}}}
    sim.create(sim.request("inferred", **hyperband(**static)))
    uid = sim.store.find("inferred", tuning=True)
    band = sim.store.load(uid).job.spec.hyperband
    assert band is not None and band.max_resource == 27
    assert "MaxResource parameter is not provided" in sim.refused(sim.request("none", **hyperband()))
    auto = hyperband(TrainingJobEarlyStoppingType="Auto", **static)
    assert "must be Off with Hyperband" in sim.refused(sim.request("auto", **auto))
    config = {"StrategyConfig": {"HyperbandStrategyConfig": {"MaxResource": 20_001}}}
    assert "20,000" in sim.refused(sim.request("large", **hyperband(**config)))
    config = {"StrategyConfig": {"HyperbandStrategyConfig": {"MaxResource": 20_000}}}
    sim.create(sim.request("most", **hyperband(**config)))


@pytest.mark.parametrize("strategy", ["Random", "Grid"])
def test_case_40_a_seed_is_worth_the_same_at_any_parallelism(simulate: Callable[..., Sim], strategy: str) -> None:
    """Programs end in an order of their own: the later ones first."""
    sim = simulate(lambda task: prints(1.0, seconds=50.0 - task.number))
    ranges = continuous() if strategy == "Random" else categories(a=list("abcde"), b=list("wxyz"))
    for name, parallel in (("one", 1), ("again", 1), ("four", 4)):
        sim.run(sim.request(name, strategy=strategy, ranges=ranges, jobs=20, parallel=parallel, seed=42))
    assert sim.points("one") == sim.points("again") == sim.points("four")
    assert len(sim.points("one")) == 20
    sim.run(sim.request("other", strategy=strategy, ranges=ranges, jobs=20, seed=43))
    assert (sim.points("other") == sim.points("one")) is (strategy == "Grid")


SIZE = 1_000_000
KEEPS = """
import json, os
def train(x):
    with open(os.environ["SM_MODEL_DIR"] + "/weights", "wb") as out:
        out.write(os.urandom({size}))
    home, held = os.environ["TUNEWRIGHT_HOME"], 0
    for folder, _, names in os.walk(home):
        for name in names:
            try:
                found = os.lstat(os.path.join(folder, name))
            except OSError:
                continue
            held += found.st_size if name in ("weights", "model.tar.gz") else 0
    with open({out!r}, "a") as told:
        told.write(f"{{held}}\\n")
    return x
"""


def test_case_36_only_the_best_models_fill_the_disk(place: Place) -> None:
    """Fifty training jobs, two at a time: beside the three best there is only what those two make of theirs.

    Each of the two may be in two places while it is packed; while the files are counted one may go and another come.
    """
    place.script(KEEPS.format(size=SIZE, out=str(place.folder / "held.txt")), "keeps.py")
    named = {"reference": "keeps:train", "pickled": False, "path": [str(place.code)]}
    request = place.request("kept", "", jobs=50, parallel=2, metrics=[], ranges=continuous())
    static = {"_tunewright": json.dumps({"function": named, "keep_best": 3})}
    request["TrainingJobDefinition"]["StaticHyperParameters"] = static
    request["TrainingJobDefinition"]["Environment"] = {"TUNEWRIGHT_HOME": str(place.settings.home)}
    place.local.client.create_hyper_parameter_tuning_job(**request)
    job = place.end("kept")
    trials = place.trials(job)
    assert len(trials) == 50
    best = {trial.name for trial in sorted(trials, key=lambda trial: -(trial.value or 0.0))[:3]}
    left = {path.parent.parent.name for path in place.settings.home.rglob("model.tar.gz")}
    assert left == best, "the three best are kept, the others are not"
    held = [int(line) / SIZE for line in place.lines("held.txt")]
    assert len(held) == 50 and max(held) <= (3 + 2 * 2 + 1) * 1.01
    gone = next(trial for trial in trials if trial.name not in best)
    assert place.local.client.describe_training_job(TrainingJobName=gone.name)["ModelArtifacts"] == {
        "S3ModelArtifacts": ""
    }
