"""Where a tuning file's local names go: to `file://` names (extended), or into the object directory (strict)."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from tunewright.core.ports import Objects
from tunewright.sdk import packing
from tunewright.sdk.session import BUCKET


class Shelf(Protocol):
    """Makes local names into addresses that a training job can be given."""

    def source(self, job: str, directory: Path, only: Path | None) -> str:
        """A source directory, a sourcedir.tar.gz, or only one script of a directory."""
        ...

    def data(self, job: str, channel: str, path: Path) -> str:
        """A file or a directory of input data."""
        ...

    def output(self, kind: str) -> str:
        """Where models (`output`) or checkpoints go when the file does not say."""
        ...

    def directory(self, path: Path) -> str:
        """A directory of the user's choice to write to."""
        ...


class HomeShelf:
    """Names local files by `file://`; a single script is kept in the home directory under its content.

    Args:
        dry: write nothing, for looking at a request without making it.
    """

    def __init__(self, home: Path, *, dry: bool = False) -> None:
        self._home, self._dry = home, dry

    def source(self, job: str, directory: Path, only: Path | None) -> str:
        if only is None:
            return directory.as_uri()
        content = packing.pack(directory, only)
        target = packing.kept_at(self._home, content)
        if not self._dry:
            packing.write_once(target, content)
        return target.as_uri()

    def data(self, job: str, channel: str, path: Path) -> str:
        return path.as_uri()

    def output(self, kind: str) -> str:
        return (self._home / kind).as_uri()

    def directory(self, path: Path) -> str:
        return path.as_uri()


class BucketShelf:
    """Copies local files below `s3://tunewright/<job>/` in the object directory.

    Args:
        objects: the object directory; None copies nothing, for looking at a request without making it.
    """

    def __init__(self, objects: Objects | None) -> None:
        self._objects = objects

    def source(self, job: str, directory: Path, only: Path | None) -> str:
        uri = f"s3://{BUCKET}/{job}/source/{packing.ARCHIVE}"
        if self._objects is None:
            return uri
        if directory.is_file():
            self._objects.put_file(directory, uri)
            return uri
        with packing.scratch(packing.pack(directory, only)) as path:
            self._objects.put_file(path, uri)
        return uri

    def data(self, job: str, channel: str, path: Path) -> str:
        prefix = f"s3://{BUCKET}/{job}/input/{channel}"
        if self._objects is not None and path.is_dir():
            self._objects.put_tree(path, prefix)
        elif self._objects is not None:
            self._objects.put_file(path, f"{prefix}/{path.name}")
        return f"{prefix}/"

    def output(self, kind: str) -> str:
        return f"s3://{BUCKET}/{kind}"

    def directory(self, path: Path) -> str:
        """Strict mode has no local names to write to; the object directory takes the files by the same path."""
        return f"s3://{BUCKET}/{path.as_posix().strip('/')}"
