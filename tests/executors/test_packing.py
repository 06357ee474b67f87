"""Archives there and back, and what must not come out of one."""

from __future__ import annotations

import gzip
import io
import os
import socket
import tarfile
from pathlib import Path

import pytest

from tunewright.core.errors import Invalid
from tunewright.executors.contract import packing


def test_there_and_back(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub" / "empty").mkdir(parents=True)
    (tree / "sub" / "weights").write_bytes(os.urandom(200_000))
    (tree / "run.sh").write_text("#!/bin/sh\n", encoding="utf-8")
    (tree / "run.sh").chmod(0o755)
    os.symlink("run.sh", tree / "link")
    os.mkfifo(tree / "pipe")
    packing.pack(str(tree), str(tmp_path / "a.tar.gz"))
    packing.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path / "back"))
    found = sorted(str(path.relative_to(tmp_path / "back")) for path in (tmp_path / "back").rglob("*"))
    assert found == ["link", "run.sh", "sub", "sub/empty", "sub/weights"]
    assert (tmp_path / "back/sub/weights").read_bytes() == (tree / "sub/weights").read_bytes()
    assert os.access(tmp_path / "back/run.sh", os.X_OK) and os.readlink(tmp_path / "back/link") == "run.sh"


def test_sockets_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tmp_path / "t"
    tree.mkdir()
    monkeypatch.chdir(tree)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        packing.pack(str(tree), str(tmp_path / "a.tar.gz"))
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        assert tar.getnames() == []


@pytest.mark.parametrize("make", [True, False])
def test_empty_or_missing(tmp_path: Path, make: bool) -> None:
    if make:
        (tmp_path / "none").mkdir()
    assert packing.is_empty(str(tmp_path / "none"))
    packing.pack(str(tmp_path / "none"), str(tmp_path / "a.tar.gz"))
    with tarfile.open(tmp_path / "a.tar.gz", "r:gz") as tar:
        assert tar.getnames() == []


def _member(name: str, **values: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    for key, value in values.items():
        setattr(member, key, value)
    return member


@pytest.mark.parametrize(
    "member",
    [
        _member("../up"),
        _member("/absolute/../../up"),
        _member("a/../../up"),
        _member("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        _member("link", type=tarfile.SYMTYPE, linkname="../../up"),
        _member("hard", type=tarfile.LNKTYPE, linkname="../up"),
        _member("device", type=tarfile.CHRTYPE),
    ],
)
def test_escapes_are_refused(tmp_path: Path, member: tarfile.TarInfo) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.addfile(member)
    target = tmp_path / "deep" / "code"
    target.mkdir(parents=True)
    with pytest.raises(Invalid):
        packing.unpack(str(tmp_path / "a.tar.gz"), str(target))
    assert not list(target.iterdir()) and not (tmp_path / "deep" / "up").exists()


def _links_out(target: str) -> list[tarfile.TarInfo]:
    """A link to a link whose way is longer than the system can follow, so that its real place is not seen."""
    members, place, names = [], "", "abcdefghijklmnop"
    for name in names:
        members += [
            _member(place + "d" * 247, type=tarfile.DIRTYPE),
            _member(place + name, type=tarfile.SYMTYPE, linkname="d" * 247),
        ]
        place += "d" * 247 + "/"
    way = "/".join(names) + "/" + "l" * 254
    members.append(_member(way, type=tarfile.SYMTYPE, linkname="../" * len(names)))
    members.append(_member("escape", type=tarfile.SYMTYPE, linkname=f"{way}/{'../' * 12}{target.lstrip('/')}"))
    return [*members, _member("escape/up")]


def test_long_ways_through_links_do_not_lead_out(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for member in _links_out(str(tmp_path)):
            tar.addfile(member)
    with pytest.raises(Invalid, match="leave the code directory"):
        packing.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path / "code"))
    assert not (tmp_path / "up").exists()


@pytest.mark.parametrize("order", [1, -1])
def test_no_link_leads_out_by_going_back_behind_another(tmp_path: Path, order: int) -> None:
    back = _member("a/b/c", type=tarfile.SYMTYPE, linkname="../..")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for member in [back, _member("out", type=tarfile.SYMTYPE, linkname="a/b/c/../..")][::order]:
            tar.addfile(member)
    packing.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path / "code"))
    code = tmp_path / "code"
    assert (code / "a/b/c").resolve() == code.resolve() and (code / "out").resolve() == (code / "a").resolve()


@pytest.mark.parametrize(
    "members",
    [
        [_member("link", type=tarfile.SYMTYPE, linkname="."), _member("link/file")],
        [_member("hard", type=tarfile.LNKTYPE, linkname="nothing")],
        [_member("link", type=tarfile.SYMTYPE, linkname="x"), _member("hard", type=tarfile.LNKTYPE, linkname="link")],
    ],
)
def test_nothing_is_written_through_links(tmp_path: Path, members: list[tarfile.TarInfo]) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for member in members:
            tar.addfile(member)
    with pytest.raises(Invalid, match="leave the code directory"):
        packing.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path / "code"))


def test_a_later_member_takes_the_place_of_a_link(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.addfile(_member("kept", size=1), io.BytesIO(b"k"))
        tar.addfile(_member("same", type=tarfile.LNKTYPE, linkname="./kept"))
        tar.addfile(_member("link", type=tarfile.SYMTYPE, linkname="kept"))
        tar.addfile(_member("link", size=1), io.BytesIO(b"x"))
    packing.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path / "code"))
    assert {path.name: path.read_bytes() for path in (tmp_path / "code").iterdir()} == {
        "kept": b"k",
        "same": b"k",
        "link": b"x",
    }


def test_the_first_versions_of_python_3_11_unpack_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their tarfile has no filters."""
    now = tarfile.TarFile.extract

    def then(self: tarfile.TarFile, member: tarfile.TarInfo, path: str = "", set_attrs: bool = True) -> None:
        now(self, member, path, set_attrs, filter="fully_trusted")

    monkeypatch.setattr(tarfile.TarFile, "extract", then)
    monkeypatch.delattr(tarfile, "FilterError", raising=False)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.addfile(_member("./", type=tarfile.DIRTYPE))
        tar.addfile(_member("./sub/file", size=1), io.BytesIO(b"x"))
    packing.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path / "code"))
    assert (tmp_path / "code/sub/file").read_bytes() == b"x"


def test_owners_and_special_bits_are_not_taken_over(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.addfile(_member("file", mode=0o6777, uid=12345, size=1), io.BytesIO(b"x"))
    packing.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path / "code"))
    assert (tmp_path / "code" / "file").stat().st_mode & 0o7000 == 0
    assert (tmp_path / "code" / "file").stat().st_uid == os.getuid()


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b broken"])
def test_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(Invalid, match="unpacked"):
        packing.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path / "code"))


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MAX_MEMBERS", 1)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.addfile(_member("a"))
        tar.addfile(_member("b"))
    with pytest.raises(Invalid, match="more than"):
        packing.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path / "code"))


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", ""])
def test_what_sources_are_packed_with(tmp_path: Path, kind: str) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", f"w:{kind}") as tar:
        tar.addfile(_member("train.py", size=7), io.BytesIO(b"print()"))
        tar.addfile(_member("again.py", type=tarfile.LNKTYPE, linkname="train.py"))
    packing.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path / "code"))
    assert [(tmp_path / "code" / name).read_text() for name in ("train.py", "again.py")] == ["print()"] * 2


def test_a_file_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noticed at its header: nothing of it is read or written."""
    monkeypatch.setattr(packing, "MAX_UNPACKED", 1000)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.addfile(_member("big", size=1001), io.BytesIO(bytes(1001)))
    with pytest.raises(Invalid, match="8 GiB"):
        packing.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path / "code"))
    assert not (tmp_path / "code" / "big").exists()


def test_endless_members_are_counted_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a million headers in a few kilobytes: reading stops at the first that is too many."""
    header = _member("a").tobuf()
    with gzip.open(tmp_path / "a.tar.gz", "wb", compresslevel=9) as file:
        for _ in range(500):
            file.write(header * 1000)
    monkeypatch.setattr(packing, "MAX_MEMBERS", 50)
    seen = []
    extract = tarfile.TarFile.extract
    monkeypatch.setattr(tarfile.TarFile, "extract", lambda *given, **more: seen.append(extract(*given, **more)))
    with pytest.raises(Invalid, match="more than"):
        packing.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path / "code"))
    assert len(seen) == 50


def test_a_header_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    """A record of extended attributes is read at once by its length; this one says 3 GB."""
    header = _member("x", type=tarfile.XHDTYPE, size=3_000_000_000).tobuf()
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(header + bytes(100_000))
    with pytest.raises(Invalid, match="8 GiB"):
        packing.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path / "code"))
