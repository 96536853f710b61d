"""The store: the ads database, on SQLite in the home or on PostgreSQL, and its transactions.

A store is opened once for each process. Opening makes the tables that are missing, and takes an
older store to the schema of this release (`migrations/`). Which tables there are is in `schema.py`.
Not here: what is read and written (`book.py`, `booking.py`).
"""

import contextlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Table, bindparam, create_engine, event, inspect, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
)

from rookery.ads.ledger.schema import create_tables, metadata, state
from rookery.core.errors import DataError, StorageError, UsageError
from rookery.core.home import Home

FORMAT = b"2"
VIEWER_KEY = "viewer_key"
"""The name of the key under which viewers have their pseudonyms."""

# What SQLite and PostgreSQL write in errors that a person can mend.
_CANNOT_WRITE = ("is full", "disk i/o", "readonly", "unable to open", "no space left")
_CANNOT_READ = ("not a database", "malformed")
_OPTIONS: dict[str, dict[str, Any]] = {
    # a connection of before a restart is noticed, and a server that hangs keeps nobody for long
    "postgresql": {"pool_pre_ping": True, "connect_args": {"connect_timeout": 10}}
}
RESTORE = "Restore it from a backup; the ledger cannot be rebuilt from anything else"

# Statements of every group are built once: building one takes longer than running it.
_INSERTS = {
    dialect: {
        table: insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
        for table in metadata.tables.values()
    }
    for dialect, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_GET_STATE = select(state.c.value).where(state.c.name == bindparam("name"))


@contextlib.contextmanager
def opened_store(home: Home) -> Iterator[Engine]:
    """Open the home's ads database for a while, and make it if there is none."""
    engine = open_store(store_url(home))
    try:
        yield engine
    finally:
        engine.dispose()


def store_url(home: Home) -> URL:
    """Return the URL of a home's ads database: that of its settings, or a file in the home.

    Raises `UsageError` if the settings name no SQLite or PostgreSQL database.
    """
    named = home.settings.ads.database
    if not named:
        return sqlite_url(home.ads)
    try:
        url = make_url(named)
    except ArgumentError:
        url = None
    if url is None or url.get_backend_name() != "postgresql":
        raise UsageError(
            f"[ads] database is no PostgreSQL database: {named}",
            where=home.path,
            hint='Write it as "postgresql://user@host/name", or leave it empty for SQLite',
        )
    return url.set(drivername="postgresql+psycopg")


def sqlite_url(path: Path) -> URL:
    """Return the URL of an SQLite database for `open_store`."""
    return URL.create("sqlite", database=str(path))


def open_store(url: URL | str, synchronous: str = "FULL") -> Engine:
    """Open a store; make its tables, or take an older one to the schema of this release.

    `synchronous` is SQLite's setting: FULL survives a power cut, OFF only a kill. Raises
    `DataError` if it is no store or a later release's, `StorageError` if it cannot be reached.
    """
    try:
        engine = create_engine(url, **_OPTIONS.get(make_url(url).get_backend_name(), {}))
    except (NoSuchModuleError, ModuleNotFoundError):
        hint = "Install it with `pip install 'rookery[postgres]'`"
        raise UsageError("PostgreSQL needs its driver", hint=hint) from None
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine, synchronous)
    try:
        with writing(engine) as connection:
            _make_current(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _make_current(connection: Connection) -> None:
    """Make the tables of a new store, or migrate an older one."""
    if connection.dialect.name == "postgresql":  # two that open at once take turns
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7266)")
    has_any = inspect(connection).has_table(state.name)
    found = get_state(connection, "format") if has_any else None
    if found is None:
        create_tables(connection)
        insert_once(connection, state, name="format", value=FORMAT)
        insert_once(connection, state, name=VIEWER_KEY, value=secrets.token_bytes(32))
    elif found != FORMAT:
        from rookery.ads.ledger.migrations.upgrade import upgrade  # who is current needs no alembic

        upgrade(connection, found)
        set_state(connection, "format", FORMAT)


def _prepare_sqlite(engine: Engine, synchronous: str) -> None:
    """Make SQLite check foreign keys, and begin each transaction explicitly.

    After SQLAlchemy's recipe: a transaction that will write takes the lock when it begins, so that
    two of them wait for each other instead of failing.
    """

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins no transaction by itself
        for setting in ("busy_timeout = 60000", "journal_mode = WAL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {setting}")
        connection.execute(f"PRAGMA synchronous = {synchronous}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that may write; SQLite has one such at a time, among all processes."""
    with _storage_errors(engine), engine.execution_options(writes=True).begin() as connection:
        yield connection


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that sees the store at one moment and writes nothing."""
    with _storage_errors(engine), engine.begin() as connection:
        yield connection


@contextlib.contextmanager
def _storage_errors(engine: Engine) -> Iterator[None]:
    """Turn the database's errors about its disk, its file or its server into one clear error."""
    try:
        yield
    except IntegrityError:
        raise
    except DatabaseError as error:
        message = " ".join(str(error.orig).lower().split())
        where = engine.url.render_as_string()  # without the password
        if any(sign in message for sign in _CANNOT_WRITE):
            what = f"the ads database cannot be written: {message}"
            hint = "Check the disk's free space and the file's permissions"
            raise StorageError(what, where=where, hint=hint) from None
        if any(sign in message for sign in _CANNOT_READ):
            what = f"the ads database cannot be read: {message}"
            raise DataError(what, where=where, hint=RESTORE) from None
        if isinstance(error, OperationalError) or error.connection_invalidated:
            what = f"the ads database cannot be reached: {message}"
            hint = "Check that it runs, and [ads] database in rookery.toml"
            raise StorageError(what, where=where, hint=hint) from None
        raise


def insert_once(connection: Connection, table: Table, **values: Any) -> bool:
    """Insert a row unless one with its key exists, and return whether it was inserted."""
    return connection.execute(_INSERTS[connection.dialect.name][table], values).rowcount == 1


def insert_rows(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], is_once: bool = True
) -> None:
    """Insert rows that have the same columns in one order; is_once: passing over keys there are.

    PostgreSQL is sent an array for each column: long lists of values are several times slower.
    """
    if not rows:
        return
    names = list(rows[0])
    columns = ", ".join(names)
    if connection.dialect.name == "sqlite":  # by the driver itself, which is twice as quick
        verb, marks = "INSERT OR IGNORE" if is_once else "INSERT", ", ".join("?" * len(names))
        inserted = f"{verb} INTO {table.name} ({columns}) VALUES ({marks})"
        connection.exec_driver_sql(inserted, [tuple(row.values()) for row in rows])
        return
    arrays = ", ".join(
        f"CAST(:{n} AS {table.c[n].type.compile(connection.dialect)}[])" for n in names
    )
    end = " ON CONFLICT DO NOTHING" if is_once else ""
    statement = text(f"INSERT INTO {table.name} ({columns}) SELECT * FROM unnest({arrays}){end}")
    connection.execute(statement, {n: [row[n] for row in rows] for n in names})


def get_state(connection: Connection, name: str) -> bytes | None:
    """Return a value of the `state` table, or None if there is none of this name."""
    return connection.execute(_GET_STATE, {"name": name}).scalar()


def set_state(connection: Connection, name: str, value: bytes) -> None:
    """Set a value of the `state` table."""
    if not insert_once(connection, state, name=name, value=value):
        connection.execute(update(state).where(state.c.name == name).values(value=value))


def delete_state(connection: Connection, name: str) -> None:
    """Delete a value of the `state` table."""
    connection.execute(state.delete().where(state.c.name == name))
