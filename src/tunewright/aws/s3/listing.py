"""Listings of a bucket: keys in S3's order (by UTF-8 bytes), grouped by a delimiter, page by page."""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tunewright.aws.s3.faults import S3Fault
from tunewright.aws.s3.store import S3Store

# What is written beside a goal before it is renamed, by this process or another; a crash leaves it behind.
_PASSING = ".tunewright-put-"


@dataclass(frozen=True, slots=True)
class Entry:
    """A key, or a group of keys that begin alike (`group`)."""

    key: str
    group: bool = False
    size: int = 0
    modified: float = 0.0
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing, in order of key, and where the next one begins: behind `after`; None: nothing follows."""

    entries: tuple[Entry, ...]
    after: str | None


def list_keys(store: S3Store, bucket: str, prefix: str, delimiter: str, after: str, limit: int) -> Page:
    """One page of a listing.

    Args:
        after: the key or group with which the last page ended, "" for the first page.
        limit: at most so many entries, groups counted too.
    """
    home = store.bucket(bucket)
    found: list[Entry] = []
    if limit <= 0:
        return Page((), None)
    group = ""
    look = _Look(prefix, after, delimiter == "/", functools.partial(store.is_marked, bucket))
    for key, info in _walk(home, "", look):
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        head = key[: cut + len(delimiter)] if cut >= 0 else ""
        if head and head in (group, after):
            continue
        if len(found) == limit:
            return Page(tuple(found), found[-1].key)
        if head:
            group = head
            found.append(Entry(head, group=True))
        elif info is not None:
            facts = store.facts(bucket, key, info)
            size = 0 if key.endswith("/") else info.st_size
            found.append(Entry(key, False, size, info.st_mtime, facts.etag))
    return Page(tuple(found), None)


@dataclass(frozen=True, slots=True)
class _Look:
    """What is looked for.

    Args:
        shallow: below the prefix give a folder that holds anything as one key ending with a slash.
        marked: whether a folder, by its key, is an object itself.
    """

    prefix: str
    after: str
    shallow: bool
    marked: Callable[[str], bool]

    def wants(self, key: str) -> bool:
        return key.startswith(self.prefix) and key.encode() > self.after.encode()


def _walk(folder: str, base: str, look: _Look) -> Iterator[tuple[str, os.stat_result | None]]:
    """Keys below a folder that begin with the prefix and come after `after`, in order.

    Args:
        base: the folder's own key, ending with a slash, or "".
    """
    for name, entry in _sorted(folder):
        key = base + name
        if name.endswith("/"):
            if not (key.startswith(look.prefix) or look.prefix.startswith(key)) or _past(key, look.after):
                continue
            if look.shallow and len(key) > len(look.prefix):
                if _holds_any(entry.path, key, look.marked):
                    yield key, None
                continue
            if look.wants(key) and look.marked(key):
                yield from _seen(key, entry)
            yield from _walk(entry.path, key, look)
        elif look.wants(key):
            yield from _seen(key, entry)


def _seen(key: str, entry: os.DirEntry[str]) -> Iterator[tuple[str, os.stat_result]]:
    """A key with its looks, unless it is gone."""
    with contextlib.suppress(FileNotFoundError):
        yield key, entry.stat()


def _past(folder: str, after: str) -> bool:
    """Whether every key below a folder comes before `after`."""
    return not after.startswith(folder) and folder.encode() < after.encode()


def _sorted(folder: str) -> list[tuple[str, os.DirEntry[str]]]:
    """Names in a folder, folders with a slash behind; links that lead elsewhere, and what is no text, are left out."""
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if not entry.name.startswith(_PASSING)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    named = []
    for entry in found:
        if not _text(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            named.append((f"{entry.name}/", entry))
        elif entry.is_file(follow_symlinks=False):
            named.append((entry.name, entry))
    return sorted(named, key=lambda each: each[0].encode())


def _text(name: str) -> bool:
    """Whether a name on disk can be a part of a key: text in UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _holds_any(folder: str, key: str, marked: Callable[[str], bool]) -> bool:
    """Whether a folder is an object itself, or holds one."""
    left = [(folder, key)]
    while left:
        place, name = left.pop()
        if marked(name):
            return True
        for below, entry in _sorted(place):
            if not below.endswith("/"):
                return True
            left.append((entry.path, name + below))
    return False


def token_of(after: str) -> str:
    """A continuation token; opaque to the client."""
    return base64.urlsafe_b64encode(after.encode()).decode()


def after_of(token: str) -> str:
    """Raises S3Fault for a token that is none of ours."""
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise S3Fault("InvalidArgument", "The continuation token provided is incorrect.") from None
