"""SQLite passes the conformance suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tunewright.store.store import SqlStore, open_store
from tunewright.testing.store_suite import StoreSuite


class TestSqlite(StoreSuite):
    @pytest.fixture
    def store(self, url: str) -> Iterator[SqlStore]:
        store = open_store(url)
        yield store
        store.close()
