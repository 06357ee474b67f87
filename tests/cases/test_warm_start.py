"""Cases 19, 37 and 38: what may change between a tuning job and its parents, and what is taken from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from features.ground import METRIC, Sim, Wire, categories, continuous, integers
from typer.testing import Result

from .test_metrics import tuning_file

Run = Callable[..., Result]


def warm(*parents: str, kind: str = "TransferLearning") -> Wire:
    named = [{"HyperParameterTuningJobName": name} for name in parents]
    return {"WarmStartConfig": {"WarmStartType": kind, "ParentHyperParameterTuningJobs": named}}


SCRIPT = """
import sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
worth = {"sgd": 0.5, "adam": 0.2, "lion": 0.1}[given["--opt"]]
print(f"loss={worth + (float(given['--lr']) - 0.02) ** 2};")
"""


def space(*optimisers: str, low: float) -> dict[str, object]:
    lr = {"type": "continuous", "min": low, "max": 0.1}
    return {"opt": {"type": "categorical", "values": list(optimisers)}, "lr": lr}


def test_case_19_new_categories_and_wider_ranges_keep_what_was_learned(home: Path, cli: Run, tmp_path: Path) -> None:
    parent = tuning_file(tmp_path, SCRIPT, name="parent", max_jobs=12, parameters=space("sgd", "adam", low=0.01))
    assert cli("run", parent).exit_code == 0
    start = {"type": "TransferLearning", "parents": ["parent"]}
    child = tuning_file(
        tmp_path,
        SCRIPT,
        name="child",
        strategy="Bayesian",
        max_jobs=8,
        parameters=space("sgd", "adam", "lion", low=0.001),
        warm_start=start,
    )
    done = cli("run", child)
    assert done.exit_code == 0, done.output
    assert "parent (12 results used, 0 dropped)" in done.output
    assert "parent (12 results used, 0 dropped)" in cli("describe", "child").stdout
    rows = json.loads(cli("export", "child", "--json").stdout)
    assert "lion" in {row["HyperParameters"]["opt"] for row in rows}, "what is new is explored"


def of_ranges(dropout: str, epochs: tuple[int, int], **more: object) -> Wire:
    numbers = [
        {"Name": "dropout", "MinValue": "0.1", "MaxValue": "0.5", "ScalingType": dropout},
        *continuous("lr", "0.001", "0.1")["ContinuousParameterRanges"],
    ]
    return {"ContinuousParameterRanges": numbers, **integers(epochs=epochs), **more}


def test_case_37_harmless_changes_are_accepted(sim: Sim) -> None:
    sim.disk.program = lambda _: _constant()
    sim.run(sim.request("parent", jobs=2, ranges=of_ranges("Linear", (10, 20))))
    for kind in ("TransferLearning", "IdenticalDataAndAlgorithm"):
        request = sim.request(
            f"child-{kind[:4]}", jobs=2, ranges=of_ranges("Auto", (10, 40)), top=warm("parent", kind=kind)
        )
        sim.run(request)
    missing = of_ranges("Auto", (10, 40))
    del missing["IntegerParameterRanges"]
    message = sim.refused(sim.request("missing", ranges=missing, top=warm("parent")))
    assert "missing: epochs" in message
    new = of_ranges("Auto", (10, 40), **categories(opt=["sgd", "adam"]))
    assert "new: opt" in sim.refused(sim.request("new", ranges=new, top=warm("parent")))


def _constant() -> object:
    from features.ground import prints

    return prints(1.0)


def test_case_38_who_may_be_a_parent(sim: Sim) -> None:
    names = [f"p{number}" for number in range(6)]
    for name in names:
        sim.run(sim.request(name, jobs=1))
    sim.create(sim.request("running"))
    assert "'running' is InProgress" in sim.refused(sim.request("a", top=warm("running")))
    assert "less than or equal to 5 (has 6)" in sim.refused(sim.request("b", top=warm(*names)))
    other = {"Type": "Maximize", "MetricName": "f1"}
    metrics = [METRIC, {"Name": "f1", "Regex": "f1=(.*)"}]
    specification = {"TrainingImage": "mine", "TrainingInputMode": "File", "MetricDefinitions": metrics}
    request = sim.request(
        "c",
        HyperParameterTuningJobObjective=other,
        training={"AlgorithmSpecification": specification},
        top=warm("p0"),
    )
    message = sim.refused(request)
    assert "'f1'" in message and "'acc'" in message and "'p0'" in message
    sim.run(sim.request("child", jobs=1, top=warm("p0")))
    sim.create(sim.request("grandchild", jobs=1, top=warm("child")))
