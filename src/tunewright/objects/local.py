"""`core.ports.Objects` on the local disk: buckets are directories below one root, keys are files in them."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tunewright.core.errors import Invalid
from tunewright.objects.uri import FileName, S3Name, parse

COPY_BYTES = 64 * 1024 * 1024
"""What is fetched is copied up to so many bytes in all; more than that is linked and must not be written to."""

_TEMPORARY = ".tunewright-put-"
_TRIES = 20
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class _Found:
    """A file to fetch: where it lies and its path below the target."""

    source: str
    relative: str
    size: int


class LocalObjects:
    """Files by URI on this machine's disk.

    Args:
        root: the object directory; `s3://bucket/key` is `<root>/bucket/key`. Made when first written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root).absolute()
        self._root = str(self.root)

    def path(self, uri: str) -> Path:
        """Where a URI lies on this disk, whether or not something is there.

        Raises:
            Invalid: another scheme, or a name that leads outside the object directory.
        """
        return Path(self._locate(uri))

    def exists(self, uri: str) -> bool:
        """Whether a file or a non-empty prefix is there. Raises Invalid as `path` does."""
        return next(self._find(uri), None) is not None

    def has_bucket(self, uri: str) -> bool:
        """Whether the bucket of a URI is there; a `file://` URI needs none. Raises Invalid as `path` does."""
        name = parse(uri)
        return not isinstance(name, S3Name) or os.path.isdir(self._bucket(name))

    def fetch(self, uri: str, target: Path) -> int:
        """Bring every file under a prefix (or the one file) below `target`; how many there were.

        Up to `COPY_BYTES` in all the files are copied, so that a program may do with them what it likes.
        Beyond that they are hard links (symbolic ones across file systems): free of charge, and shared with
        the original, so a program must not write into them in place; replacing or deleting them is harmless.
        """
        found = list(self._find(uri))
        bring = _copy if sum(file.size for file in found) <= COPY_BYTES else _link
        goal = str(target)
        made = {goal}
        if found:
            os.makedirs(goal, exist_ok=True)
        for file in found:
            destination = os.path.join(goal, file.relative)
            folder = os.path.dirname(destination)
            if folder not in made:
                os.makedirs(folder, exist_ok=True)
                made.add(folder)
            bring(file.source, destination)
        return len(found)

    def put_file(self, source: Path, uri: str, *, move: bool = False) -> None:
        """Store one file atomically: readers see the old one or the new one, whole.

        Args:
            move: the caller has no more use for `source`; it may be renamed into place.
        """
        self._put(str(source), self._locate(uri), move=move)

    def put_tree(self, source: Path, uri: str, *, move: bool = False) -> int:
        """Store every file of a directory under a prefix, each atomically; how many. Links are not followed out."""
        base = str(source)
        home = os.path.realpath(base)
        count = 0
        for file in _walk(base, ""):
            if os.path.islink(file.source) and not _inside(os.path.realpath(file.source), home):
                continue
            self._put(file.source, self._locate(f"{uri.rstrip('/')}/{file.relative}"), move=move)
            count += 1
        return count

    def remove(self, uri: str) -> None:
        """Remove the file of this name, or the directory with all that is in it; links are not followed.

        Nothing happens when there is none.

        Raises:
            Invalid: as `path` does, and for a whole bucket.
            OSError: it cannot be removed.
        """
        name = parse(uri)
        if isinstance(name, S3Name) and not name.key:
            raise Invalid.one(uri, "names a whole bucket; remove what is in it by its keys.")
        path = self._locate(uri).rstrip("/")
        with contextlib.suppress(FileNotFoundError):
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)

    # ---- where things are ----

    def _locate(self, uri: str) -> str:
        name = parse(uri)
        if isinstance(name, FileName):
            return name.path
        path = os.path.join(self._root, name.bucket, *name.key.split("/")) if name.key else self._bucket(name)
        if not _inside(os.path.realpath(path), os.path.realpath(self._root)):
            raise Invalid.one(uri, "leads outside the object directory through a symbolic link; remove the link.")
        return path

    def _bucket(self, name: S3Name) -> str:
        return os.path.join(self._root, name.bucket)

    def _find(self, uri: str) -> Iterator[_Found]:
        """The files that a URI means, in order of name.

        A file or a directory of exactly this name comes first. Only without one is an S3 name taken as a mere
        prefix of keys (`s3://b/data/part-` for `part-0`, `part-1`), whose files keep their names.
        """
        path = self._locate(uri)
        name = parse(uri)
        folder = isinstance(name, S3Name) and name.folder
        if os.path.isdir(path):
            yield from self._contained(_walk(path, ""), name)
        elif os.path.isfile(path) and not folder:
            yield _Found(path, os.path.basename(path), os.path.getsize(path))
        elif isinstance(name, S3Name) and not folder:
            parent, start = os.path.split(path)
            yield from self._contained(_walk(parent, "", start), name)

    def _contained(self, files: Iterator[_Found], name: S3Name | FileName) -> Iterator[_Found]:
        if isinstance(name, FileName):
            yield from files
            return
        root = os.path.realpath(self._root)
        for file in files:
            if not os.path.islink(file.source) or _inside(os.path.realpath(file.source), root):
                yield file

    def _put(self, source: str, destination: str, *, move: bool) -> None:
        for left in reversed(range(_TRIES)):
            try:
                self._put_once(source, destination, move=move)
                return
            except (FileNotFoundError, FileExistsError):
                # Who deleted the last file beside it removed the folder too, after it was made.
                if not left or not os.path.exists(source):
                    raise

    def _put_once(self, source: str, destination: str, *, move: bool) -> None:
        folder = os.path.dirname(destination)
        os.makedirs(folder, exist_ok=True)
        if os.path.isdir(destination):
            raise Invalid.one(destination, "is a directory on disk; a file cannot take its name. Choose another name.")
        if move:
            with contextlib.suppress(OSError):  # another file system
                os.replace(source, destination)
                return
        temporary = os.path.join(folder, f"{_TEMPORARY}{os.getpid()}-{next(_numbers)}")
        try:
            _copy(source, temporary, times=False)
            os.replace(temporary, destination)
        except BaseException:  # raised again: no half copy stays behind
            _remove(temporary)
            raise
        if move:
            _remove(source)


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _walk(folder: str, relative: str, start: str = "") -> Iterator[_Found]:
    """Every file below a directory in order of name; directories that are links are not entered."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if not entry.name.startswith(start) or entry.name.startswith(_TEMPORARY):
            continue
        below = f"{relative}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, below + "/")
        elif entry.is_file():
            yield _Found(entry.path, below, entry.stat().st_size)


def _copy(source: str, destination: str, *, times: bool = True) -> None:
    """A file's bytes and permissions in a new file."""
    shutil.copyfile(source, destination)
    info = os.stat(source)
    os.chmod(destination, info.st_mode & 0o777 | 0o600)
    if times:
        os.utime(destination, ns=(info.st_atime_ns, info.st_mtime_ns))


def _link(source: str, destination: str) -> None:
    real = os.path.realpath(source)
    _remove(destination)
    try:
        os.link(real, destination)
    except OSError:
        os.symlink(real, destination)


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
