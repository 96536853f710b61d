"""The store: campaigns and the ledger's tables, on SQLite in the home, or on PostgreSQL with the
same schema.

    campaign ──► campaign_day          what was spent, and the budgets that it cannot pass (CHECK)
       └──► offer ──► view ──► click ──► charge      one row each at most, each standing on the one before
    refusal                            events that were not counted, and why
    state                              currency, the key of viewers' pseudonyms, the click predictor

Every row of the chain has its auction's number as key and as foreign key, so that the database
itself refuses a second view or click, a click without view, and a charge without click. What is
written there is in `events.py`. Times are whole seconds since 1970, money is integer micros.
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

_Number = BigInteger().with_variant(
    Integer, "sqlite"
)  # SQLite numbers rows only in an INTEGER PRIMARY KEY
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

# Written out, since the library makes a table's indexes in an order that differs from run to run.
_INDEXES = (
    "CREATE INDEX IF NOT EXISTS offer_by_viewer ON offer (viewer)",
    "CREATE INDEX IF NOT EXISTS offer_by_expiry ON offer (expires)",
)

# Statements that every request needs are built once: building them costs more than running them.
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
    """The home's ads database for a while; made if it is not there yet."""
    engine = open_store(sqlite_url(home.ads))
    try:
        yield engine
    finally:
        engine.dispose()


def sqlite_url(path: Path) -> URL:
    """The name of an SQLite database for `open_store`."""
    return URL.create("sqlite", database=str(path))


def open_store(url: URL | str, synchronous: str = "FULL") -> Engine:
    """Open a store, with its tables made. `synchronous` is SQLite's: FULL survives a power cut, OFF
    only a kill.

    Raises `DataError` if the database is none, or was made in another format.
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
                hint="Go on with the release that made it, or move it away",
            )
    return engine


def _prepare_sqlite(engine: Engine, synchronous: str) -> None:
    """Transactions that begin as what they are (SQLAlchemy's recipe for SQLite), with foreign keys
    checked.
    """

    @event.listens_for(engine, "connect")
    def on_connect(connection, _record) -> None:
        connection.isolation_level = None
        for setting in ("busy_timeout = 60000", "journal_mode = WAL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {setting}")
        connection.execute(f"PRAGMA synchronous = {synchronous}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that may write; on SQLite it is the only one at a time, in all processes."""
    with _storage_errors(engine), engine.execution_options(writes=True).begin() as connection:
        yield connection


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One transaction that sees one moment of the store and writes nothing."""
    with _storage_errors(engine), engine.begin() as connection:
        yield connection


@contextlib.contextmanager
def _storage_errors(engine: Engine) -> Iterator[None]:
    """What the database says of the disk or of its file, as one clear error."""
    try:
        yield
    except IntegrityError:
        raise
    except DatabaseError as error:
        said = str(error.orig).lower()
        if (
            "is full" in said
            or "disk i/o" in said
            or "readonly" in said
            or "unable to open" in said
        ):
            hint = "See to the disk's space and the file's permissions"
            raise StorageError(
                f"the ads database cannot be written: {said}", where=engine.url.database, hint=hint
            ) from None
        if "not a database" in said or "malformed" in said:
            hint = "Restore it from a backup; the ledger is not made again"
            raise DataError(
                f"the ads database cannot be read: {said}", where=engine.url.database, hint=hint
            ) from None
        raise


def insert_once(connection: Connection, table: Table, **values: Any) -> bool:
    """Insert a row unless one with its key is there; returns whether it was inserted."""
    return connection.execute(_INSERTS[connection.dialect.name][table], values).rowcount == 1


def get_state(connection: Connection, name: str) -> bytes | None:
    """A value of the `state` table."""
    return connection.execute(_GET_STATE, {"name": name}).scalar()


def set_state(connection: Connection, name: str, value: bytes) -> None:
    """Set a value of the `state` table."""
    if not insert_once(connection, state, name=name, value=value):
        connection.execute(update(state).where(state.c.name == name).values(value=value))


def save_campaigns(home: Home, found: Campaigns) -> None:
    """Take campaigns in, new or changed; those that the file does not name stay as they are.

    Raises `UsageError`, and takes none in, if the home's books are in another currency or if a
    budget would fall below what its campaign has spent.
    """
    with opened_store(home) as engine:
        save_into(engine, found)


def save_into(engine: Engine, found: Campaigns) -> None:
    """The same for a store that is open."""
    with writing(engine) as connection:
        insert_once(connection, state, name=CURRENCY, value=found.currency.encode())
        currency = get_state(connection, CURRENCY).decode()
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
            hint="Give at least that, or paused = true to stop the campaign",
        )
    changed = {"definition": definition, "budget_micros": one.budget_micros}
    connection.execute(update(campaign).where(campaign.c.id == one.id).values(**changed))
    daily = one.daily_budget_micros or one.budget_micros
    days = update(campaign_day).where(campaign_day.c.campaign == one.id)
    connection.execute(days.where(campaign_day.c.spent_micros <= daily).values(budget_micros=daily))
    connection.execute(
        days.where(campaign_day.c.spent_micros > daily).values(
            budget_micros=campaign_day.c.spent_micros
        )
    )


def read_campaigns(connection: Connection) -> tuple[Campaign, ...]:
    """All campaigns, in the order of their ids."""
    rows = connection.execute(select(campaign.c.definition).order_by(campaign.c.id))
    return tuple(from_plain(Campaign, json.loads(row.definition)) for row in rows)


def campaigns_version(connection: Connection) -> bytes:
    """Names what was saved so far; empty before the first `save_campaigns`."""
    return get_state(connection, CAMPAIGNS_VERSION) or b""
