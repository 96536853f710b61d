"""The store: campaigns and the tables of the ledger, on SQLite in the home or on PostgreSQL.

    campaign ──► campaign_day       what was spent, and the budgets that it cannot pass (CHECK)
       └──► offer ──► view ──► click ──► charge     at most one row each, each needs the one before
    refusal                         events that were not counted, and why
    state                           currency, the key of viewers' pseudonyms, the click predictor

Every row of the chain has its auction's number as key and as foreign key, so that the database
itself refuses a second view or click, a click without view, and a charge without click. The schema
is the same on both databases. Times are whole seconds since 1970, money is integer micros. Not
here: which events count and what they cost; that is in `events.py`.
"""

import contextlib
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Engine,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    and_,
    bindparam,
    create_engine,
    event,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DatabaseError, IntegrityError

from rookery.ads.terms.campaigns import Campaign, Campaigns
from rookery.ads.terms.money import as_currency
from rookery.core.config import from_plain, to_plain
from rookery.core.digest import canonical_json, digest_value
from rookery.core.errors import DataError, StorageError, UsageError
from rookery.core.home import Home

FORMAT = b"1"
VIEWER_KEY, CURRENCY, CAMPAIGNS_VERSION = "viewer_key", "currency", "campaigns_version"

# What SQLite and PostgreSQL write in errors that a person can mend.
_CANNOT_WRITE = ("is full", "disk i/o", "readonly", "unable to open")
_CANNOT_READ = ("not a database", "malformed")
RESTORE = "Restore it from a backup; the ledger cannot be rebuilt from anything else"

# SQLite numbers rows by itself only in an INTEGER PRIMARY KEY.
_Number = BigInteger().with_variant(Integer, "sqlite")
metadata = MetaData()

campaign = Table(
    "campaign",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("definition", Text, nullable=False),
    Column("budget_micros", BigInteger, nullable=False),
    Column("spent_micros", BigInteger, nullable=False),
    CheckConstraint(
        "0 <= spent_micros AND spent_micros <= budget_micros", name="campaign_within_budget"
    ),
)
campaign_day = Table(
    "campaign_day",
    metadata,
    Column("campaign", ForeignKey("campaign.id"), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("budget_micros", BigInteger, nullable=False),
    Column("spent_micros", BigInteger, nullable=False),
    CheckConstraint(
        "0 <= spent_micros AND spent_micros <= budget_micros", name="day_within_budget"
    ),
)
offer = Table(
    "offer",
    metadata,
    Column("auction", _Number, primary_key=True, autoincrement=True),
    Column("token", String(64), nullable=False, unique=True),
    Column("campaign", ForeignKey("campaign.id"), nullable=False),
    Column("viewer", String(32), nullable=False),
    Column("price_micros", BigInteger, nullable=False),
    Column("pctr", Float, nullable=False),
    Column("features", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    CheckConstraint("price_micros > 0", name="offer_has_price"),
)
view = Table(
    "view",
    metadata,
    Column("auction", ForeignKey("offer.auction"), primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
)
click = Table(
    "click",
    metadata,
    Column("auction", ForeignKey("view.auction"), primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
)
charge = Table(
    "charge",
    metadata,
    Column("auction", ForeignKey("click.auction"), primary_key=True, autoincrement=False),
    Column("campaign", String(64), nullable=False),
    Column("day", String(10), nullable=False),
    Column("micros", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    CheckConstraint("micros > 0", name="charge_is_positive"),
    ForeignKeyConstraint(["campaign", "day"], ["campaign_day.campaign", "campaign_day.day"]),
)
refusal = Table(
    "refusal",
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("reason", String(32), primary_key=True),
    Column("token", String(64), primary_key=True),  # empty for a token that was never offered
    Column("times", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
)
state = Table(
    "state",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

# Spelled out, since SQLAlchemy creates a table's indexes in an order that differs from run to run.
_INDEXES = (
    "CREATE INDEX IF NOT EXISTS offer_by_viewer ON offer (viewer)",
    "CREATE INDEX IF NOT EXISTS offer_by_expiry ON offer (expires)",
)

# Statements of every request are built once: building one takes longer than running it.
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
    """Open the home's ads database for a while, and create it if there is none."""
    engine = open_store(sqlite_url(home.ads))
    try:
        yield engine
    finally:
        engine.dispose()


def sqlite_url(path: Path) -> URL:
    """Return the URL of an SQLite database for `open_store`."""
    return URL.create("sqlite", database=str(path))


def open_store(url: URL | str, synchronous: str = "FULL") -> Engine:
    """Open a store, and create the tables that it lacks.

    `synchronous` is SQLite's setting: FULL survives a power cut, OFF only a kill. Raises
    `DataError` if the file is not a database, or has another format.
    """
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine, synchronous)
    with writing(engine) as connection:
        metadata.create_all(connection)
        for index in _INDEXES:
            connection.exec_driver_sql(index)
        insert_once(connection, state, name=VIEWER_KEY, value=secrets.token_bytes(32))
        insert_once(connection, state, name="format", value=FORMAT)
        if get_state(connection, "format") != FORMAT:
            raise DataError(
                "the ads database has another format",
                where=engine.url.database,
                hint="Use the release that made it, or move the file away",
            )
    return engine


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
    """Turn the database's errors about the disk or its file into one clear error each."""
    try:
        yield
    except IntegrityError:
        raise
    except DatabaseError as error:
        message, path = str(error.orig).lower(), engine.url.database
        if any(sign in message for sign in _CANNOT_WRITE):
            what = f"the ads database cannot be written: {message}"
            hint = "Check the disk's free space and the file's permissions"
            raise StorageError(what, where=path, hint=hint) from None
        if any(sign in message for sign in _CANNOT_READ):
            what = f"the ads database cannot be read: {message}"
            raise DataError(what, where=path, hint=RESTORE) from None
        raise


def insert_once(connection: Connection, table: Table, **values: Any) -> bool:
    """Insert a row unless one with its key exists, and return whether it was inserted."""
    return connection.execute(_INSERTS[connection.dialect.name][table], values).rowcount == 1


def get_state(connection: Connection, name: str) -> bytes | None:
    """Return a value of the `state` table, or None if there is none of this name."""
    return connection.execute(_GET_STATE, {"name": name}).scalar()


def set_state(connection: Connection, name: str, value: bytes) -> None:
    """Set a value of the `state` table."""
    if not insert_once(connection, state, name=name, value=value):
        connection.execute(update(state).where(state.c.name == name).values(value=value))


def add_refusal(
    connection: Connection, kind: str, reason: str, token: str, now_seconds: int
) -> None:
    """Count an event that did not count, by its kind, reason and token.

    Events with tokens that were never offered have the empty token, and so share one row for each
    reason: nobody can fill the database with invented tokens.
    """
    if not insert_once(
        connection, refusal, kind=kind, reason=reason, token=token, times=1, at=now_seconds
    ):
        same = and_(refusal.c.kind == kind, refusal.c.reason == reason, refusal.c.token == token)
        connection.execute(
            update(refusal).where(same).values(times=refusal.c.times + 1, at=now_seconds)
        )


def open_day(connection: Connection, campaign_id: str, day: str) -> None:
    """Make the row that holds and bounds a campaign's spend on a day, unless it exists.

    The whole budget bounds the day of a campaign without a daily budget.
    """
    definition = connection.execute(
        select(campaign.c.definition).where(campaign.c.id == campaign_id)
    ).scalar_one()
    terms = json.loads(definition)
    budget = terms["daily_budget_micros"] or terms["budget_micros"]
    row = {"campaign": campaign_id, "day": day, "budget_micros": budget, "spent_micros": 0}
    insert_once(connection, campaign_day, **row)


def save_campaigns(home: Home, found: Campaigns) -> None:
    """Save campaigns, new or changed; those that the file does not name stay as they are.

    Raises `UsageError`, and saves none, if the home's books are in another currency or if a budget
    would fall below what its campaign has spent.
    """
    with opened_store(home) as engine:
        save_campaigns_into(engine, found)


def save_campaigns_into(engine: Engine, found: Campaigns) -> None:
    """Do the same as `save_campaigns` on an open store."""
    with writing(engine) as connection:
        insert_once(connection, state, name=CURRENCY, value=found.currency.encode())
        currency = (get_state(connection, CURRENCY) or b"").decode()
        if currency != found.currency:
            raise UsageError(
                f"this home keeps its books in {currency}, the file is in {found.currency}"
            )
        for one in found.campaigns:
            _save(connection, one)
        version = digest_value([campaigns_version(connection).hex(), to_plain(found)])
        set_state(connection, CAMPAIGNS_VERSION, version.encode())


def _save(connection: Connection, one: Campaign) -> None:
    definition = canonical_json(to_plain(one))
    if insert_once(
        connection,
        campaign,
        id=one.id,
        definition=definition,
        budget_micros=one.budget_micros,
        spent_micros=0,
    ):
        return
    spent = connection.execute(
        select(campaign.c.spent_micros).where(campaign.c.id == one.id)
    ).scalar_one()
    if spent > one.budget_micros:
        raise UsageError(
            f"campaign {one.id}: budget {as_currency(one.budget_micros)} is below what is spent, "
            f"{as_currency(spent)}",
            hint="Set the budget to at least that, or stop the campaign with paused = true",
        )
    changed = {"definition": definition, "budget_micros": one.budget_micros}
    connection.execute(update(campaign).where(campaign.c.id == one.id).values(**changed))
    # A day that has spent more than a lowered daily budget is closed at what it has spent.
    daily = one.daily_budget_micros or one.budget_micros
    days = update(campaign_day).where(campaign_day.c.campaign == one.id)
    connection.execute(days.where(campaign_day.c.spent_micros <= daily).values(budget_micros=daily))
    connection.execute(
        days.where(campaign_day.c.spent_micros > daily).values(
            budget_micros=campaign_day.c.spent_micros
        )
    )


def read_campaigns(connection: Connection) -> tuple[Campaign, ...]:
    """Return all campaigns, in the order of their ids."""
    rows = connection.execute(select(campaign.c.definition).order_by(campaign.c.id))
    return tuple(from_plain(Campaign, json.loads(row.definition)) for row in rows)


def campaigns_version(connection: Connection) -> bytes:
    """Return a digest of everything saved so far; empty before the first `save_campaigns`."""
    return get_state(connection, CAMPAIGNS_VERSION) or b""
