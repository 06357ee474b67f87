"""Service rules of input channels: what a mode and a cluster allow."""

from __future__ import annotations

from typing import Any

import pytest

from .world import World, training

RULES = [
    ({"S3DataType": "AugmentedManifestFile", "AttributeNames": ["a"]}, {}, ["1.member.inputMode", "Pipe"]),
    ({"S3DataType": "AugmentedManifestFile"}, {"InputMode": "Pipe"}, ["attributeNames", "are needed"]),
    ({"InstanceGroupNames": ["left"]}, {}, ["instanceGroupNames", "name left", "has no InstanceGroups"]),
]


def request(world: World, source: dict[str, Any], **more: Any) -> dict[str, Any]:
    place = world.objects.path("s3://bucket/data")
    place.mkdir(parents=True)
    (place / "x").touch()
    data = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/data", **source}
    return training(InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": data}, **more}])


@pytest.mark.parametrize(("source", "more", "words"), RULES)
def test_channels_that_cannot_be_served(
    world: World, source: dict[str, Any], more: dict[str, Any], words: list[str]
) -> None:
    code, message = world.refused("CreateTrainingJob", request(world, source, **more))
    assert code == "ValidationException"
    assert all(word in message for word in words), message


def test_what_a_channel_says_reaches_the_training_job(world: World) -> None:
    source = {"S3DataType": "AugmentedManifestFile", "AttributeNames": ["a-ref", "b"], "InstanceGroupNames": ["g"]}
    asked = request(world, source, InputMode="Pipe", ShuffleConfig={"Seed": 5}, RecordWrapperType="RecordIO")
    groups = [{"InstanceGroupName": name, "InstanceType": "ml.m5.large", "InstanceCount": 2} for name in ("g", "h")]
    asked["ResourceConfig"] = {"InstanceGroups": groups, "VolumeSizeInGB": 1}
    world.ok("CreateTrainingJob", asked)
    uid = world.store.find(asked["TrainingJobName"], tuning=False)
    made = world.job(uid).spec.definitions[0].training
    [channel] = made.channels
    assert (channel.attributes, channel.groups, channel.seed) == (("a-ref", "b"), ("g",), 5)
    assert (channel.record_wrapper, channel.input_mode) == ("RecordIO", "Pipe")
    assert [(group.name, group.kind, group.count) for group in made.instance_groups] == [
        ("g", "ml.m5.large", 2),
        ("h", "ml.m5.large", 2),
    ]
    assert made.hosts == 4
