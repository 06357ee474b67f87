"""Archives: a directory into a `.tar.gz`, and a source archive out of one without letting anything escape."""

from __future__ import annotations

import gzip
import os
import stat
import tarfile

from tunewright.core.errors import Invalid

LEVEL = 1
"""Gzip's fastest level: models are mostly numbers, which a higher level hardly shrinks."""
MAX_UNPACKED = 8 * 1024**3
MAX_MEMBERS = 100_000

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
        handle = os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        os.write(handle, _EMPTY)
        os.close(handle)
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


def unpack(archive: str, directory: str) -> None:
    """Unpack a gzipped (or plain) tar archive of source code below a directory.

    Raises:
        Invalid: it is no archive, or a member would land outside, or it holds devices or is far too large.
    """
    try:
        with tarfile.open(archive, "r:*") as tar:
            members = tar.getmembers()
            if len(members) > MAX_MEMBERS or sum(member.size for member in members) > MAX_UNPACKED:
                raise Invalid.one(archive, f"holds more than {MAX_MEMBERS} files or 8 GiB; pack the code alone.")
            tar.extractall(directory, members=members, filter="data")
    except tarfile.FilterError as error:
        raise Invalid.one(archive, f"holds a member that would leave the code directory: {error}.") from error
    except (tarfile.TarError, OSError, EOFError) as error:
        raise Invalid.one(archive, f"cannot be unpacked: {error}. It has to be a .tar.gz of the code.") from error
