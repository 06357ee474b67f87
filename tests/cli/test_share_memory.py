"""A server's memory does not grow with the number of its connections to SQLite."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

import pytest

from tunewright.cli.commands.do_serve import SQLITE_BYTES, share_memory


def limit(value: int | None = None) -> int:
    """SQLite's limit of this process, as a new connection sees it; set it when a value is given."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        setting = "" if value is None else f"={value}"
        ((found,),) = connection.execute(f"PRAGMA soft_heap_limit{setting}").fetchall()
        return int(found)


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = limit()
    yield
    limit(before)


def test_all_connections_together_have_one_limit() -> None:
    limit(0)
    share_memory()
    assert limit() == SQLITE_BYTES
