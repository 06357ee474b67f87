"""replay --early-stopping: what another rule would have stopped, saved and lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import Result

from tunewright.cli.supposing import name_of, rule_of
from tunewright.core.errors import Invalid
from tunewright.core.spec import Hyperband, JobSpec, Strategy

from .still import StillEngine

Run = Callable[..., Result]

CURVES = ([0.5, 0.6, 0.7, 0.7], [0.5, 0.55, 0.6, 0.6], [0.5, 0.5, 0.5, 0.5], [0.4, 0.5, 0.5, 0.9])


@pytest.fixture
def curved(engine: StillEngine, request_of: Callable[..., dict[str, Any]]) -> StillEngine:
    """An engine with a finished job `digits` whose best began as the worst; epochs take ten seconds."""
    engine.call("CreateHyperParameterTuningJob", **request_of(max_parallel_jobs=1))
    for curve in CURVES:
        [number] = engine.begin("digits", {"lr": 0.01 * len(curve), "units": "200"})
        for value in curve:
            engine.clock.time += 10
            engine.report("digits", number, value)
        engine.clock.time += 10
        engine.exit("digits", number)
    return engine


def test_the_words(curved: StillEngine, cli: Run) -> None:
    names = [view.trial.name for view in curved.reads.all_trials(curved.job("digits").uid)]
    result = cli("replay", "digits", "--early-stopping", "Auto")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "digits under Auto: 1 of 4 training jobs would have been stopped (it ran under Off, which stopped 0).",
        "",
        "TRAINING JOB".ljust(len(names[3])) + "  EPOCH   AFTER  WHY",
        f"{names[3]}  2 of 4  20 s   stopped at epoch 2: 0.5 against the median 0.525 of 3 jobs",
        "",
        "Saved: 2 of 16 epochs (12%), about 30 s of 3 min 20 s of training (15%).",
        f"Lost: 0.2. The best, {names[3]} with 0.9, would have been stopped at epoch 2 of 4; "
        f"the best would have been 0.7 by {names[0]}.",
        "Note: training jobs that would have run in the time saved are not guessed at.",
    ]


def test_the_json(curved: StillEngine, cli: Run) -> None:
    names = [view.trial.name for view in curved.reads.all_trials(curved.job("digits").uid)]
    found = json.loads(cli("replay", "digits", "--early-stopping", "auto", "--json").stdout)
    assert found["Rule"] == "Auto" and found["RecordedRule"] == "Off" and found["TrainingJobs"] == 4
    assert found["Stopped"] == [
        {
            "TrainingJobName": names[3],
            "Epoch": 2,
            "Seconds": 20.0,
            "Value": 0.5,
            "Threshold": 0.525,
            "Cause": "early stopping",
            "Why": "stopped at epoch 2: 0.5 against the median 0.525 of 3 jobs",
            "RecordedEpoch": 4,
            "RecordedSeconds": 50.0,
            "RecordedValue": 0.9,
        }
    ]
    assert found["Epochs"] == {"Recorded": 16, "Saved": 2}
    assert found["Seconds"] == {"Recorded": 200.0, "Saved": 30.0}
    assert found["Best"]["Recorded"] == {"TrainingJobName": names[3], "Value": 0.9}
    assert found["Best"]["UnderRule"] == {"TrainingJobName": names[0], "Value": 0.7}
    assert found["Best"]["Stopped"] is True and found["Best"]["Regret"] == pytest.approx(0.2)


def test_halving_and_off(curved: StillEngine, cli: Run) -> None:
    halving = json.loads(cli("replay", "digits", "--early-stopping", "hyperband(1, 3)", "--json").stdout)
    assert halving["Rule"] == "hyperband(1,3)"
    assert [(each["Epoch"], each["Cause"]) for each in halving["Stopped"]] == [
        (3, "reached its maximum resource"),
        (3, "reached its maximum resource"),
        (3, "reached its maximum resource"),
        (1, "early stopping"),
    ]
    off = cli("replay", "digits", "--early-stopping", "Off").stdout
    assert "0 of 4 training jobs would have been stopped" in off
    assert "Saved: 0 of 16 epochs (0%)" in off and "Lost: nothing; the best, " in off


def test_a_job_without_curves_or_values_is_told_apart(finished: StillEngine, cli: Run) -> None:
    text = cli("replay", "digits", "--early-stopping", "Auto").stdout
    assert "0 of 4 training jobs would have been stopped" in text and "Lost: nothing" in text


def test_a_job_that_emits_once_has_nothing_to_look_at(digits: StillEngine, cli: Run) -> None:
    for number in digits.begin("digits", {"lr": 0.01, "units": "200"}, {"lr": 0.02, "units": "512"}):
        digits.report("digits", number, 0.5)
        digits.exit("digits", number, 1, "no")
    for number in digits.begin("digits", {"lr": 0.03, "units": "200"}, {"lr": 0.04, "units": "512"}):
        digits.exit("digits", number, 1, "no")
    text = cli("replay", "digits", "--early-stopping", "Auto").stdout
    assert "no training job emitted its objective twice" in text
    assert "No training job has a value that counts, so nothing could be lost." in text


def test_a_running_job_is_refused_with_the_way_out(digits: StillEngine, cli: Run) -> None:
    result = cli("replay", "digits", "--early-stopping", "Auto")
    assert result.exit_code == 2
    assert "digits is InProgress" in result.stderr and "tunewright watch digits" in result.stderr


# ---- rules in words ----


@pytest.fixture
def spec(digits: StillEngine) -> JobSpec:
    return digits.job("digits").spec


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Auto", "Auto"),
        (" off ", "Off"),
        ("hyperband(1,9)", "hyperband(1,9)"),
        ("Hyperband( min=3, max = 27 )", "hyperband(3,27)"),
    ],
)
def test_rules(spec: JobSpec, text: str, name: str) -> None:
    found = rule_of(text, spec)
    assert name_of(found) == name
    assert found.judged is (name != "Off")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Median", "'Median' is not a rule; use Auto, Off, hyperband"),
        ("hyperband(9)", "is not a rule"),
        ("hyperband(9,3)", "must be 1 <= MIN <= MAX"),
        ("hyperband(0,3)", "must be 1 <= MIN <= MAX"),
        ("hyperband", "say them, such as 'hyperband(1,27)'"),
    ],
)
def test_what_is_no_rule(spec: JobSpec, text: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        rule_of(text, spec)
    assert words in str(caught.value)


def test_hyperband_takes_its_bounds_from_the_job(spec: JobSpec) -> None:
    own = replace(spec, strategy=Strategy.HYPERBAND, hyperband=Hyperband(2, 18))
    assert name_of(rule_of("hyperband", own)) == "hyperband(2,18)"
    assert name_of(rule_of("off", own)) == "Off"
    training = replace(spec.definitions[0].training, static={"epochs": '"12"'})
    inferring = replace(spec, definitions=(replace(spec.definitions[0], training=training),))
    assert name_of(rule_of("HYPERBAND", inferring)) == "hyperband(1,12)"
