"""PostgreSQL passes the conformance suite and the tests of the read models.

Runs when TUNEWRIGHT_TEST_POSTGRESQL names a database that may be emptied, such as
`postgresql://postgres@127.0.0.1:5432/test`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import test_processes
import test_reads
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, text

from tunewright.store.database import lay_out, upgrade
from tunewright.store.store import SqlStore, open_store
from tunewright.store.tables import metadata
from tunewright.testing.store_suite import StoreSuite

URL = os.environ.get("TUNEWRIGHT_TEST_POSTGRESQL", "")
if not URL:
    pytest.skip("TUNEWRIGHT_TEST_POSTGRESQL names no database", allow_module_level=True)

# The tests of the read models and of processes that die, with this module's store.
globals().update(
    {
        name: item
        for module in (test_reads, test_processes)
        for name, item in vars(module).items()
        if name.startswith("test_") or name in ("uid", "jobs", "context")
    }
)


@pytest.fixture
def url() -> str:
    """A database with nothing in it."""
    engine = create_engine(URL.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return URL


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    yield engine
    engine.dispose()


class TestPostgresql(StoreSuite):
    @pytest.fixture
    def store(self, url: str) -> Iterator[SqlStore]:
        store = open_store(url)
        yield store
        store.close()


@pytest.mark.parametrize("make", [lay_out, upgrade])
def test_both_ways_lead_to_the_tables(engine: Engine, make: object) -> None:
    assert callable(make)
    with engine.begin() as connection:
        make(connection)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_many_may_open_an_empty_database_at_once(url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: open_store(url), range(8)))
    for store in stores:
        assert store.versions() == {}
        store.close()
