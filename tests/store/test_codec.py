"""Whatever the heart can hold comes back from its JSON the same, and the JSON is strict."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunewright.core.events import Event, Launched, Proposal, Proposed, Reported
from tunewright.core.job import Best, Counters, Ending, Job
from tunewright.core.spec import JobSpec
from tunewright.core.trial import Cursor, Observation, Trial
from tunewright.store.codec import Codec, CodecError, mark_of
from tunewright.store.rows import EVENT, SPEC, STATE, TRIAL
from tunewright.testing.same import same
from tunewright.testing.store_suite import tuning_spec

# Lone surrogates and NUL too: names and reasons come from programs that nobody knows.
ANY_TEXT = st.text(st.characters(codec=None), max_size=8)
CODECS: dict[object, Codec[Any]] = {
    Event: EVENT,
    JobSpec: SPEC,
    Trial: TRIAL,
    Job: Codec(Job),
    **{kind: Codec(kind) for kind in (Best, Counters, Ending, Cursor)},
}
patient = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True, scope="module")
def _any_text() -> Iterator[None]:
    """Texts of all values drawn here, and nowhere else."""
    st.register_type_strategy(str, ANY_TEXT)
    yield
    st.register_type_strategy(str, st.text())


def strict(text: str) -> Any:
    def refuse(name: str) -> Any:
        raise AssertionError(f"bare {name}")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("hint", [Event, Trial, Best, Counters, Ending, Cursor])
@settings(patient, max_examples=150)
@given(data=st.data())
def test_every_value_round_trips(hint: Any, data: st.DataObject) -> None:
    check_round_trip(hint, data.draw(st.from_type(hint)))


@pytest.mark.parametrize("hint", [JobSpec, Job])
@settings(patient, max_examples=20)
@given(data=st.data())
def test_every_large_value_round_trips(hint: Any, data: st.DataObject) -> None:
    check_round_trip(hint, data.draw(st.from_type(hint)))


def check_round_trip(hint: Any, value: Any) -> None:
    text = CODECS[hint].dumps(value)
    strict(text).items()
    text.encode("ascii")
    assert same(CODECS[hint].loads(text), value)


@settings(patient, max_examples=20)
@given(job=st.from_type(Job))
def test_a_state_is_a_job_without_what_is_kept_elsewhere(job: Job) -> None:
    text = STATE.dumps(job)
    assert not {"uid", "spec", "live", "paused"} & set(strict(text))
    assert same(STATE.loads(text, uid=job.uid, spec=job.spec, live=job.live, paused=job.paused), job)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_texts(number: float) -> None:
    event = Reported(1.0, 1, 1, Cursor(), Cursor(1), (Observation("loss", number, 1.0),))
    data = strict(EVENT.dumps(event))
    assert data["observations"][0]["value"] == mark_of(number)
    assert same(EVENT.loads(json.dumps(data)), event)


def test_a_text_nan_and_the_number_nan_stay_apart() -> None:
    point = {"text": "NaN", "number": math.nan, "one": 1, "real": 1.0, "yes": True}
    event = Proposed(0.0, (Proposal(1, point),))
    assert same(EVENT.loads(EVENT.dumps(event)), event)


def test_a_union_names_its_class() -> None:
    assert strict(EVENT.dumps(Launched(1.0, 2, 3, "h"))) == {
        "is": "Launched",
        "at": 1.0,
        "number": 2,
        "attempt": 3,
        "handle": "h",
    }


def test_empty_defaults_are_left_out_and_others_are_not() -> None:
    data = strict(SPEC.dumps(replace(tuning_spec(), seed=0)))
    assert not {"warm_start", "seed", "strict", "options"} & set(data)
    assert data["stop_grace"] == 30.0, "a default that may change later is written"
    trial = Trial(1, "t", {}, 0.0, last=0.0, exit_code=0)
    data = strict(TRIAL.dumps(trial))
    assert (data["last"], data["exit_code"]) == (0.0, 0), "zero is not None"
    assert same(TRIAL.loads(json.dumps(data)), trial)


@dataclass(frozen=True, slots=True)
class Older:
    name: str


@dataclass(frozen=True, slots=True)
class Newer:
    name: str
    size: int = 3
    tags: tuple[str, ...] = ("a",)
    more: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Real:
    value: float = 0.0


def test_zeros_of_other_types_are_kept() -> None:
    for value in (Real(0), Real(False), Real(0.0)):
        assert same(Codec[Real](Real).loads(Codec[Real](Real).dumps(value)), value)


def test_older_and_newer_programs_read_each_other() -> None:
    assert Codec[Newer](Newer).loads(Codec(Older).dumps(Older("x"))) == Newer("x")
    newer = Newer("x", 4, (), {"a": 1.5})
    assert Codec[Older](Older).loads(Codec(Newer).dumps(newer)) == Older("x")
    assert Codec[Newer](Newer).loads(Codec(Newer).dumps(newer)) == newer


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"is":"Teleported","at":1.0}', "newer Tunewright"),
        ('{"at":1.0}', "is"),
        ('{"is":"Ticked"}', "at"),
        ('{"is":"Ticked","at":NaN}', "strict"),
        ("[]", "cannot read"),
        ("{", "cannot read"),
    ],
)
def test_what_cannot_be_read_says_so(text: str, says: str) -> None:
    with pytest.raises(CodecError, match=says):
        EVENT.loads(text)


def test_types_without_a_json_form_are_refused_when_the_codec_is_made() -> None:
    hints: list[Any] = [tuple[int, str], dict[float, str], Older | int, list[Older]]
    for hint in [complex, *hints]:
        with pytest.raises(TypeError, match="no JSON"):
            Codec(hint)
