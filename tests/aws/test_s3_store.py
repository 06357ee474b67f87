"""Objects that are written, read and removed at the same time."""

from __future__ import annotations

import hashlib
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.aws.s3.conditions import check_write
from tunewright.aws.s3.faults import S3Fault
from tunewright.aws.s3.keeping import Facts
from tunewright.aws.s3.listing import list_keys
from tunewright.aws.s3.store import Found, S3Store
from tunewright.aws.s3.uploads import Uploads
from tunewright.objects.local import LocalObjects

ROUNDS = 400


@pytest.fixture
def store(tmp_path: Path) -> S3Store:
    store = S3Store(LocalObjects(tmp_path))
    store.make_bucket("data")
    return store


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> S3Store:
    store = S3Store(LocalObjects(tmp_path_factory.mktemp("shared")))
    store.make_bucket("data")
    for key in KEYS:
        put(store, key, b"1")
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


def test_names_that_are_no_text_are_no_keys(store: S3Store) -> None:
    put(store, "a/b", b"1")
    for name in (b"data/\xff", b"data/a/\xff"):
        folder = os.path.join(os.fsencode(store.root), name)
        os.mkdir(folder)
        for inner in (b"x", b"\xfe"):
            with open(os.path.join(folder, inner), "wb"):
                pass
    for delimiter, found in (("", ["a/b"]), ("/", ["a/"])):
        assert [entry.key for entry in list_keys(store, "data", "", delimiter, "", 9).entries] == found


def test_of_those_who_write_on_one_condition_one_does(store: S3Store) -> None:
    def absent(there: Found | None) -> None:
        check_write({"if-none-match": "*"}, "lock", there)

    def write(seed: int) -> bool:
        try:
            store.put("data", "lock", gathered(store, bytes([seed])), Facts(tag(bytes([seed]))), absent)
        except S3Fault as fault:
            assert fault.code == "PreconditionFailed"
            return False
        return True

    with ThreadPoolExecutor(4) as crowd:
        for _ in range(30):
            assert sum(crowd.map(write, range(4))) == 1
            store.delete("data", "lock")


def test_servers_that_share_objects_put_and_delete_in_one_folder(store: S3Store, tmp_path: Path) -> None:
    """The last to go takes the folder along, and nobody who comes is turned away for that."""
    other = S3Store(LocalObjects(tmp_path))

    def come_and_go(seed: int) -> None:
        mine, key = (store, other)[seed % 2], f"race/a/b/{seed}"
        for _ in range(ROUNDS):
            put(mine, key, b"1")
            mine.delete("data", key)

    with ThreadPoolExecutor(4) as crowd:
        list(crowd.map(come_and_go, range(4)))
    assert list_keys(store, "data", "", "", "", 9).entries == ()


def test_a_training_job_stores_beside_what_is_deleted(store: S3Store, tmp_path: Path) -> None:
    source = tmp_path / "model"
    source.write_bytes(b"model")

    def delete() -> None:
        for _ in range(ROUNDS):
            put(store, "out/a/x", b"1")
            store.delete("data", "out/a/x")

    def keep() -> None:
        for number in range(ROUNDS):
            LocalObjects(tmp_path).put_file(source, f"s3://data/out/a/{number % 3}")
            store.delete("data", f"out/a/{number % 3}")

    with ThreadPoolExecutor(2) as crowd:
        for done in [crowd.submit(delete), crowd.submit(keep)]:
            done.result()


KEYS = ["a/b", "a/c/d", "a-b", "ab", "b/1", "b/2", "c"]


PREFIXES = st.sampled_from(["", "a", "a/", "b/"])


@given(st.sampled_from(["", "a", "a/", "a/b", "a/c/", "a0", "b/", "b/1", "c", "d"]), PREFIXES)
def test_a_listing_begins_after_any_key(shared: S3Store, after: str, prefix: str) -> None:
    found = [entry.key for entry in list_keys(shared, "data", prefix, "", after, 100).entries]
    assert found == sorted(key for key in KEYS if key > after and key.startswith(prefix))


@given(st.integers(1, 8), PREFIXES, st.sampled_from(["", "/", "b"]))
def test_pages_of_a_listing_are_the_listing(shared: S3Store, limit: int, prefix: str, delimiter: str) -> None:
    whole = list_keys(shared, "data", prefix, delimiter, "", 100).entries
    pages, after = [], ""
    while True:
        page = list_keys(shared, "data", prefix, delimiter, after, limit)
        pages += page.entries
        if page.after is None:
            break
        after = page.after
    assert tuple(pages) == whole
