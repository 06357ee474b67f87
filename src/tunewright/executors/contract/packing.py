"""Archives: a directory into a `.tar.gz`, and a source archive out of one without letting anything escape."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zlib
from collections.abc import Callable
from typing import IO, cast

from tunewright.core.errors import Invalid

LEVEL = 1
"""Gzip's fastest level: models are mostly numbers, which a higher level hardly shrinks."""
MAX_UNPACKED = 8 * 1024**3
MAX_MEMBERS = 100_000
MAX_STREAM = MAX_UNPACKED + MAX_MEMBERS * 2048
MAX_READ = 1 << 24
"""No header is so long, and files are read in smaller pieces."""
TOO_MUCH = f"holds more than {MAX_MEMBERS} files or 8 GiB; pack the code alone."

_EMPTY = gzip.compress(b"\0" * tarfile.RECORDSIZE, LEVEL, mtime=0)


def is_empty(directory: str) -> bool:
    """Whether a directory is missing or holds nothing."""
    try:
        with os.scandir(directory) as entries:
            return next(entries, None) is None
    except (FileNotFoundError, NotADirectoryError):
        return True


def pack(directory: str, archive: str) -> None:
    """Write what a directory holds into a gzipped tar archive, with paths relative to the directory.

    Links are stored as links. Sockets, pipes and files that vanish meanwhile are left out.
    """
    if is_empty(directory):
        with open(archive, "wb") as file:
            file.write(_EMPTY)
        return
    with tarfile.open(archive, "w:gz", compresslevel=LEVEL) as tar:
        _add(tar, directory, "")


def _add(tar: tarfile.TarFile, directory: str, prefix: str) -> None:
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        name = prefix + entry.name
        try:
            if stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode):
                continue
            member = tar.gettarinfo(entry.path, name)
            if member.isreg():
                with open(entry.path, "rb") as file:
                    tar.addfile(member, file)
                continue
        except FileNotFoundError:
            continue
        if member.isdir():
            tar.addfile(member)
            _add(tar, entry.path, name + "/")
        elif not member.isfifo():
            tar.addfile(member)


class _Bounded:
    """What an archive unpacks to, as a file that refuses to give more than a source can need.

    An archive of a few kilobytes may hold terabytes, or one header of gigabytes that would be read at once.
    """

    def __init__(self, file: IO[bytes], archive: str) -> None:
        self._file = file
        self._archive = archive

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_READ or self._file.tell() + size > MAX_STREAM:
            raise Invalid.one(self._archive, TOO_MUCH)
        return self._file.read(size)

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or place > MAX_STREAM:
            raise Invalid.one(self._archive, TOO_MUCH)
        return self._file.seek(place)

    def tell(self) -> int:
        return self._file.tell()


_READERS: dict[bytes, Callable[[str], object]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}


def _opened(archive: str) -> IO[bytes]:
    """An archive's content, whatever it is compressed with."""
    with open(archive, "rb") as file:
        head = file.read(6)
    reader = next((reader for magic, reader in _READERS.items() if head.startswith(magic)), None)
    return open(archive, "rb") if reader is None else cast(IO[bytes], reader(archive))


def unpack(archive: str, directory: str) -> None:
    """Unpack a gzipped (or plain) tar archive of source code below a directory.

    Owners, times and special bits of the members are not taken over.

    Raises:
        Invalid: it is no archive, or a member would land outside, or it holds devices or is far too large. Members
            before that one are unpacked then.
    """
    count = size = 0
    try:
        with _opened(archive) as file, tarfile.open(fileobj=_Bounded(file, archive), mode="r:") as tar:  # type: ignore[call-overload]  # a file as far as tarfile needs one
            # The filters of tarfile are missing before Python 3.11.4, and long ways through links lead out of those
            # of 2023 to 2025; so each member is looked at here.
            tar.extraction_filter = lambda member, _: member
            for member in tar:
                count, size = count + 1, size + member.size
                if count > MAX_MEMBERS or size > MAX_UNPACKED:
                    raise Invalid.one(archive, TOO_MUCH)
                _extract(tar, member, directory)
                tar.members.clear()  # else it remembers them all
    except _Stray as error:
        raise Invalid.one(archive, f"holds a member that would leave the code directory: {error}.") from error
    except (tarfile.TarError, OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise Invalid.one(archive, f"cannot be unpacked: {error}. It has to be a .tar.gz of the code.") from error


class _Stray(Exception):
    """A member that is not let out of its archive, and why."""


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, directory: str) -> None:
    """Unpack one member. Nothing is ever written through a link, so no chain of links leads out. Raises _Stray."""
    name = _inner(member.name.lstrip("/"), member)
    if name == ".":
        return
    target = os.path.join(directory, name)
    _check_way(directory, name, member)
    if member.issym():
        # In its shortest form: a way that goes back behind another link would end elsewhere than it reads.
        member.linkname = os.path.normpath(member.linkname)
        goal = os.path.join(os.path.dirname(name), member.linkname)
        real = os.path.realpath(os.path.join(directory, _inner(goal, member)))
        if os.path.isabs(member.linkname) or not f"{real}/".startswith(f"{os.path.realpath(directory)}/"):
            raise _Stray(f"{member.name!r} links to {member.linkname[:80]!r}")
    elif member.islnk():
        member.linkname = _inner(member.linkname, member)
        _check_way(directory, member.linkname, member)
        if not stat.S_ISREG(_mode(os.path.join(directory, member.linkname))):
            raise _Stray(f"{member.name!r} is another name of {member.linkname[:80]!r}, which is no file before it")
    elif not member.isreg() and not member.isdir():
        raise _Stray(f"{member.name!r} is a special file")
    if member.isdir():
        os.makedirs(target, exist_ok=True)
        return
    if _mode(target) and not stat.S_ISDIR(_mode(target)):
        os.unlink(target)
    member.name = name
    tar.extract(member, directory, set_attrs=False)
    if member.isreg():
        os.chmod(target, member.mode & 0o755 | 0o600)


def _inner(path: str, member: tarfile.TarInfo) -> str:
    """A path within the archive in its shortest form. Raises _Stray when it is none."""
    short = os.path.normpath(path)
    if short.startswith("/") or short == ".." or short.startswith("../"):
        raise _Stray(f"{member.name!r} leads to {path[:80]!r}")
    return short


def _check_way(directory: str, name: str, member: tarfile.TarInfo) -> None:
    """Raises _Stray when one of the directories that a name leads through is a link."""
    way = directory
    for part in name.split("/")[:-1]:
        way = os.path.join(way, part)
        if stat.S_ISLNK(_mode(way)):
            raise _Stray(f"{member.name!r} leads through the link {part[:80]!r}")


def _mode(path: str) -> int:
    """What a path itself is, links not followed; 0 for nothing."""
    try:
        return os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
