"""Cases 9 and 10: values that arrive as something else than they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tunewright.estimator import Estimator
from tunewright.tuner import CategoricalParameter, HyperparameterTuner, IntegerParameter

SHOWS = """
import json, os, sys
with open(os.environ["SM_INPUT_CONFIG_DIR"] + "/hyperparameters.json") as file:
    given = json.load(file)
with open({out!r}, "w") as out:
    json.dump({{"argv": sys.argv[1:], "hps": json.loads(os.environ["SM_HPS"]), "file": given}}, out)
print("loss=0.5;")
"""


def shown(folder: Path, ranges: dict[str, Any], **fixed: Any) -> tuple[dict[str, Any], HyperparameterTuner]:
    """What a script saw of its hyperparameters, and the tuner that ran it."""
    script, out = folder / "train.py", folder / "shown.json"
    script.write_text(SHOWS.format(out=str(out)), encoding="utf-8")
    estimator = Estimator(script, hyperparameters=fixed, metric_definitions={"loss": "loss=(.*?);"})
    tuner = HyperparameterTuner(estimator, "loss", ranges, objective_type="Minimize", max_jobs=1, strategy="Random")
    tuner.fit(job_name="job")
    return json.loads(out.read_text(encoding="utf-8")), tuner


def test_case_09_an_integer_stays_an_integer(home: Path) -> None:
    seen, tuner = shown(home.parent, {"p": IntegerParameter(200, 500)})
    text = seen["file"]["p"]
    assert text.isdecimal() and 200 <= int(text) <= 500
    assert seen["argv"] == ["-p", text]
    assert seen["hps"]["p"] == int(text)
    table = tuner.analytics().dataframe()
    assert str(table["p"].dtype) == "int64" and list(table["p"]) == [int(text)]
    [summary] = tuner.analytics().training_job_summaries()
    assert summary["TunedHyperParameters"] == {"p": text}
    assert tuner.best_params() == {"p": int(text)} and type(tuner.best_params()["p"]) is int


def test_case_10_categories_are_numbers_and_words_without_quotes(home: Path) -> None:
    ranges = {"batch_size": CategoricalParameter([32, 64]), "opt": CategoricalParameter(["sgd", "adam"])}
    seen, tuner = shown(home.parent, ranges)
    best = tuner.best_params()
    assert best["batch_size"] in (32, 64) and best["opt"] in ("sgd", "adam")
    assert seen["argv"] == ["--batch_size", str(best["batch_size"]), "--opt", best["opt"]]
    assert {name: seen["hps"][name] for name in ranges} == best
    assert type(seen["hps"]["batch_size"]) is int
