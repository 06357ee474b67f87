"""The object directory: names, containment, atomic writes, prefixes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.core.errors import Invalid
from tunewright.objects import local as module
from tunewright.objects.local import LocalObjects
from tunewright.objects.uri import FileName, S3Name, parse


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path / "objects")


def put(objects: LocalObjects, uri: str, text: str = "x") -> None:
    path = objects.path(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def names(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("s3://bucket/a/b", S3Name("bucket", "a/b", False)),
        ("s3://bucket/a/b/", S3Name("bucket", "a/b", True)),
        ("s3://bucket//a///b", S3Name("bucket", "a/b", False)),
        ("s3://bucket", S3Name("bucket", "", True)),
        ("s3://bucket/a b%20c", S3Name("bucket", "a b%20c", False)),
        ("file:///a/b", FileName("/a/b")),
        ("file:///a%20b/../c", FileName("/c")),
        ("file://localhost/a", FileName("/a")),
        ("file:///a b", FileName("/a b")),
    ],
)
def test_names(uri: str, name: S3Name | FileName) -> None:
    assert parse(uri) == name


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/a/b",
        "http://x/y",
        "s3:/bucket/a",
        "s3://",
        "s3:///key",
        "s3://../x",
        "s3://a..b/x",
        "s3://bucket/../x",
        "s3://bucket/a/./b",
        "s3://bucket/a/..",
        "s3://bucket/a\0b",
        "s3://bucket/" + "x" * 300,
        "file://relative/path",
        "file:relative",
        "file://",
        "file:///a%00b",
    ],
)
def test_names_that_are_refused(uri: str, objects: LocalObjects) -> None:
    for use in (objects.path, objects.exists):
        with pytest.raises(Invalid):
            use(uri)


@given(key=st.text(max_size=40), bucket=st.text(alphabet="ab.-_/%\0\\", max_size=8))
def test_no_name_leads_outside(key: str, bucket: str) -> None:
    objects = LocalObjects(Path("/nowhere/objects"))
    try:
        path = objects.path(f"s3://b{bucket}/{key}")
    except (Invalid, UnicodeEncodeError):
        return
    assert os.path.normpath(path) == str(path) and str(path).startswith("/nowhere/objects/b")


def test_a_percent_sign_in_a_file_name(tmp_path: Path, objects: LocalObjects) -> None:
    (tmp_path / "50%20off").write_text("x", encoding="utf-8")
    assert objects.path(f"file://{tmp_path}/50%20off") == tmp_path / "50%20off"
    assert objects.path((tmp_path / "a b").as_uri()) == tmp_path / "a b"


def test_links_that_escape_are_refused(tmp_path: Path, objects: LocalObjects) -> None:
    put(objects, "s3://bucket/data/inside")
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "file").write_text("secret", encoding="utf-8")
    os.symlink(secret, objects.root / "bucket" / "way")
    os.symlink(secret / "file", objects.root / "bucket" / "data" / "link")
    for uri in ("s3://bucket/way/file", "s3://bucket/way", "s3://bucket/data/link"):
        with pytest.raises(Invalid, match="outside"):
            objects.path(uri)
        with pytest.raises(Invalid, match="outside"):
            objects.put_file(secret / "file", uri)
    assert objects.fetch("s3://bucket/data", tmp_path / "got") == 1
    assert names(tmp_path / "got") == ["inside"]


def test_a_prefix_brings_what_lies_below_it(tmp_path: Path, objects: LocalObjects) -> None:
    for key in ("data/train/a.csv", "data/train/sub/b.csv", "data/train2/c.csv", "data/other.csv"):
        put(objects, f"s3://bucket/{key}", key)
    for uri in ("s3://bucket/data/train", "s3://bucket/data/train/"):
        target = tmp_path / uri[-3:].replace("/", "_")
        assert objects.fetch(uri, target) == 2
        assert names(target) == ["a.csv", "sub/b.csv"]
        assert objects.fetch(uri, target) == 2, "as often as one likes"
    assert (target / "sub" / "b.csv").read_text(encoding="utf-8") == "data/train/sub/b.csv"
    assert objects.fetch("s3://bucket", tmp_path / "all") == 4


def test_a_prefix_without_a_directory_means_the_start_of_names(tmp_path: Path, objects: LocalObjects) -> None:
    for key in ("data/part-0", "data/part-1", "data/part-x/deep", "data/other"):
        put(objects, f"s3://bucket/{key}")
    assert objects.exists("s3://bucket/data/part-")
    assert objects.fetch("s3://bucket/data/part-", tmp_path / "got") == 3
    assert names(tmp_path / "got") == ["part-0", "part-1", "part-x/deep"]
    assert not objects.exists("s3://bucket/data/part-/")
    assert not objects.exists("file://" + str(objects.root / "bucket" / "data" / "part-"))


def test_one_file(tmp_path: Path, objects: LocalObjects) -> None:
    put(objects, "s3://bucket/data/train.csv", "rows")
    assert objects.fetch("s3://bucket/data/train.csv", tmp_path / "got") == 1
    assert (tmp_path / "got" / "train.csv").read_text(encoding="utf-8") == "rows"
    assert objects.fetch((tmp_path / "got" / "train.csv").as_uri(), tmp_path / "again") == 1


def test_nothing_there(tmp_path: Path, objects: LocalObjects) -> None:
    for uri in ("s3://bucket/none", "s3://none", (tmp_path / "none").as_uri()):
        assert not objects.exists(uri)
        assert objects.fetch(uri, tmp_path / "got") == 0
    (objects.root / "empty" / "folder").mkdir(parents=True)
    assert not objects.exists("s3://empty/folder")
    assert not (tmp_path / "got").exists()


def test_small_inputs_are_copies(tmp_path: Path, objects: LocalObjects) -> None:
    put(objects, "s3://bucket/a", "original")
    os.chmod(objects.path("s3://bucket/a"), 0o444)
    objects.fetch("s3://bucket", tmp_path / "got")
    copy = tmp_path / "got" / "a"
    assert copy.stat().st_mtime_ns == objects.path("s3://bucket/a").stat().st_mtime_ns
    copy.write_text("changed", encoding="utf-8")
    assert objects.path("s3://bucket/a").read_text(encoding="utf-8") == "original"


def test_large_inputs_are_links(tmp_path: Path, objects: LocalObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COPY_BYTES", 3)
    put(objects, "s3://bucket/a/b", "four")
    for _ in range(2):
        assert objects.fetch("s3://bucket", tmp_path / "got") == 1
    assert os.path.samefile(tmp_path / "got" / "a" / "b", objects.path("s3://bucket/a/b"))
    (tmp_path / "got" / "a" / "b").unlink()
    assert objects.exists("s3://bucket/a/b")


def test_links_cross_file_systems_by_name(
    tmp_path: Path, objects: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("cross-device link")

    monkeypatch.setattr(module, "COPY_BYTES", 3)
    monkeypatch.setattr(os, "link", refuse)
    put(objects, "s3://bucket/a", "four")
    objects.fetch("s3://bucket", tmp_path / "got")
    assert (tmp_path / "got" / "a").is_symlink()


@pytest.mark.parametrize("move", [False, True])
def test_put_file(tmp_path: Path, objects: LocalObjects, move: bool) -> None:
    source = tmp_path / "model.tar.gz"
    for text in ("first", "second"):
        source.write_text(text, encoding="utf-8")
        objects.put_file(source, "s3://bucket/job/output/model.tar.gz", move=move)
        assert source.exists() is not move
        assert objects.path("s3://bucket/job/output/model.tar.gz").read_text(encoding="utf-8") == text
    assert names(objects.root) == ["bucket/job/output/model.tar.gz"]


def test_what_is_stored_is_as_new_as_its_storing(tmp_path: Path, objects: LocalObjects) -> None:
    source = tmp_path / "old"
    source.touch()
    os.utime(source, (1.0, 1.0))
    objects.put_file(source, "s3://bucket/new")
    assert objects.path("s3://bucket/new").stat().st_mtime > 1.0


def test_put_file_across_file_systems(tmp_path: Path, objects: LocalObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "model"
    source.write_text("x", encoding="utf-8")
    real = os.replace

    def replace(one: str, other: str) -> None:
        if str(one) == str(source):
            raise OSError("cross-device link")
        real(one, other)

    monkeypatch.setattr(os, "replace", replace)
    objects.put_file(source, "s3://bucket/model", move=True)
    assert objects.exists("s3://bucket/model") and not source.exists()


def test_a_failed_put_leaves_nothing(tmp_path: Path, objects: LocalObjects) -> None:
    put(objects, "s3://bucket/model", "old")
    with pytest.raises(OSError):
        objects.put_file(tmp_path / "missing", "s3://bucket/model")
    assert names(objects.root) == ["bucket/model"]
    assert objects.path("s3://bucket/model").read_text(encoding="utf-8") == "old"


def test_a_file_cannot_replace_a_folder(tmp_path: Path, objects: LocalObjects) -> None:
    put(objects, "s3://bucket/job/output/model.tar.gz")
    (tmp_path / "file").touch()
    with pytest.raises(Invalid, match="directory"):
        objects.put_file(tmp_path / "file", "s3://bucket/job/output")


def test_put_tree(tmp_path: Path, objects: LocalObjects) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "a").write_text("a", encoding="utf-8")
    (tree / "sub" / "b").write_text("b", encoding="utf-8")
    (tmp_path / "outside").write_text("secret", encoding="utf-8")
    os.symlink(tmp_path / "outside", tree / "link")
    os.symlink(tree / "a", tree / "inner")
    assert objects.put_tree(tree, "s3://bucket/model/") == 3
    assert names(objects.root) == ["bucket/model/a", "bucket/model/inner", "bucket/model/sub/b"]
    assert objects.put_tree(tree, (tmp_path / "copy").as_uri()) == 3
    assert (tmp_path / "copy" / "sub" / "b").read_text(encoding="utf-8") == "b"
    assert objects.fetch((tmp_path / "copy").as_uri(), tmp_path / "back") == 3
    assert names(tmp_path / "back") == ["a", "inner", "sub/b"]


def test_files_and_directories_are_removed(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path / "objects")
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_text("1")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").write_text("2")
    objects.put_file(source / "a", "s3://bucket/job/model.tar.gz")
    objects.put_tree(source, "s3://bucket/job/model")
    folder = objects.path("s3://bucket/job/model")
    (folder / "link").symlink_to(tmp_path / "outside")
    for uri in ("s3://bucket/job/model.tar.gz", "s3://bucket/job/model/", "s3://bucket/job/never"):
        for _ in range(2):
            objects.remove(uri)
            assert not objects.path(uri.rstrip("/")).exists()
    assert (tmp_path / "outside" / "kept").read_text() == "2"
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    objects.remove(f"file://{tmp_path / 'link'}")
    assert (tmp_path / "outside" / "kept").exists() and not (tmp_path / "link").exists()
    for uri in ("s3://bucket", "s3://bucket/"):
        with pytest.raises(Invalid):
            objects.remove(uri)
