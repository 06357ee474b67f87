"""Input channels as AMT describes them: what lies where, and what comes out of a pipe."""

from __future__ import annotations

import gzip
import json
import os
import random
import struct
from pathlib import Path

import pytest

from tunewright.core.spec import Channel
from tunewright.core.trial import Failure
from tunewright.executors.contract import pipes

from .bench import Bench

PIPED = """
import os, sys
place = os.environ["SM_CHANNEL_TRAIN"]
for epoch in range(int(sys.argv[2])):
    with open(f"{place}_{epoch}", "rb") as file:
        print(file.read().hex())
"""
LISTS = """
import os
place = os.environ["SM_CHANNEL_TRAIN"]
for at, _, names in os.walk(place):
    for name in names:
        path = os.path.join(at, name)
        print(os.path.relpath(path, place), open(path, "rb").read().hex())
"""


def put(bench: Bench, key: str, data: bytes) -> None:
    path = bench.objects / "bucket" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def piped(bench: Bench, name: str, channel: Channel, epochs: int = 1) -> list[bytes]:
    """What a program reads from a channel in Pipe mode, by epoch."""
    report = bench.run(bench.task(name, PIPED, values={"n": str(epochs)}, channels=(channel,)))
    assert report.exit_code == 0, report.reason
    return [bytes.fromhex(line) for line in bench.stdout(name).splitlines()]


def listed(bench: Bench, name: str, channel: Channel) -> dict[str, bytes]:
    report = bench.run(bench.task(name, LISTS, channels=(channel,)))
    assert report.exit_code == 0, report.reason
    lines = [line.split() for line in bench.stdout(name).splitlines()]
    return {line[0]: bytes.fromhex(line[1]) for line in lines}


def refused(bench: Bench, name: str, channel: Channel) -> str:
    report = bench.run(bench.task(name, PIPED, channels=(channel,)))
    assert report.failure is Failure.CLIENT
    return report.reason


def records(data: bytes) -> list[bytes]:
    """The records of a RecordIO stream."""
    found, at = [], 0
    while at < len(data):
        magic, length = struct.unpack_from("<II", data, at)
        assert magic == 0xCED7230A
        found.append(data[at + 8 : at + 8 + length])
        padded = length + -length % 4
        assert data[at + 8 + length : at + 8 + padded] == bytes(padded - length)
        at += 8 + padded
    return found


@pytest.mark.parametrize("mode", ["File", "FastFile"])
@pytest.mark.parametrize("scheme", ["s3", "file"])
def test_files_of_a_prefix(bench: Bench, mode: str, scheme: str) -> None:
    put(bench, "data/a.csv", b"a")
    put(bench, "data/sub/b.csv", b"b")
    uri = "s3://bucket/data" if scheme == "s3" else (bench.objects / "bucket" / "data").as_uri()
    assert listed(bench, "files", Channel("train", uri, input_mode=mode)) == {"a.csv": b"a", "sub/b.csv": b"b"}


@pytest.mark.parametrize("mode", ["File", "FastFile"])
def test_compressed_files_stay_compressed_but_in_pipes(bench: Bench, mode: str) -> None:
    """CompressionType is for Pipe mode alone; so is RecordWrapperType."""
    put(bench, "data/a.gz", gzip.compress(b"rows"))
    channel = Channel("train", "s3://bucket/data", input_mode=mode, compression="Gzip", record_wrapper="RecordIO")
    assert gzip.decompress(listed(bench, "stay", channel)["a.gz"]) == b"rows"


def test_gzip_is_unpacked_on_the_way(bench: Bench) -> None:
    put(bench, "data/a.gz", gzip.compress(b"first "))
    put(bench, "data/b.gz", gzip.compress(b"second") + gzip.compress(b" member"))
    channel = Channel("train", "s3://bucket/data", input_mode="Pipe", compression="Gzip")
    assert piped(bench, "unpacked", channel, 2) == [b"first second member"] * 2


def test_what_is_no_gzip_is_named(bench: Bench) -> None:
    put(bench, "data/plain.csv", b"1,2")
    channel = Channel("train", "s3://bucket/data", input_mode="Pipe", compression="Gzip")
    reason = refused(bench, "plain", channel)
    assert "plain.csv" in reason and "not gzipped" in reason and "CompressionType" in reason


def test_a_damaged_gzip_is_named_where_it_has_to_be_measured(bench: Bench) -> None:
    put(bench, "data/cut.gz", gzip.compress(random.Random(1).randbytes(1000))[:-20])
    channel = Channel("train", "s3://bucket/data", input_mode="Pipe", compression="Gzip", record_wrapper="RecordIO")
    assert "cut.gz" in refused(bench, "cut", channel)


def test_each_object_becomes_a_record(bench: Bench) -> None:
    contents = [b"", b"abc", b"abcd", random.Random(1).randbytes(300_001)]
    for number, data in enumerate(contents):
        put(bench, f"data/{number}", data)
    channel = Channel("train", "s3://bucket/data", input_mode="Pipe", record_wrapper="RecordIO")
    [stream] = piped(bench, "records", channel)
    assert records(stream) == contents


def test_a_record_of_many_pieces(tmp_path: Path) -> None:
    data = random.Random(2).randbytes(3_000_001)
    (tmp_path / "big").write_bytes(data)
    pieces = list(pipes.content(Channel("t", "s3://b/x", record_wrapper="RecordIO"), str(tmp_path / "big")))
    assert len(pieces) > 3 and records(b"".join(pieces)) == [data]


def test_records_of_what_was_compressed(bench: Bench) -> None:
    put(bench, "data/a", gzip.compress(b"12345"))
    channel = Channel("train", "s3://bucket/data", input_mode="Pipe", compression="Gzip", record_wrapper="RecordIO")
    assert records(piped(bench, "both", channel)[0]) == [b"12345"]


def test_what_is_too_long_for_a_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "long").touch()
    os.truncate(tmp_path / "long", pipes.MAX_RECORD + 1)
    with pytest.raises(pipes.Invalid, match="512 MiB"):
        pipes.check(Channel("train", "s3://b/x", record_wrapper="RecordIO"), tmp_path)
    os.truncate(tmp_path / "long", pipes.MAX_RECORD)
    pipes.check(Channel("train", "s3://b/x", record_wrapper="RecordIO"), tmp_path)


def test_shuffling_draws_an_order_for_each_epoch(bench: Bench) -> None:
    for letter in b"abcdefgh":
        put(bench, f"data/{letter}", bytes([letter]))
    channel = Channel("train", "s3://bucket/data", input_mode="Pipe", seed=7)
    first = piped(bench, "shuffled", channel, 3)
    assert {bytes(sorted(epoch)) for epoch in first} == {b"abcdefgh"} and len(set(first)) == 3
    assert piped(bench, "again", channel, 3) == first, "the seed decides"


@pytest.mark.parametrize("mode", ["File", "FastFile", "Pipe"])
def test_a_manifest_in_every_mode(bench: Bench, mode: str) -> None:
    for key in ("a/1.csv", "a/sub/2.csv", "a/3.csv"):
        put(bench, key, key.encode())
    put(bench, "list.json", json.dumps([{"prefix": "s3://bucket/a/"}, "sub/2.csv", "1.csv"]).encode())
    channel = Channel("train", "s3://bucket/list.json", data_type="ManifestFile", input_mode=mode)
    if mode == "Pipe":
        assert piped(bench, "manifest", channel) == [b"a/1.csva/sub/2.csv"]
    else:
        assert listed(bench, "manifest", channel) == {"1.csv": b"a/1.csv", "sub/2.csv": b"a/sub/2.csv"}


def test_a_manifest_in_s3_lists_what_is_in_s3(bench: Bench, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of this machine")
    put(bench, "list.json", json.dumps([{"prefix": f"file://{tmp_path}/"}, "secret"]).encode())
    reason = refused(bench, "listed", Channel("train", "s3://bucket/list.json", data_type="ManifestFile"))
    assert "what a manifest in S3 lists lies in S3" in reason
    line: dict[str, object] = {"source-ref": secret.as_uri(), "label": 1}
    assert "where there is no such object" in refused(bench, "lines", augmented(bench, line))


# ---- augmented manifests ----


def augmented(bench: Bench, *lines: dict[str, object], **more: object) -> Channel:
    put(bench, "lines.json", "".join(json.dumps(line) + "\n" for line in lines).encode())
    names = ("source-ref", "label")
    given = {"data_type": "AugmentedManifestFile", "input_mode": "Pipe", "attributes": names, **more}
    return Channel("train", "s3://bucket/lines.json", **given)  # type: ignore[arg-type]


LINES: tuple[dict[str, object], ...] = (
    {"label": 3, "source-ref": "s3://bucket/images/b", "other": "left out"},
    {"source-ref": "s3://bucket/images/a", "label": {"x": [1, None]}},
    {"source-ref": "s3://bucket/images/b", "label": "plain"},
)


def test_attributes_follow_one_another_as_records(bench: Bench) -> None:
    put(bench, "images/a", b"first image")
    put(bench, "images/b", b"second image")
    [stream] = piped(bench, "lines", augmented(bench, *LINES, record_wrapper="RecordIO"))
    assert records(stream) == [b"second image", b"3", b"first image", b'{"x": [1, null]}', b"second image", b"plain"]


def test_lines_stay_together_when_they_are_shuffled(bench: Bench) -> None:
    put(bench, "images/a", b"a")
    put(bench, "images/b", b"b")
    streams = piped(bench, "mixed", augmented(bench, *LINES, record_wrapper="RecordIO", seed=3), 6)
    for stream in streams:
        found = records(stream)
        assert sorted(zip(found[::2], found[1::2], strict=True)) == [
            (b"a", b'{"x": [1, null]}'),
            (b"b", b"3"),
            (b"b", b"plain"),
        ]
    assert len(set(streams)) > 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"label": 1}, ["line 1", "source-ref"]),
        ({"source-ref": "s3://bucket/none", "label": 1}, ["line 1", "s3://bucket/none", "no such object"]),
        ({"source-ref": 5, "label": 1}, ["line 1", "is 5"]),
    ],
)
def test_lines_that_are_refused(bench: Bench, line: dict[str, object], words: list[str]) -> None:
    reason = refused(bench, "wrong", augmented(bench, line))
    assert all(word in reason for word in words), reason


def test_lines_that_are_no_json_are_refused(bench: Bench) -> None:
    channel = augmented(bench)
    put(bench, "lines.json", b"[1, 2]\n")
    assert "line 1" in refused(bench, "list", channel)
    put(bench, "lines.json", b"\xff\xfe")
    assert "not one text file" in refused(bench, "bytes", channel)
