"""Objects in an S3 that is named by its endpoint: our own service's, over HTTP and TLS, with keys and without."""

from __future__ import annotations

import os
import pickle
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from aws.world import World
from botocore.exceptions import ClientError

from tunewright.assembly import Host, Local
from tunewright.cli.commands.do_serve import env
from tunewright.core.errors import Invalid
from tunewright.objects import remote
from tunewright.objects.choose import is_endpoint, open_objects
from tunewright.objects.local import LocalObjects
from tunewright.objects.remote import RemoteObjects
from tunewright.settings import Settings

from .conftest import CERTIFICATE, WRITER, Server


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", WRITER.access)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", WRITER.secret)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(CERTIFICATE))


@pytest.fixture
def objects(any_server: Server) -> RemoteObjects:
    return RemoteObjects(any_server.url, "eu-west-1")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_setting_names_one_or_the_other(tmp_path: Path) -> None:
    assert [is_endpoint(text) for text in ("http://h:1", "https://s3.example.org/x", "/data", "http", "C:/x")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert isinstance(open_objects(str(tmp_path)), LocalObjects)
    assert isinstance(open_objects("http://127.0.0.1:9"), RemoteObjects)


def test_what_a_name_means_is_what_it_means_on_a_disk(
    tmp_path: Path, objects: RemoteObjects, bucket: str, any_server: Server
) -> None:
    """Every kind of name, asked of the S3 and of the directory that lies behind it."""
    for key in ("data/a", "data/sub/b", "data2", "data-x/c", "other/part-0", "other/part-1/x"):
        objects.put_file(write(tmp_path / "in", key), f"s3://{bucket}/{key}")
    here = LocalObjects(Path(any_server.world.objects.root))
    for number, name in enumerate(("", "/", "/data", "/data/", "/data2", "/dat", "/other/part-", "/data/a/", "/none")):
        uri = f"s3://{bucket}{name}"
        there, local = tmp_path / f"there{number}", tmp_path / f"local{number}"
        counts = objects.fetch(uri, there), here.fetch(uri, local)
        assert counts[0] == counts[1] and files(there) == files(local), uri
        assert objects.exists(uri) == here.exists(uri) == bool(counts[0]), uri


def test_files_and_trees_there_and_back(tmp_path: Path, objects: RemoteObjects, bucket: str) -> None:
    write(tmp_path / "tree" / "a b+c.txt", "1")
    write(tmp_path / "tree" / "sub" / "ü", "2")
    write(tmp_path / "secret", "3")
    os.symlink("../secret", tmp_path / "tree" / "out")
    os.symlink("a b+c.txt", tmp_path / "tree" / "in")
    assert objects.put_tree(tmp_path / "tree", f"s3://{bucket}/deep/er/") == 3
    assert objects.fetch(f"s3://{bucket}/deep/er", tmp_path / "back") == 3
    assert files(tmp_path / "back") == {"a b+c.txt": "1", "in": "1", "sub/ü": "2"}
    objects.put_file(tmp_path / "secret", f"s3://{bucket}/moved", move=True)
    assert not (tmp_path / "secret").exists() and objects.exists(f"s3://{bucket}/moved")


def test_objects_and_folders_are_removed(tmp_path: Path, objects: RemoteObjects, bucket: str) -> None:
    for key in ("job/model.tar.gz", "job/model/a", "job/model/sub/b", "job/modelling"):
        objects.put_file(write(tmp_path / "in", key), f"s3://{bucket}/{key}")
    for uri in (f"s3://{bucket}/job/model.tar.gz", f"s3://{bucket}/job/model/", f"s3://{bucket}/job/never"):
        for _ in range(2):
            objects.remove(uri)
    assert not objects.exists(f"s3://{bucket}/job/model/") and objects.exists(f"s3://{bucket}/job/modelling")
    assert not objects.exists(f"s3://{bucket}/job/model.tar.gz")
    with pytest.raises(Invalid, match="names a whole bucket"):
        objects.remove(f"s3://{bucket}")


def test_large_files_go_in_parts(
    tmp_path: Path, objects: RemoteObjects, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PART_BYTES", 5 << 20)
    data = os.urandom((5 << 20) * 2 + 17)
    (tmp_path / "big").write_bytes(data)
    objects.put_file(tmp_path / "big", f"s3://{bucket}/big")
    objects.fetch(f"s3://{bucket}/big", tmp_path / "back")
    assert (tmp_path / "back" / "big").read_bytes() == data


def test_names_of_this_machine_stay_so(tmp_path: Path, objects: RemoteObjects) -> None:
    uri = (tmp_path / "x").as_uri()
    assert not objects.exists(uri)
    objects.put_file(write(tmp_path / "source", "s"), uri)
    assert objects.path(uri) == tmp_path / "x" and objects.exists(uri)
    assert objects.fetch(uri, tmp_path / "goal") == 1
    with pytest.raises(Invalid, match="not on this disk"):
        objects.path("s3://bucket/x")
    with pytest.raises(Invalid, match="neither"):
        objects.exists("gs://bucket/x")


def test_what_goes_wrong_is_an_error_of_the_disks_kind(
    tmp_path: Path, open_server: Server, keyed_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "x", "x")
    with pytest.raises(OSError, match="s3://no-such-bucket/x"):
        RemoteObjects(open_server.url).put_file(source, "s3://no-such-bucket/x")
    assert RemoteObjects(open_server.url).fetch("s3://no-such-bucket/x", tmp_path / "t") == 0
    assert not RemoteObjects(open_server.url).has_bucket("s3://no-such-bucket/x")
    assert RemoteObjects(open_server.url).has_bucket("s3://bucket/x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(OSError, match=r"SignatureDoesNotMatch|403|Forbidden"):
        RemoteObjects(keyed_server.url).exists("s3://tunewright/x")


def test_it_travels(objects: RemoteObjects) -> None:
    copy = pickle.loads(pickle.dumps(objects))
    assert (copy.endpoint, copy.exists("s3://tunewright/none")) == (objects.endpoint, False)


SCRIPT = """
import os
print("acc=" + open(os.environ["SM_CHANNEL_TRAIN"] + "/rows.csv").read().strip() + ";")
open(os.environ["TUNEWRIGHT_CHECKPOINT_DIR"] + "/mine", "w").close()
open(os.environ["SM_MODEL_DIR"] + "/m", "w").write("model")
"""


def test_a_training_job_with_everything_over_there(
    tmp_path: Path, any_server: Server, objects: RemoteObjects, bucket: str
) -> None:
    with tarfile.open(tmp_path / "sourcedir.tar.gz", "w:gz") as archive:
        archive.add(write(tmp_path / "train.py", SCRIPT), "train.py")
    objects.put_file(tmp_path / "sourcedir.tar.gz", f"s3://{bucket}/code/sourcedir.tar.gz")
    objects.put_file(write(tmp_path / "rows.csv", "0.25"), f"s3://{bucket}/data/rows.csv")
    settings = Settings.load(
        {"TUNEWRIGHT_HOME": str(tmp_path / "home"), "TUNEWRIGHT_OBJECTS": any_server.url, "TUNEWRIGHT_SLOTS": "1"}
    )
    host = Host.open(settings)
    try:
        local = Local(host, strict=True)
        local.client.create_training_job(
            TrainingJobName="far",
            AlgorithmSpecification={
                "TrainingImage": "tunewright/script",
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "acc", "Regex": "acc=(.*);"}],
            },
            RoleArn="arn:aws:iam::000000000000:role/tunewright",
            HyperParameters={
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": f"s3://{bucket}/code/sourcedir.tar.gz",
            },
            InputDataConfig=[
                {
                    "ChannelName": "train",
                    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/data"}},
                }
            ],
            OutputDataConfig={"S3OutputPath": f"s3://{bucket}/out"},
            CheckpointConfig={"S3Uri": f"s3://{bucket}/points"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 600},
        )
        found = local.client.describe_training_job(TrainingJobName="far")
        while found["TrainingJobStatus"] == "InProgress":
            local.wait("far", 5, tuning=False)
            found = local.client.describe_training_job(TrainingJobName="far")
    finally:
        host.background.stop()
        host.store.close()
    assert found["TrainingJobStatus"] == "Completed", found.get("FailureReason")
    assert found["FinalMetricDataList"][0]["Value"] == 0.25
    model = found["ModelArtifacts"]["S3ModelArtifacts"]
    assert objects.fetch(model, tmp_path / "model") == 1
    with tarfile.open(tmp_path / "model" / "model.tar.gz") as archive:
        assert archive.getnames() == ["m"]
    assert objects.exists(f"s3://{bucket}/points/mine")


def test_a_server_says_where_objects_lie(tmp_path: Path, open_server: Server) -> None:
    """Its own S3 is closed then: what came in there would never reach a training job."""
    world = World(tmp_path)
    world.settings = replace(world.settings, objects=open_server.url)
    world.objects = RemoteObjects(open_server.url)  # type: ignore[assignment]  # the world's own is a directory
    try:
        with Server(world, {}, tls=False, strict=True) as server:
            for ask in (server.client("s3").list_buckets, lambda: server.client("s3").get_object(Bucket="b", Key="k")):
                with pytest.raises(ClientError, match=f"NotImplemented.*Objects lie at {open_server.url}"):
                    ask()
            assert server.client("sagemaker").list_training_jobs()["TrainingJobSummaries"] == []
    finally:
        world.store.close()


def test_the_variables_for_clients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUNEWRIGHT_HOME", str(tmp_path))
    monkeypatch.setenv("TUNEWRIGHT_OBJECTS", "https://s3.example.org")
    env("http://127.0.0.1:8080", "tunewright", (None, None), None, None, as_json=False)
    said = capsys.readouterr().out
    assert "export AWS_ENDPOINT_URL=http://127.0.0.1:8080\n" in said
    assert "export AWS_ENDPOINT_URL_S3=https://s3.example.org\n" in said
    assert "ACCESS_KEY" not in said and "unset" not in said, "the user's own credentials are for the S3"
