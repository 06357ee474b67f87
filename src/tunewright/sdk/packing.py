"""Source directories: which files belong, and packing them the same way every time."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunewright.core.errors import Problem
from tunewright.executors.contract.code import SKIPPED

MARKS = ("pyvenv.cfg", "tunewright.db")
"""What a virtual environment and a home of Tunewright's have, whatever they are called."""
MAX_SOURCE_BYTES = 500_000_000
ARCHIVE = "sourcedir.tar.gz"


def files(directory: Path) -> Iterator[Path]:
    """The files of a source directory in a stable order, without version control, caches, environments and homes."""
    for path in sorted(directory.iterdir()):
        if path.name in SKIPPED:
            continue
        if path.is_dir() and not path.is_symlink():
            if not any((path / mark).exists() for mark in MARKS):
                yield from files(path)
        elif path.is_file():
            yield path


def size_problems(directory: Path) -> list[Problem]:
    """A source directory that is surely not meant, such as a home directory full of data."""
    total = 0
    for path in files(directory):
        total += path.stat().st_size
        if total > MAX_SOURCE_BYTES:
            limit = MAX_SOURCE_BYTES // 1_000_000
            return [
                Problem(
                    "source_dir",
                    f"{str(directory)!r} holds more than {limit} MB; it is copied for every training job. Name a"
                    " directory that holds the code only, and pass data as inputs.",
                )
            ]
    return []


def pack(directory: Path, only: Path | None = None) -> bytes:
    """A source directory (or one file of it) as sourcedir.tar.gz; the same files give the same bytes."""
    raw = io.BytesIO()
    with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for path in [only] if only is not None else files(directory):
            info = tarfile.TarInfo(path.relative_to(directory).as_posix())
            content = path.read_bytes()
            info.size, info.mode = len(content), 0o755 if path.stat().st_mode & 0o100 else 0o644
            tar.addfile(info, io.BytesIO(content))
    return raw.getvalue()


def kept_at(home: Path, content: bytes) -> Path:
    """Where a home keeps an archive: under a short name that follows from its content."""
    return home / "sources" / hashlib.sha256(content).hexdigest()[:24] / ARCHIVE


def write_once(target: Path, content: bytes) -> None:
    """Put a file whose name follows from its content in its place, complete or not at all."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
        try:
            file.write(content)
            file.flush()
            Path(file.name).replace(target)
        except BaseException:  # raised again: no half archive stays behind
            Path(file.name).unlink(missing_ok=True)
            raise


@contextmanager
def scratch(content: bytes) -> Iterator[Path]:
    """A temporary file with this content, gone afterwards."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / ARCHIVE
        path.write_bytes(content)
        yield path
