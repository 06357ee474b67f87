"""Where a request's inputs, outputs and checkpoints lie."""

from __future__ import annotations

from typing import Any

import pytest

from tunewright.aws.sagemaker.locations import s3_location

from .world import World, changed, training, tuning

OWN = "https://127.0.0.1:8443"
ADDRESSES = [
    "https://s3.us-east-1.amazonaws.com/bucket/some/key",
    "https://s3-eu-west-1.amazonaws.com/bucket/some/key",
    "https://s3.dualstack.us-gov-west-1.amazonaws.com/bucket/some/key",
    "https://s3.cn-north-1.amazonaws.com.cn/bucket/some/key",
    "https://s3.amazonaws.com/bucket/some/key",
    "https://bucket.s3.us-east-1.amazonaws.com/some/key",
    "https://bucket.s3-ap-southeast-2.amazonaws.com/some/key",
    "https://bucket.s3.amazonaws.com/some/key",
    f"{OWN}/bucket/some/key",
    OWN.replace("//", "//bucket.") + "/some/key",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_addresses_of_s3(address: str) -> None:
    assert s3_location(address, OWN) == "s3://bucket/some/key"
    assert s3_location(address.replace("some/", "a%20b/"), OWN) == "s3://bucket/a b/key"


def test_a_bucket_with_dots_and_nothing_behind_it() -> None:
    assert s3_location("https://my.own.bucket.s3.amazonaws.com") == "s3://my.own.bucket"


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/bucket/key",
        "https://s3.amazonaws.com.example.org/bucket/key",
        "https://bucket.s3-website-us-east-1.amazonaws.com/key",
        "https://s3.amazonaws.com/",
        "https://s3.amazonaws.com/bucket/key?versionId=3",
        "https://127.0.0.1:8080/bucket/key",
        "s3://bucket/key",
        "file:///data",
        "https://[/bucket",
    ],
)
def test_other_addresses_stay_as_they_are(address: str) -> None:
    assert s3_location(address, OWN) == address


def located(world: World, scheme: str) -> dict[str, Any]:
    place = world.objects.path("s3://bucket/data")
    place.mkdir(parents=True)
    (place / "x").touch()
    source = {"S3DataType": "S3Prefix", "S3Uri": f"{scheme}bucket/data"}
    return {
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": f"{scheme}bucket/out"},
        "CheckpointConfig": {"S3Uri": f"{scheme}bucket/kept"},
    }


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("kind", ["tuning", "list", "training"])
def test_https_is_described_as_sent_and_used_as_s3(world: World, kind: str, strict: bool) -> None:
    sent = located(world, "https://s3.us-east-1.amazonaws.com/")
    if kind == "training":
        world.ok("CreateTrainingJob", training("job", **sent), strict=strict)
        told = world.ok("DescribeTrainingJob", {"TrainingJobName": "job"})
        uid = world.store.find("job", tuning=False)
    else:
        request = tuning()
        request["TrainingJobDefinition"] |= sent
        if kind == "list":
            config = request["HyperParameterTuningJobConfig"]
            body = {
                **request.pop("TrainingJobDefinition"),
                "DefinitionName": "a",
                "TuningObjective": config.pop("HyperParameterTuningJobObjective"),
                "HyperParameterRanges": config.pop("ParameterRanges"),
            }
            request["TrainingJobDefinitions"] = [body]
        uid = world.create(request, strict=strict)
        found = world.describe("job")
        told = found["TrainingJobDefinitions"][0] if kind == "list" else found["TrainingJobDefinition"]
    shown = told["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
    assert shown == "https://s3.us-east-1.amazonaws.com/bucket/data"
    assert told["OutputDataConfig"]["S3OutputPath"] == "https://s3.us-east-1.amazonaws.com/bucket/out"
    assert told["CheckpointConfig"]["S3Uri"] == "https://s3.us-east-1.amazonaws.com/bucket/kept"
    made = world.job(uid).spec.definitions[0].training
    used = [made.channels[0].uri, made.output_path, made.checkpoint_uri]
    assert used == ["s3://bucket/data", "s3://bucket/out", "s3://bucket/kept"]


@pytest.mark.parametrize(
    ("member", "path"),
    [
        ("OutputDataConfig.S3OutputPath", "outputDataConfig.s3OutputPath"),
        ("CheckpointConfig.S3Uri", "checkpointConfig.s3Uri"),
        (
            "InputDataConfig.0.DataSource.S3DataSource.S3Uri",
            "inputDataConfig.1.member.dataSource.s3DataSource.s3Uri",
        ),
    ],
)
def test_https_addresses_of_others_are_refused(world: World, member: str, path: str) -> None:
    request = changed(training(**located(world, "s3://")), member, "https://example.org/bucket/x")
    code, message = world.refused("CreateTrainingJob", request)
    assert code == "ValidationException"
    for part in (path, "'https://example.org/bucket/x'", "neither Amazon S3's nor this server's", "s3://bucket/prefix"):
        assert part in message, message


@pytest.mark.parametrize("strict", [True, False])
def test_a_server_wants_the_buckets_that_are_written_to(world: World, strict: bool) -> None:
    world.strict = world.service(strict=True, has_bucket=world.objects.has_bucket)
    world.extended = world.service(strict=False, has_bucket=world.objects.has_bucket)
    world.objects.path("s3://there").mkdir(parents=True)
    body = {
        "OutputDataConfig": {"S3OutputPath": "s3://nobucket-here/x"},
        "CheckpointConfig": {"S3Uri": "s3://nor-here"},
    }
    code, message = world.refused("CreateTrainingJob", training(**body), strict=strict)
    assert code == "ValidationException"
    assert "outputDataConfig.s3OutputPath" in message and "'s3://nobucket-here/x'" in message
    assert "there is no bucket 'nobucket-here'; make it (aws s3 mb s3://nobucket-here)" in message
    assert "checkpointConfig.s3Uri" in message and "there is no bucket 'nor-here'" in message
    request = tuning()
    request["TrainingJobDefinition"] |= body
    message = world.refused("CreateHyperParameterTuningJob", request, strict=strict)[1]
    assert "trainingJobDefinition.outputDataConfig.s3OutputPath" in message, message
    body = {"OutputDataConfig": {"S3OutputPath": "s3://there/x"}, "CheckpointConfig": {"S3Uri": "s3://there"}}
    world.ok("CreateTrainingJob", training(**body), strict=strict)


def test_in_process_buckets_are_made_when_they_are_written_to(world: World) -> None:
    world.ok("CreateTrainingJob", training(OutputDataConfig={"S3OutputPath": "s3://nobucket-here/x"}))


def test_a_file_needs_no_bucket(world: World) -> None:
    world.extended = world.service(strict=False, has_bucket=world.objects.has_bucket)
    request = training(OutputDataConfig={"S3OutputPath": "file:///tmp/out"})
    world.ok("CreateTrainingJob", request, strict=False)


def test_the_server_may_be_named_by_its_own_address(world: World) -> None:
    world.strict = world.service(strict=True, endpoint=OWN)
    world.ok("CreateTrainingJob", training(OutputDataConfig={"S3OutputPath": f"{OWN}/bucket/x"}))
    uid = world.store.find("plain", tuning=False)
    assert world.job(uid).spec.definitions[0].training.output_path == "s3://bucket/x"
