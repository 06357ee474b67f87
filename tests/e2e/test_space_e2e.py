"""How hyperparameters reach a program, and how spaces end."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from tunewright.core.job import JobStatus

from .place import UNIT, Place, categories, integers

PRINT = "print('acc=0.5;')"
SHOW = """
import json, os, sys
base = os.environ["SM_INPUT_CONFIG_DIR"]
with open(os.path.join(base, "hyperparameters.json")) as file:
    given = json.load(file)
with open("{out}", "a") as out:
    out.write(json.dumps({{"argv": sys.argv[1:], "hps": json.loads(os.environ["SM_HPS"]), "file": given}}) + "\\n")
print("acc=0.5;")
"""


def shown(place: Place, name: str, **changes: object) -> list[dict[str, object]]:
    script = place.script(SHOW.format(out=place.folder / "shown.txt"))
    place.run(name, script, **changes)
    return [json.loads(line) for line in place.lines("shown.txt")]


def test_integers_have_no_decimals_anywhere(place: Place) -> None:
    [seen] = shown(place, "whole", jobs=1, ranges=integers(units=(200, 500)))
    text = seen["file"]["units"]  # type: ignore[index]
    assert text.isdecimal() and seen["argv"] == ["--units", text]
    [summary] = place.local.client.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="whole"
    )["TrainingJobSummaries"]
    assert summary["TunedHyperParameters"] == {"units": text}


def test_quoted_categories_reach_the_script_without_quotes(place: Place) -> None:
    ranges = categories(batch_size=["32"], opt=['"sgd"'])
    [seen] = shown(place, "quoted", jobs=1, ranges={**ranges, **UNIT})
    argv = seen["argv"]
    assert argv[:4] == ["--batch_size", "32", "--opt", "sgd"]  # type: ignore[index]
    assert {k: seen["hps"][k] for k in ("batch_size", "opt")} == {"batch_size": 32, "opt": "sgd"}  # type: ignore[index]


def test_case_11_12_plain_strings_are_passed_on_unchanged(place: Place) -> None:
    [seen] = shown(place, "plain", jobs=1, static={"name": "resnet", "epochs": "3", "title": "a b"})
    assert {k: seen["file"][k] for k in ("name", "epochs", "title")} == {  # type: ignore[index]
        "name": "resnet",
        "epochs": "3",
        "title": "a b",
    }
    assert seen["argv"][seen["argv"].index("--title") + 1] == "a b"  # type: ignore[attr-defined,index]


def test_the_objective_and_our_own_keys_stay_out_of_the_arguments(place: Place) -> None:
    [seen] = shown(place, "own", jobs=1, static={"_tunewright": json.dumps({"cpus": 1})})
    assert seen["file"]["_tuning_objective_metric"] == "acc"  # type: ignore[index]
    assert not any("tunewright" in key for key in seen["file"])  # type: ignore[attr-defined]
    assert [a for a in seen["argv"] if a.startswith("--")] == ["--rate"]  # type: ignore[attr-defined]


def test_case_15_a_range_of_one_value_is_that_value(place: Place) -> None:
    ranges = {
        **integers(layers=(1, 1)),
        **categories(kind=["cat1"]),
        "ContinuousParameterRanges": [
            {"Name": "one", "MinValue": "1", "MaxValue": "1"},
            {"Name": "rate", "MinValue": "0", "MaxValue": "1"},
        ],
    }
    for strategy in ("Random", "Bayesian"):
        job = place.run(f"single-{strategy}", place.script(PRINT), jobs=8, ranges=ranges, strategy=strategy)
        found = [(t.point["layers"], t.point["one"], t.point["kind"]) for t in place.trials(job)]
        assert found == [(1, 1.0, "cat1")] * 8


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_case_16_a_finite_space_that_is_used_up_ends_the_job(place: Place, strategy: str) -> None:
    job = place.run("few", place.script(PRINT), jobs=10, strategy=strategy, ranges=categories(a=["x", "y", "z"]))
    assert job.status is JobStatus.COMPLETED and job.launched == 3
    assert job.ending is not None and job.ending.why == "search space exhausted (3)"
    assert sorted(str(t.point["a"]) for t in place.trials(job)) == ["x", "y", "z"]


@pytest.mark.parametrize(
    ("values", "parallel", "cells"), [((("a", "b", "c"), ("x", "y")), 2, 6), ((("p", "q", "r", "s", "t"),), 5, 5)]
)
def test_case_17_18_grid_visits_every_cell_once(
    place: Place, values: tuple[tuple[str, ...], ...], parallel: int, cells: int
) -> None:
    ranges = categories(**{f"axis{i}": v for i, v in enumerate(values)})
    job = place.run("grid", place.script(PRINT), jobs=None, strategy="Grid", parallel=parallel, ranges=ranges)
    points = [tuple(sorted(t.point.items())) for t in place.trials(job)]
    assert job.status is JobStatus.COMPLETED and len(points) == len(set(points)) == cells


@pytest.mark.parametrize("parallel", [1, 4])
def test_case_22_no_configuration_twice(place: Place, parallel: int) -> None:
    script = place.script("import sys\nprint(f'acc={len(sys.argv[2])};')")
    ranges = categories(a=["1", "22", "333"], b=["1", "22", "333"], c=["1", "22", "333"])
    job = place.run("distinct", script, jobs=20, parallel=parallel, strategy="Bayesian", ranges=ranges)
    points = {tuple(sorted(t.point.items())) for t in place.trials(job)}
    assert len(points) == job.launched == 20


def test_case_23_random_over_few_integers_uses_each_once(place: Place) -> None:
    job = place.run("small", place.script(PRINT), jobs=10, parallel=3, ranges=integers(n=(1, 5)))
    assert sorted(t.point["n"] for t in place.trials(job)) == [1, 2, 3, 4, 5]


def test_one_seed_gives_one_sequence_at_any_parallelism(place: Place) -> None:
    sequences = []
    for name, parallel in (("one", 1), ("again", 1), ("four", 4)):
        job = place.run(name, place.script(PRINT), jobs=10, parallel=parallel, seed=42)
        sequences.append([t.point for t in place.trials(job)])
    assert sequences[0] == sequences[1] == sequences[2]


def numeric(kind: str, name: str, low: str, high: str, scaling: str = "Auto") -> dict[str, object]:
    return {f"{kind}ParameterRanges": [{"Name": name, "MinValue": low, "MaxValue": high, "ScalingType": scaling}]}


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        (numeric("Continuous", "lr", "0", "0.1", "Logarithmic"), ["lr", "0", "> 0"]),
        (numeric("Continuous", "lr", "2", "1"), ["lr", "2", "1"]),
        (numeric("Integer", "n", "a", "3"), ["n", "a"]),
    ],
)
def test_case_14_bad_ranges_are_refused_before_anything_starts(
    place: Place, ranges: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(ClientError) as caught:
        place.start("bad", place.script(PRINT), ranges=ranges)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert all(word in caught.value.response["Error"]["Message"] for word in words)
    assert place.host.store.versions() == {}


def test_an_objective_that_is_not_defined_is_refused_naming_both(place: Place) -> None:
    with pytest.raises(ClientError, match=r"(?s)validation:f1.*loss"):
        place.start(
            "undefined", place.script(""), metric="validation:f1", metrics=[{"Name": "loss", "Regex": "loss=(.*?);"}]
        )
    with pytest.raises(ClientError, match=r"'test_acc'.*'test_acc '"):
        place.start("blank", place.script(""), metric="test_acc", metrics=[{"Name": "test_acc ", "Regex": "a=(.*?);"}])


# ---- extended: steps, conditions, forbidden combinations, points to try first ----

BRANCHES = {
    **categories(opt=["adam", "sgd"]),
    "ContinuousParameterRanges": [
        {"Name": "beta1", "MinValue": "0.8", "MaxValue": "0.99"},
        {"Name": "lr", "MinValue": "0.0001", "MaxValue": "1", "ScalingType": "Logarithmic"},
        {"Name": "momentum", "MinValue": "0", "MaxValue": "0.9"},
    ],
    **integers(batch=(16, 256)),
}
RULES = {
    "conditions": {"beta1": "opt == 'adam'", "momentum": "opt == 'sgd'"},
    "steps": {"batch": 16, "momentum": 0.1},
    "forbidden": ["opt == 'sgd' and lr > 0.1"],
    "initial_points": [{"opt": "sgd", "lr": 0.1, "momentum": 0.3}],
}


def test_case_20_inactive_parameters_never_reach_the_program(place: Place) -> None:
    static = {"_tunewright": json.dumps(RULES)}
    seen = shown(place, "branches", jobs=12, parallel=3, ranges=BRANCHES, static=static)
    assert len(seen) == 12
    for each in seen:
        hps, file = each["hps"], each["file"]
        assert isinstance(hps, dict) and isinstance(file, dict)
        mine, other = ("beta1", "momentum") if hps["opt"] == "adam" else ("momentum", "beta1")
        assert mine in hps and other not in hps and other not in file
        assert f"--{other}" not in each["argv"]  # type: ignore[operator]
        assert hps["batch"] % 16 == 0 and not (hps["opt"] == "sgd" and hps["lr"] > 0.1)
        assert "momentum" not in file or file["momentum"] in {f"0.{tenth}" for tenth in range(10)}
    first = place.trials(place.local.reads.job("branches").job)[0]
    assert (first.point["opt"], first.point["lr"], first.point["momentum"]) == ("sgd", 0.1, 0.3)
    summaries = place.local.client.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="branches", MaxResults=50
    )["TrainingJobSummaries"]
    assert {len(each["TunedHyperParameters"]) for each in summaries} == {4}
