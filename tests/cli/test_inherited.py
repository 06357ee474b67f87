"""What a warm start brought: results used and dropped, and whose results do not count."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

from tunewright.search.advisor import Engine

from .still import StillEngine

Run = Callable[..., Result]
Request = Callable[..., dict[str, Any]]


def begun(engine: StillEngine, request_of: Request, name: str, units: list[int], *parents: str, **more: Any) -> None:
    """A job that starts from others, with these units and a wider range of lr."""
    parameters = {
        "lr": {"type": "continuous", "min": 0.0001, "max": 0.2},
        "units": {"type": "categorical", "values": units},
    }
    warm = {"type": more.pop("kind", "TransferLearning"), "parents": list(parents)}
    engine.call("CreateHyperParameterTuningJob", **request_of(name, parameters=parameters, warm_start=warm, **more))


@pytest.mark.parametrize(
    ("units", "words"),
    [
        ([200, 512, 1000, 2000], "digits (4 results used, 0 dropped)"),
        ([512, 1000], "digits (3 results used, 1 dropped)"),
        ([7, 8], "digits (0 results used, 4 dropped)"),
    ],
)
def test_results_outside_the_new_space_are_counted(
    finished: StillEngine, request_of: Request, cli: Run, units: list[int], words: str
) -> None:
    begun(finished, request_of, "second", units, "digits")
    assert f"TransferLearning from {words}\n" in cli("describe", "second").stdout
    shown = json.loads(cli("describe", "second", "--json").stdout)["Tunewright"]["WarmStart"]
    assert [parent["ResultsUsed"] + parent["ResultsDropped"] for parent in shown] == [4]


def test_a_new_category_is_tried(finished: StillEngine, request_of: Request) -> None:
    """Wider ranges are accepted, the parent's results are used, and what only the new space has is explored."""
    begun(finished, request_of, "second", [200, 512, 1000, 2000], "digits", max_jobs=10)
    uid = finished.job("second").uid
    history = finished.store.history(uid)
    history.parents = (finished.store.history(finished.job("digits").uid),)
    tried = {proposal.point["units"] for proposal in Engine().propose(history, 1, 8).proposals}
    assert "2000" in tried


def test_draws_learn_from_nobody(finished: StillEngine, request_of: Request, cli: Run) -> None:
    begun(finished, request_of, "second", [200, 512, 1000], "digits", strategy="Random")
    assert "digits (0 results used, 4 dropped)" in cli("describe", "second").stdout


def test_draws_leave_out_what_was_tried_on_the_same_data(finished: StillEngine, request_of: Request, cli: Run) -> None:
    kind = "IdenticalDataAndAlgorithm"
    begun(finished, request_of, "second", [200, 512, 1000], "digits", strategy="Random", kind=kind)
    assert "digits (4 results used, 0 dropped)" in cli("describe", "second").stdout


def test_case_38_parents_of_parents_are_named(finished: StillEngine, request_of: Request, cli: Run) -> None:
    begun(finished, request_of, "second", [200, 512, 1000], "digits")
    cli("stop", "second", "--no-wait")
    begun(finished, request_of, "third", [200, 512, 1000], "second")
    assert "second (0 results used, 0 dropped), not from its own parents digits" in cli("describe", "third").stdout
    shown = json.loads(cli("describe", "third", "--json").stdout)["Tunewright"]["WarmStart"]
    assert shown[0]["NotFrom"] == ["digits"]
    cli("delete", "second")
    assert "TransferLearning from second (was deleted)" in cli("describe", "third").stdout


def test_who_follows_a_job_is_told(finished: StillEngine, request_of: Request, cli: Run) -> None:
    begun(finished, request_of, "second", [512, 1000], "digits")
    cli("stop", "second", "--no-wait")
    assert "Warm start: TransferLearning from digits (3 results used, 1 dropped)" in cli("watch", "second").stdout
