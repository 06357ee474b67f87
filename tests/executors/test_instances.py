"""Which instance types are on offer, and the slots that they take."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewright.core.errors import Invalid, NoCapacity
from tunewright.core.ports import Task
from tunewright.core.spec import InstanceGroup, Training
from tunewright.executors.instances import Offer, Size, table_of
from tunewright.executors.slots import Slots

SETTING = "ml.m5.large cpu=2; ml.g5.xlarge cpus = 4, gpu=1 ;ml.t3.medium;"


def task(training: Training) -> Task:
    return Task("job", "job-1", 1, 1, training, {})


@pytest.fixture
def offer(tmp_path: Path) -> Offer:
    return Offer(SETTING, Slots(tmp_path, "cpu=8,gpu=1"))


def test_the_setting() -> None:
    expected = {"ml.m5.large": Size(2, 0), "ml.g5.xlarge": Size(4, 1), "ml.t3.medium": Size(1, 0)}
    assert table_of(SETTING) == expected
    assert table_of("") == table_of(" ; ") == {}


@pytest.mark.parametrize("wrong", ["ml.m5.large 2", "ml.m5.large cpu=0", "ml.m5.large cpu=x", "=3", "a ram=3"])
def test_every_wrong_part_is_named(wrong: str) -> None:
    with pytest.raises(Invalid) as caught:
        table_of(f"ml.m5.large; {wrong}; ml.c5.large cpu")
    assert len(caught.value.problems) == 2 and repr(wrong) in str(caught.value)


@pytest.mark.parametrize(
    ("training", "slots"),
    [
        (Training(instance_type="ml.m5.large"), (2, 0)),
        (Training(instance_type="ml.g5.xlarge"), (4, 1)),
        (Training(instance_type="local"), (1, 0)),
        (Training(), (1, 0)),
        (Training(instance_type="ml.m5.large", cpus=3), (3, 0)),
        (Training(instance_groups=(InstanceGroup("a", "ml.m5.large", 1),)), (2, 0)),
    ],
)
def test_slots_by_type(offer: Offer, training: Training, slots: tuple[int, int]) -> None:
    found = offer.sized(task(training)).training
    assert (found.cpus, found.gpus) == slots


@pytest.mark.parametrize(
    ("training", "words"),
    [
        (
            Training(instance_type="ml.p3.2xlarge"),
            "does not offer it. It offers ml.m5.large, ml.g5.xlarge, ml.t3.medium",
        ),
        (Training(instance_type="ml.g5.xlarge", instance_count=2), "Unable to provision ml.g5.xlarge"),
        (Training(instance_groups=(InstanceGroup("a", "ml.x", 1),)), "Unable to provision ml.x"),
    ],
)
def test_what_is_not_to_be_had(offer: Offer, training: Training, words: str) -> None:
    with pytest.raises(NoCapacity, match="Unable") as caught:
        offer.sized(task(training))
    assert words in str(caught.value)


def test_without_a_table_all_types_are_names(tmp_path: Path) -> None:
    asked = task(Training(instance_type="ml.p5.48xlarge"))
    assert Offer("", Slots(tmp_path, "cpu=2")).sized(asked) is asked
