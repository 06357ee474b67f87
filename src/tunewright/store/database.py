"""A database opened as we need it: engines, transactions that wait their turn, the layout brought up to date.

SQLite runs in WAL mode, so that readers never wait for writers nor writers for readers; whoever writes says
so at once (BEGIN IMMEDIATE) and waits for the others. What is committed survives the death of any process.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from weakref import ref

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from tunewright.core.errors import Invalid
from tunewright.store.prepared import Prepared, Row
from tunewright.store.tables import metadata

T = TypeVar("T")

HEAD = "0002"
"""The newest migration; the layout of `tables.metadata`."""
WAIT_SECONDS = 15.0
"""How long SQLite itself waits for another writer before the transaction is tried again."""
PATIENCE_SECONDS = 300.0
"""How long a transaction is tried again while others are in the way."""
AWAY_SECONDS = 30.0
"""How long a look waits for a server that is away: one that is started again is back by then."""
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_SERIALIZATION = frozenset({"40001", "40P01"})
_AWAY = ("08", "57P01", "57P02", "57P03")
"""Of a connection; and a server that is shut down, that crashed, that starts."""
_LAYOUT_LOCK = 7_163_215_908
_WRITES = "tunewright_writes"
_VERSION = "SELECT version_num FROM alembic_version"


def open_database(url: str) -> Engine:
    """An engine on a database whose layout is up to date; an empty one is laid out.

    Raises:
        Invalid: the URL names no database that can be opened, or one of a newer Tunewright.
    """
    try:
        engine = _engine(make_url(url))
        _bring_up_to_date(engine)
    except ModuleNotFoundError as error:
        text = (
            f"needs the driver {error.name!r}, which is not installed. For PostgreSQL: pip install 'psycopg[binary]'."
        )
        raise Invalid.one("store", text) from error
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        hint = "Give a URL such as sqlite:////home/me/tunewright.db or postgresql://host/name"
        raise Invalid.one("store", f"cannot be used as a database: {error}. {hint}.") from error
    except DatabaseError as error:
        shown = make_url(url).render_as_string()
        raise Invalid.one("store", f"{shown} cannot be opened: {error.orig}. Name another file or server.") from error
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one moment of the database, however many statements are run."""
    with engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            connection.execution_options(isolation_level="REPEATABLE READ")
        # The first question fixes the moment; it may have to wait where others open or close the file.
        _patiently(lambda: connection.exec_driver_sql(_VERSION).close())
        yield connection


@contextmanager
def looking(engine: Engine) -> Iterator[DBAPICursor]:
    """The driver's own cursor, which sees one moment of the database, however many statements are run.

    A server that is away is waited for.
    """
    connection, cursor = _patiently(lambda: _begun(engine), away=AWAY_SECONDS)
    try:
        yield cursor
    finally:
        # Whatever was begun is rolled back when the connection returns to the pool.
        connection.close()


def _begun(engine: Engine) -> tuple[PoolProxiedConnection, DBAPICursor]:
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        sqlite = engine.dialect.name == "sqlite"
        cursor.execute("BEGIN" if sqlite else "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        _patiently(lambda: cursor.execute(_VERSION))
    except BaseException:  # raised again: nobody else could close it
        connection.close()
        raise
    return connection, cursor


def fetched(engine: Engine, statement: Prepared, row: Row) -> list[Any]:
    """All rows of one statement."""
    return _patiently(lambda: _fetched(engine, statement, row))


def _fetched(engine: Engine, statement: Prepared, row: Row) -> list[Any]:
    connection = engine.raw_connection()
    try:
        return list(statement.run(connection.cursor(), row).fetchall())
    finally:
        connection.close()


def writing(engine: Engine, work: Callable[[DBAPICursor], T]) -> T:
    """Run `work` in one transaction, again from the start while others are in its way; commits."""
    return _patiently(lambda: _transaction(engine, work))


def _transaction(engine: Engine, work: Callable[[DBAPICursor], T]) -> T:
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        if engine.dialect.name == "sqlite":
            cursor.execute("BEGIN IMMEDIATE")
        result = work(cursor)
        connection.commit()
    except BaseException:  # raised again, nothing of it written
        connection.rollback()
        raise
    finally:
        connection.close()
    return result


def _patiently(action: Callable[[], T], away: float = 0.0) -> T:
    """Do it, again while others are in the way, and for `away` seconds while the server is away."""
    began = time.monotonic()
    while True:
        try:
            return action()
        except Exception as error:  # which drivers raise when another is in the way differs; all else goes on
            gone = _is_away(error)
            if not (gone or _in_the_way(error)) or time.monotonic() - began >= (away if gone else PATIENCE_SECONDS):
                raise
        time.sleep(random.uniform(0.001, 0.01) * (20 if gone else 1))  # so that two that met do not meet again


def _in_the_way(error: Exception) -> bool:
    """Whether another transaction was the reason, so that trying again helps."""
    cause = getattr(error, "orig", error)
    if isinstance(cause, sqlite3.OperationalError):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _BUSY
    return getattr(cause, "sqlstate", None) in _SERIALIZATION


def _is_away(error: Exception) -> bool:
    """Whether the server ended, ends, starts, or cannot be reached."""
    cause = getattr(error, "orig", error)
    state = getattr(cause, "sqlstate", "")
    operational = any(kind.__name__ == "OperationalError" for kind in type(cause).__mro__)
    return operational and (state is None or state.startswith(_AWAY))


# ---- engines ----


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        if url.drivername in ("postgresql", "postgres"):
            url = url.set(drivername="postgresql+psycopg")
        return _forgotten_by_children(create_engine(url, pool_size=8, max_overflow=64, pool_pre_ping=True))
    if not url.database or url.database == ":memory:":
        raise Invalid.one("store", "an SQLite database in memory cannot be shared; name a file: sqlite:////path/to.db.")
    Path(url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The connection that was used last is used next, so that one's memory of pages is warm and not eight are lukewarm.
    options = {"pool_size": 8, "max_overflow": 64, "pool_use_lifo": True}
    engine = create_engine(url, **options, connect_args={"timeout": WAIT_SECONDS})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return _forgotten_by_children(engine)


def _forgotten_by_children(engine: Engine) -> Engine:
    """A connection must not be used on both sides of a fork: the child opens its own."""
    kept = ref(engine)

    def forget() -> None:
        if (known := kept()) is not None:
            known.dispose(close=False)

    os.register_at_fork(after_in_child=forget)
    return engine


def _configure(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = None
    # SQLite does not wait for others while it switches to WAL, so we do.
    _patiently(lambda: connection.execute("PRAGMA journal_mode=WAL"))
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "cache_size=-4096", "journal_size_limit=67108864"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


# ---- layout ----


def _bring_up_to_date(engine: Engine) -> None:
    if _version(engine) != HEAD:
        _patiently(lambda: _migrate(engine))


def _version(engine: Engine) -> str | None:
    """The database's migration, by one query; None when it is not there to be asked."""
    with engine.connect() as connection:
        try:
            row = connection.exec_driver_sql(_VERSION).first()
        except DatabaseError:  # there is no such table; or no database, which laying it out tells
            return None
    return None if row is None else str(row[0])


def _migrate(engine: Engine) -> None:
    """Lay out an empty database, or bring an older one up; one process does it, the others wait."""
    with engine.connect() as connection:
        connection.execution_options(**{_WRITES: True})
        with connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LAYOUT_LOCK})"))
            if not inspect(connection).has_table("alembic_version"):
                lay_out(connection)
                return
            found = connection.exec_driver_sql(_VERSION).scalar()
            if found != HEAD:
                upgrade(connection, found)


def lay_out(connection: Connection) -> None:
    """Create all tables in an empty database, as the migrations would (a test holds them equal)."""
    metadata.create_all(connection)
    connection.execute(
        text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def upgrade(connection: Connection, found: str | None = None) -> None:
    """Run the migrations that the database lacks, within the connection's transaction.

    Raises:
        Invalid: the database has a migration that this program does not know.
    """
    # Imported here because it takes longer than all else and almost no start needs it.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    try:
        if found is not None:
            ScriptDirectory.from_config(config).get_revision(found)
    except CommandError as error:
        message = f"was written by a newer Tunewright (layout {found}, known up to {HEAD}); upgrade Tunewright."
        raise Invalid.one("store", message) from error
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
