"""Objects that are written, read and removed at the same time."""

from __future__ import annotations

import hashlib
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tunewright.aws.s3.faults import S3Fault
from tunewright.aws.s3.store import Facts, S3Store
from tunewright.aws.s3.uploads import Uploads
from tunewright.objects.local import LocalObjects

ROUNDS = 400


@pytest.fixture
def store(tmp_path: Path) -> S3Store:
    store = S3Store(LocalObjects(tmp_path))
    store.make_bucket("data")
    return store


def tag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def gathered(store: S3Store, content: bytes) -> str:
    target = Path(store.incoming())
    target.write_bytes(content)
    return str(target)


def put(store: S3Store, key: str, content: bytes) -> None:
    store.put("data", key, gathered(store, content), Facts(tag(content)))


def test_an_opened_object_stays_what_it_was(store: S3Store, tmp_path: Path) -> None:
    put(store, "a/b", b"first")
    found, file = store.open("data", "a/b")
    with file:
        put(store, "a/b", b"the second")
        assert (found.size, found.facts.etag, file.read()) == (5, tag(b"first"), b"first")
    found, file = store.open("data", "a/b")
    with file:
        store.delete("data", "a/b")
        assert store.copy(file, str(tmp_path / "copy"), (0, found.size)) in tag(b"the second")
    assert (tmp_path / "copy").read_bytes() == b"the second"
    with pytest.raises(S3Fault, match="does not exist"):
        store.open("data", "a/b")


def test_a_pipe_is_no_object(store: S3Store, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "data" / "pipe")
    with pytest.raises(S3Fault, match="does not exist"):
        store.open("data", "pipe")


def test_whoever_reads_gets_one_version_with_its_tag(store: S3Store) -> None:
    """Writers and removers beside readers: content, size and ETag always belong together, and nothing fails."""

    def write(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(ROUNDS):
            if rng.random() < 0.2:
                store.delete("data", "x/y")
            else:
                put(store, "x/y", rng.randbytes(rng.randrange(300)))

    def read(_: int) -> int:
        seen = 0
        for _ in range(ROUNDS):
            try:
                found, file = store.open("data", "x/y")
            except S3Fault as fault:
                assert fault.code == "NoSuchKey"
                continue
            with file:
                content = file.read()
            assert (len(content), tag(content)) == (found.size, found.facts.etag)
            seen += 1
        return seen

    put(store, "x/y", b"begun")
    with ThreadPoolExecutor(6) as crowd:
        writers = [crowd.submit(write, seed) for seed in range(3)]
        readers = [crowd.submit(read, seed) for seed in range(3)]
        assert sum(reader.result() for reader in readers) > 0
        for writer in writers:
            writer.result()


def test_an_upload_that_another_request_ends_is_none(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = Uploads(store)
    upload = uploads.find(uploads.begin("data", "k", 1.0, Facts("")), "data", "k")
    uploads.add(upload, 1, gathered(store, b"part"), tag(b"part").strip('"'))
    listed = uploads.parts(upload)
    uploads.abort(upload)
    monkeypatch.setattr(uploads, "parts", lambda _: listed)
    with pytest.raises(S3Fault) as raised:
        uploads.complete(upload, [(1, tag(b"part"))])
    assert raised.value.code == "NoSuchUpload"
