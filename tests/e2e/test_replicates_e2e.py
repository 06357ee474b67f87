"""Replicates and kept models with real training programs, as every face shows them."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tunewright.cli.exporting import write_csv, write_json
from tunewright.cli.portrait import portrait
from tunewright.core.job import JobStatus

from .place import Place, categories

NOISY = """
import json, os
with open(os.path.join(os.environ["SM_INPUT_CONFIG_DIR"], "hyperparameters.json")) as file:
    kind = json.load(file)["kind"]
seed = int(os.environ["TUNEWRIGHT_REPLICATE"])
worth = {"steady": [0.8, 0.8, 0.8], "lucky": [0.9, 0.5, 0.4], "poor": [0.1, 0.1, 0.1]}
for folder in (os.environ["SM_MODEL_DIR"], os.environ.get("TUNEWRIGHT_CHECKPOINT_DIR", "")):
    if folder:
        with open(os.path.join(folder, "weights"), "w") as out:
            out.write(kind * 1000)
print(f"acc={worth[kind][seed - 1]};")
"""
KINDS = categories(kind=["lucky", "steady", "poor"])


def extension(**features: object) -> dict[str, str]:
    return {"_tunewright": json.dumps(features)}


@pytest.mark.parametrize("parallel", [1, 4])
def test_the_best_mean_wins_and_every_face_shows_it(place: Place, parallel: int) -> None:
    name, script = "noisy", place.script(NOISY)
    job = place.run(
        name, script, jobs=None, strategy="Grid", ranges=KINDS, parallel=parallel, static=extension(replicates=3)
    )
    assert job.status is JobStatus.COMPLETED and job.launched == 9
    trials = place.trials(job)
    assert [trial.point["kind"] for trial in trials] == ["lucky"] * 3 + ["steady"] * 3 + ["poor"] * 3
    assert job.best is not None and (job.best.number, job.best.runs) == (4, 3)
    assert (job.best.value, job.best.spread) == (pytest.approx(0.8), pytest.approx(0.0, abs=1e-9))
    view = place.local.reads.job(name)
    shown = "\n".join(portrait(view, charge=True, now=0.0))
    assert "0.8 ± 0 (mean of 3)" in shown and "3 training jobs for each configuration" in shown
    table = io.StringIO()
    write_csv(place.local.reads, job, table)
    rows = list(csv.DictReader(io.StringIO(table.getvalue())))
    assert [row["Configuration"] for row in rows] == ["1"] * 3 + ["2"] * 3 + ["3"] * 3
    assert float(rows[0]["ConfigurationMean"]) == pytest.approx(0.6)
    assert float(rows[0]["ConfigurationSpread"]) == pytest.approx(0.2646, abs=1e-4)
    text = io.StringIO()
    write_json(place.local.reads, job, text)
    assert json.loads(text.getvalue())[3]["ConfigurationMean"] == pytest.approx(0.8)
    described = place.local.client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    assert described["BestTrainingJob"]["TrainingJobName"] == trials[3].name
    assert described["TrainingJobStatusCounters"]["Completed"] == 9


def test_only_the_best_models_stay_on_the_disk(place: Place) -> None:
    checkpoints = f"file://{place.folder / 'checkpoints'}"
    job = place.run(
        "kept",
        place.script(NOISY),
        jobs=None,
        strategy="Grid",
        ranges=KINDS,
        parallel=2,
        static=extension(replicates=3, keep_best=2),
        training={"CheckpointConfig": {"S3Uri": checkpoints}},
    )
    assert job.status is JobStatus.COMPLETED
    trials = {trial.number: trial for trial in place.trials(job)}
    # The lucky run has the best value of all, a steady one the second; the best mean is steady too.
    staying = {1, 4}
    assert {number for number, trial in trials.items() if not trial.discarded} == staying
    output = place.settings.home / "output"
    assert {path.parent.parent.name for path in output.rglob("model.tar.gz")} == {trials[n].name for n in staying}
    kept = {path.parent.name for path in (place.folder / "checkpoints").rglob("weights")}
    assert kept == {trials[n].name for n in staying}
    left = [
        p for p in (place.settings.home / "jobs").rglob("weights") if "checkpoints" in p.parts and not p.is_symlink()
    ]
    assert {part for path in left for part in path.parts if part.startswith("kept-")} <= {
        trials[n].name for n in staying
    }
    describe = place.local.client.describe_training_job
    gone, there = describe(TrainingJobName=trials[2].name), describe(TrainingJobName=trials[4].name)
    assert gone["ModelArtifacts"]["S3ModelArtifacts"] == ""
    assert there["ModelArtifacts"]["S3ModelArtifacts"].endswith("model.tar.gz")


def test_everything_stays_unless_asked(place: Place) -> None:
    script = place.script(NOISY.replace('os.environ["TUNEWRIGHT_REPLICATE"]', '"1"'))
    job = place.run("all", script, jobs=None, strategy="Grid", ranges=KINDS)
    output = place.settings.home / "output"
    assert len(list(output.rglob("model.tar.gz"))) == job.launched == 3
