"""Cases 14 to 23 and 39: spaces that are odd, small, conditional or larger than AMT allows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from e2e.place import Place, categories, integers
from features.ground import Sim, Wire
from features.ground import categories as listed
from features.ground import integers as whole

from tunewright import CategoricalParameter, ContinuousParameter, IntegerParameter, Search
from tunewright.core.job import Job, JobStatus

ANY = """
import json
def train(**given):
    with open({ledger!r}, "a") as ledger:
        ledger.write(json.dumps(given) + "\\n")
    return {value}
"""


def function(place: Place, value: str = "0.5", **more: object) -> dict[str, Any]:
    """Static hyperparameters and the like that name a function which takes whatever it is given."""
    place.script(ANY.format(ledger=str(place.folder / "given.txt"), value=value), "any_function.py")
    named = {"reference": "any_function:train", "pickled": False, "path": [str(place.code)]}
    return {"_tunewright": json.dumps({"function": named, **more})}


def run(place: Place, name: str, ranges: Any, extension: dict[str, str], static: Any = (), **changes: Any) -> Job:
    """A tuning job of a function, at its end."""
    request = place.request(name, "", ranges=ranges, metrics=[], **changes)
    request["TrainingJobDefinition"]["StaticHyperParameters"] = {**dict(static), **extension}
    place.local.client.create_hyper_parameter_tuning_job(**request)
    return place.end(name)


def given(place: Place) -> list[dict[str, Any]]:
    """The keywords of every call of the function."""
    return [json.loads(line) for line in place.lines("given.txt")]


ONE_VALUE = {
    "integer": {"IntegerParameterRanges": [{"Name": "odd", "MinValue": "1", "MaxValue": "1"}]},
    "number": {"ContinuousParameterRanges": [{"Name": "odd", "MinValue": "1", "MaxValue": "1"}]},
    "category": listed(odd=["cat1"]),
}


@pytest.mark.parametrize("kind", ONE_VALUE)
def test_case_15_a_range_of_one_value_is_refused_in_strict(sim: Sim, kind: str) -> None:
    real = {"Name": "lr", "MinValue": "0", "MaxValue": "1"}
    ranges = dict(ONE_VALUE[kind])
    ranges["ContinuousParameterRanges"] = [real, *ranges.get("ContinuousParameterRanges", [])]
    assert "odd" in sim.refused(sim.request("job", ranges=ranges))
    assert sim.client.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"] == []


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_case_15_importance_bears_ranges_of_one_value(strategy: str) -> None:
    space = {
        "layers": IntegerParameter(1, 1),
        "one": ContinuousParameter(1, 1),
        "kind": CategoricalParameter(["cat1"]),
        "lr": ContinuousParameter(0, 1),
    }
    search = Search(space, strategy, "Minimize", 0)
    for _ in range(16):
        asked = search.ask()
        assert [asked.values[name] for name in ("layers", "one", "kind")] == [1, 1.0, "cat1"]
        search.tell(asked.number, (float(asked.values["lr"]) - 0.3) ** 2)
    shares = search.importance()
    assert max(shares, key=shares.__getitem__) == "lr"
    assert sum(shares.values()) == pytest.approx(1)
    assert all(shares[name] == pytest.approx(0) for name in ("layers", "one", "kind"))


def test_case_16_fewer_combinations_than_jobs_are_refused_in_strict(sim: Sim) -> None:
    message = sim.refused(sim.request("job", strategy="Bayesian", ranges=listed(a=["x", "y", "z"]), jobs=10))
    assert "You don't have enough combinations of hyperparameter ranges." in message and "3 < 10" in message
    assert sim.client.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"] == []


def test_case_17_a_grid_has_as_many_jobs_as_combinations(sim: Sim) -> None:
    ranges = listed(a=["a", "b", "c"], b=["x", "y"])
    message = sim.refused(sim.request("job", strategy="Grid", ranges=ranges, jobs=4))
    assert "6" in message and "4" in message
    sim.create(sim.request("job", strategy="Grid", ranges=ranges, jobs=6))


CONDITIONS = {"beta1": "opt == 'adam'", "momentum": "opt == 'sgd'"}


def test_case_20_fifty_jobs_keep_the_conditions(place: Place) -> None:
    ranges = {
        **categories(opt=["adam", "sgd"]),
        "ContinuousParameterRanges": [
            {"Name": "beta1", "MinValue": "0.8", "MaxValue": "0.99"},
            {"Name": "momentum", "MinValue": "0", "MaxValue": "0.99"},
        ],
    }
    job = run(place, "branches", ranges, function(place, conditions=CONDITIONS), jobs=50, parallel=4)
    assert job.status is JobStatus.COMPLETED
    keys = [tuple(sorted(call)) for call in given(place)]
    assert len(keys) == 50
    kinds = {call["opt"]: tuple(sorted(call)) for call in given(place)}
    assert kinds == {"adam": ("beta1", "opt"), "sgd": ("momentum", "opt")}
    assert set(keys) == set(kinds.values())


MANY_RANGES = {
    "ContinuousParameterRanges": [{"Name": f"x{n}", "MinValue": "0", "MaxValue": "1"} for n in range(31)],
}
LARGE: dict[str, tuple[Wire, dict[str, str], str]] = {
    "31 categories": (listed(a=[f"v{n}" for n in range(31)]), {}, "less than or equal to 30 (has 31)"),
    "257 characters": (listed(a=["v" * 257, "w"]), {}, "less than or equal to 256 (has 257)"),
    "2,501 characters": (listed(a=["v", "w"]), {"note": "s" * 2501}, "less than or equal to 2500 (has 2501)"),
    "31 parameters": (MANY_RANGES, {}, "(31/30)"),
}


@pytest.mark.parametrize("what", LARGE)
def test_case_21_limits_are_told_with_their_numbers(sim: Sim, what: str) -> None:
    ranges, static, words = LARGE[what]
    assert words in sim.refused(sim.request("job", ranges=ranges, jobs=2, training={"StaticHyperParameters": static}))


@pytest.mark.parametrize("what", LARGE)
def test_case_21_what_strict_refuses_runs_in_extended(place: Place, what: str) -> None:
    ranges, static, _ = LARGE[what]
    job = run(place, "job", ranges, function(place), static, jobs=2, parallel=2)
    assert job.status is JobStatus.COMPLETED and job.counters.succeeded == 2
    names = {entry["Name"] for kind in ranges.values() for entry in kind} | set(static)
    assert all(set(call) == names for call in given(place))
    assert all(len(call["note"]) == 2501 for call in given(place) if static)
    if "31 categories" in what:
        assert {call["a"] for call in given(place)} <= {f"v{n}" for n in range(31)}


@pytest.mark.parametrize("parallel", [1, 4])
def test_case_22_a_finite_space_is_used_up_and_then_the_job_ends(place: Place, parallel: int) -> None:
    ranges = categories(a=["1", "2", "3"], b=["1", "2", "3"], c=["1", "2", "3"])
    value = "sum(len(str(v)) * int(v) for v in given.values())"
    job = run(place, "cube", ranges, function(place, value), jobs=40, parallel=parallel, strategy="Bayesian")
    assert job.status is JobStatus.COMPLETED and job.launched == 27
    assert job.ending is not None and job.ending.why == "search space exhausted (27)"
    assert len({tuple(sorted(call.items())) for call in given(place)}) == len(given(place)) == 27


def test_case_23_fewer_integers_than_jobs_are_refused_in_strict(sim: Sim) -> None:
    assert "5 < 10" in sim.refused(sim.request("job", ranges=whole(n=(1, 5)), jobs=10, parallel=3))


def test_case_39_a_misspelt_point_is_refused_at_once(place: Place) -> None:
    points = [{"num_layers": 5}]
    with pytest.raises(ClientError) as caught:
        run(place, "job", integers(n_layers=(2, 8)), function(place, initial_points=points), jobs=2)
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert "num_layers" in error["Message"] and "Did you mean 'n_layers'?" in error["Message"]
    assert place.host.store.versions() == {}
