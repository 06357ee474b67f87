"""Opening a database, waiting for others, and the layout."""

from __future__ import annotations

import io
import os
import re
import sqlite3
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import make_url
from sqlalchemy.schema import SetTableComment

from tunewright.control.recorder import Recorder
from tunewright.core.errors import Invalid
from tunewright.core.events import Launched
from tunewright.core.reads import JobQuery
from tunewright.store import database
from tunewright.store.database import HEAD, lay_out, upgrade
from tunewright.store.queries import SqlReads
from tunewright.store.store import SqlStore, open_store
from tunewright.store.tables import metadata
from tunewright.testing.store_suite import OWNER, loss, propose, report, training_spec, tuning_spec

FOLDER = Path(database.__file__).parent / "migrations"


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def layout(engine: Engine) -> list[tuple[str, str]]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
        return [(name, re.sub(r"\s", "", sql)) for name, sql in rows]


@pytest.fixture
def empty(tmp_path: Path) -> Engine:
    return create_engine(f"sqlite:///{tmp_path / 'empty.db'}")


# ---- layout ----


def test_migrations_lead_to_exactly_the_tables(empty: Engine, tmp_path: Path) -> None:
    direct = create_engine(f"sqlite:///{tmp_path / 'direct.db'}")
    with empty.begin() as connection:
        upgrade(connection)
    with direct.begin() as connection:
        lay_out(connection)
    assert layout(empty) == layout(direct)
    for engine in (empty, direct):
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
            assert MigrationContext.configure(connection).get_current_revision() == HEAD
        engine.dispose()


def test_migrations_say_of_tables_what_the_tables_say() -> None:
    """PostgreSQL keeps the comments; what it would be told is read here without one."""
    text = io.StringIO()
    options = {"as_sql": True, "output_buffer": text}
    with Operations.context(MigrationContext.configure(dialect_name="postgresql", opts=options)):
        for script in reversed(list(ScriptDirectory(str(FOLDER)).walk_revisions())):
            script.module.upgrade()
    for table in metadata.sorted_tables:
        assert str(SetTableComment(table).compile(dialect=postgresql.dialect())) in text.getvalue()


def test_the_newest_migration_is_the_one_that_is_asked_for() -> None:
    assert ScriptDirectory(str(FOLDER)).get_heads() == [HEAD]


def test_statuses_of_an_older_database_are_those_that_are_shown(empty: Engine) -> None:
    upgrade_to(empty, "0001")
    with empty.begin() as connection:
        connection.exec_driver_sql("INSERT INTO spec VALUES ('u', 'n', '{}')")
        for number, status in enumerate(("Pending", "InProgress", "Completed"), start=1):
            row = f"('u', {number}, 'k{number}', 0, '{status}', 1, 1, 0, NULL, '')"
            connection.exec_driver_sql(f"INSERT INTO trial VALUES {row}")
        upgrade(connection, "0001")
    with empty.connect() as connection:
        found = connection.exec_driver_sql("SELECT status FROM trial ORDER BY number").scalars().all()
    assert found == ["InProgress", "InProgress", "Completed"]
    empty.dispose()


def upgrade_to(engine: Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_a_database_that_lacks_migrations_gets_them(empty: Engine) -> None:
    with empty.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    empty.dispose()
    store = open_store(str(empty.url))
    Recorder(store, _Clock(), lambda _seconds: None).create(tuning_spec())
    assert len(store.versions()) == 1
    store.close()


class _Clock:
    def now(self) -> float:
        return 1.0

    def at_least(self, at: float) -> None:
        raise AssertionError("nobody asks")


def test_a_newer_database_is_refused(url: str) -> None:
    open_store(url).close()
    with sqlite3.connect(file_of(url)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(Invalid, match="newer Tunewright"):
        open_store(url)


def test_an_open_database_is_asked_one_question(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(url).close()
    monkeypatch.setattr(database, "_migrate", None)
    asked: list[str] = []
    connect = sqlite3.connect

    def traced(*arguments: object, **options: object) -> sqlite3.Connection:
        connection = connect(*arguments, **options)  # type: ignore[call-overload]
        connection.set_trace_callback(asked.append)
        return connection

    monkeypatch.setattr(sqlite3.dbapi2, "connect", traced)
    open_store(url).close()
    assert [text for text in asked if text.startswith("SELECT")] == ["SELECT version_num FROM alembic_version"]


# ---- a server that is away ----


class OperationalError(Exception):
    """As drivers of servers raise it."""

    def __init__(self, sqlstate: str | None) -> None:
        super().__init__(f"state {sqlstate}")
        self.sqlstate = sqlstate


class AdminShutdown(OperationalError):
    """Theirs have kinds."""


def away(monkeypatch: pytest.MonkeyPatch, store: SqlStore, *errors: Exception) -> list[Exception]:
    """Let the store's next connections fail like this; those that have not yet."""
    connect, left = store.engine.raw_connection, list(errors)

    def raw_connection() -> object:
        if left:
            raise left.pop(0)
        return connect()

    monkeypatch.setattr(store.engine, "raw_connection", raw_connection)
    return left


def test_who_looks_waits_for_a_server_that_is_away(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    left = away(monkeypatch, store, OperationalError(None), AdminShutdown("57P01"), OperationalError("57P03"))
    assert SqlReads(store.engine).jobs(JobQuery()).items == ()
    assert not left


def test_who_looks_does_not_wait_for_ever_nor_for_other_troubles(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    away(monkeypatch, store, OperationalError("42P01"))
    with pytest.raises(OperationalError, match="42P01"):
        SqlReads(store.engine).jobs(JobQuery())
    monkeypatch.setattr(database, "AWAY_SECONDS", 0.0)
    away(monkeypatch, store, OperationalError(None))
    with pytest.raises(OperationalError, match="None"):
        SqlReads(store.engine).jobs(JobQuery())


def test_who_runs_jobs_is_told_at_once_that_the_server_is_away(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop has other things to do than to wait, such as to end when it is told to."""
    left = away(monkeypatch, store, *[OperationalError(None)] * 2)
    with pytest.raises(OperationalError):
        store.versions()
    assert len(left) == 1


# ---- opening ----


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "sqlite://", "sqlite:///:memory:", "oracle9i://x/y", "sqlite:///", "postgresql://me@host:port/db"],
)
def test_what_is_no_database_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="store"):
        open_store(url)


def test_a_missing_driver_is_named_with_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(Invalid, match=r"'psycopg', which is not installed.*pip install 'psycopg\[binary\]'"):
        open_store("postgresql://me:secret@host/db")


def test_a_file_that_is_no_database_is_refused(url: str) -> None:
    file_of(url).parent.mkdir()
    file_of(url).write_text("name: digits\n" * 1000)
    with pytest.raises(Invalid, match="not a database"):
        open_store(url)
    assert file_of(url).read_text().startswith("name: digits")


def test_a_new_directory_is_the_users_own(url: str) -> None:
    open_store(url).close()
    assert file_of(url).parent.stat().st_mode & 0o077 == 0


def test_sqlite_is_set_up(store: SqlStore) -> None:
    with store.engine.connect() as connection:

        def pragma(name: str) -> object:
            return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

        assert (pragma("journal_mode"), pragma("synchronous"), pragma("foreign_keys")) == ("wal", 1, 1)


def test_many_threads_may_open_an_empty_database_at_once(url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: open_store(url), range(8)))
    for store in stores:
        assert store.versions() == {}
        store.close()


def test_nothing_is_left_of_what_is_deleted(store: SqlStore, recorder: Recorder) -> None:
    tuning = recorder.create(tuning_spec(), {"a": "b"}).job.uid
    training = recorder.create(training_spec(), {"a": "b"}).job.uid
    recorder.record(training, [Launched(0.0, 1, 1, "h"), report(1, 0, loss(1.0))])
    for uid in (tuning, training):
        store.acquire(uid, OWNER, 1.0, 0.0, [])
        store.delete(uid)
    with store.engine.connect() as connection:
        left = {name: connection.execute(table.select()).all() for name, table in metadata.tables.items()}
    assert {name for name, rows in left.items() if rows} == set()


def test_what_is_kept_of_specifications_is_bounded(
    store: SqlStore, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunewright.store.store.MOST_SPECS", 2)
    uids = [recorder.create(tuning_spec(name)).job.uid for name in ("a", "b", "c")]
    for _ in range(2):
        assert [store.load(uid).job.name for uid in uids] == ["a", "b", "c"]
        assert len(store._specs) <= 2


# ---- waiting ----


@pytest.fixture
def other(store: SqlStore, url: str) -> sqlite3.Connection:
    """Another process's connection."""
    return sqlite3.connect(file_of(url), isolation_level=None, check_same_thread=False)


def test_a_writer_waits_for_its_turn_and_is_tried_again(
    url: str, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.0)
    store = open_store(url)
    recorder = Recorder(store, _Clock(), lambda _seconds: None)
    other.execute("BEGIN IMMEDIATE")
    tried = threading.Event()
    monkeypatch.setattr(database.time, "sleep", lambda _seconds: tried.set())
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(recorder.create, tuning_spec())
        assert tried.wait(60)
        assert not done.done()
        other.execute("COMMIT")
        assert done.result(60).version == 1
    other.close()
    store.close()


def test_patience_ends(url: str, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.0)
    store = open_store(url)
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.0)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        Recorder(store, _Clock(), lambda _seconds: None).create(tuning_spec())
    other.execute("ROLLBACK")
    other.close()
    store.close()


def test_readers_and_writers_do_not_wait_for_each_other(
    store: SqlStore, reads: SqlReads, recorder: Recorder, other: sqlite3.Connection
) -> None:
    uid = recorder.create(tuning_spec()).job.uid
    other.execute("BEGIN")
    assert other.execute("SELECT version FROM job").fetchall() == [(1,)]
    recorder.record(uid, [propose(1, 1)])
    assert other.execute("SELECT version FROM job").fetchall() == [(1,)], "a reader sees one moment"
    other.execute("COMMIT")
    other.execute("BEGIN IMMEDIATE")
    other.execute("UPDATE job SET version = 99")
    assert (reads.jobs(JobQuery()).items[0].version, store.load(uid).version) == (2, 2)
    other.execute("ROLLBACK")
    other.close()


def test_who_looks_sees_the_moment_at_which_it_began_to(store: SqlStore, recorder: Recorder) -> None:
    uid = recorder.create(tuning_spec()).job.uid
    asked = "SELECT version FROM job"
    with database.looking(store.engine) as cursor, database.reading(store.engine) as connection:
        recorder.record(uid, [propose(1, 1)])
        for _ in range(2):
            assert cursor.execute(asked).fetchall() == [(1,)]
            assert connection.exec_driver_sql(asked).scalar() == 1
            recorder.record(uid, [Launched(0.0, 1, 1, "h")])
    assert store.load(uid).version == 3


ASKS: list[Callable[[SqlStore], int]] = [
    lambda store: next(iter(store.versions().values())),
    lambda store: SqlReads(store.engine).job("digits").version,
]


@pytest.mark.parametrize("ask", ASKS, ids=["fetched", "reading"])
def test_a_reader_waits_where_the_file_is_not_to_be_had(
    url: str, store: SqlStore, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, ask: Callable[[SqlStore], int]
) -> None:
    recorder.create(tuning_spec())
    store.close()
    other = sqlite3.connect(file_of(url), isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("UPDATE job SET version = 5")
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.0)
    impatient = SqlStore(database._engine(make_url(url)))
    tried = threading.Event()
    monkeypatch.setattr(database.time, "sleep", lambda _seconds: tried.set())
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(ask, impatient)
        assert tried.wait(60)
        other.close()
        assert done.result(60) == 5
    impatient.close()


def test_a_forked_child_opens_connections_of_its_own(store: SqlStore, recorder: Recorder) -> None:
    uid = recorder.create(tuning_spec()).job.uid
    mine = store.engine.pool.checkedin()
    child = os.fork()
    if child == 0:
        fresh = store.engine.pool.checkedin() == 0
        os._exit(0 if fresh and store.load(uid).version == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.engine.pool.checkedin() == mine > 0
    assert recorder.record(uid, [propose(1, 1)]).version == 2


def test_other_errors_are_not_tried_again(store: SqlStore) -> None:
    tries = []

    def work(cursor: object) -> None:
        tries.append(1)
        raise sqlite3.OperationalError("no such table: nothing")

    with pytest.raises(sqlite3.OperationalError, match="nothing"):
        database.writing(store.engine, work)
    assert tries == [1]
