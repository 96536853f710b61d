"""The schema: what is sold and what happened, the same tables on SQLite and on PostgreSQL.

    advertiser ──► campaign ──► ad_group ──► ad ──► ad_version     what is sold
        └► funding ──┘  └► campaign_day                             and what was spent of it
    view ──► click ──► conversion     what happened: at most one row each, after the one before
    refusal, reason                   events that did not count, and why groups did not run
    engine                            who serves
    state                             currency, keys, the click predictor

An offer is a signed token and no row (`token.py`); its number is the key of its view, of the click
on that, and of the conversion after it, so that the database itself refuses a second one, and one
without the one before. What an event costs stands in its own row: no charge is without its event.
Budgets are constraints: what is spent cannot pass them.

Objects have a number here (`key`), by which tokens and events name them, beside the id that people
give them. `changed` is the number of the change that last touched a row (`book.py`). Times are
whole seconds since 1970, money is integer micros. Not here: opening (`store.py`), migrations
(`migrations/`), and what events count (`booking.py`).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateIndex, CreateTable

# SQLite numbers rows by itself only in an INTEGER PRIMARY KEY.
_Number = BigInteger().with_variant(Integer, "sqlite")
_ID, _DAY = String(64), String(10)
metadata = MetaData()


def _within(name: str) -> CheckConstraint:
    """Return the constraint that what is spent stays within its budget."""
    return CheckConstraint("0 <= spent_micros AND spent_micros <= budget_micros", name=name)


# What is sold
# -------------------------------------------------------------------------------------------------

advertiser = Table(
    "advertiser",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("id", _ID, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("changed", BigInteger, nullable=False, index=True),
)
funding = Table(
    "funding",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("id", _ID, nullable=False, unique=True),
    Column("advertiser", ForeignKey("advertiser.key"), nullable=False),
    Column("budget_micros", BigInteger, nullable=False),
    Column("spent_micros", BigInteger, nullable=False, default=0),
    Column("changed", BigInteger, nullable=False, index=True),
    _within("funding_within_budget"),
)
campaign = Table(
    "campaign",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("id", _ID, nullable=False, unique=True),
    Column("advertiser", ForeignKey("advertiser.key"), nullable=False),
    Column("funding", ForeignKey("funding.key")),
    Column("budget_micros", BigInteger, nullable=False),
    Column("spent_micros", BigInteger, nullable=False, default=0),
    Column("daily_budget_micros", BigInteger),
    Column("zone", String(64), nullable=False),
    Column("start", BigInteger),
    Column("end", BigInteger),
    Column("pays_for", String(16), nullable=False),
    Column("caps", Text, nullable=False),  # JSON
    Column("paused", Boolean, nullable=False),
    Column("changed", BigInteger, nullable=False, index=True),
    _within("campaign_within_budget"),
)
campaign_day = Table(
    "campaign_day",
    metadata,
    Column("campaign", ForeignKey("campaign.key"), primary_key=True, autoincrement=False),
    Column("day", _DAY, primary_key=True),  # in the campaign's zone
    Column("budget_micros", BigInteger, nullable=False),
    Column("spent_micros", BigInteger, nullable=False, default=0),
    _within("day_within_budget"),
)
ad_group = Table(
    "ad_group",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("id", _ID, nullable=False, unique=True),
    Column("campaign", ForeignKey("campaign.key"), nullable=False, index=True),
    Column("bid_micros", BigInteger, nullable=False),
    Column("strategy", String(16), nullable=False),
    Column("targeting", Text, nullable=False),  # JSON
    Column("paused", Boolean, nullable=False),
    Column("changed", BigInteger, nullable=False, index=True),
)
ad = Table(
    "ad",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("id", _ID, nullable=False, unique=True),
    Column("ad_group", ForeignKey("ad_group.key"), nullable=False, index=True),
    Column("paused", Boolean, nullable=False),
    Column("changed", BigInteger, nullable=False, index=True),
)
ad_version = Table(
    "ad_version",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("ad", ForeignKey("ad.key"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("review", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    UniqueConstraint("ad", "number"),
)

# What happened
# -------------------------------------------------------------------------------------------------


def _event(name: str, after: str | None, *more: Column) -> Table:
    """Return the table of a kind of event; after: the kind that it needs before it."""
    needs = [] if after is None else [ForeignKey(f"{after}.offer")]
    return Table(
        name,
        metadata,
        Column("offer", BigInteger, *needs, primary_key=True, autoincrement=False),
        Column("at", BigInteger, nullable=False),
        Column("campaign", Integer, nullable=False),
        Column("day", _DAY, nullable=False),
        Column("micros", BigInteger, nullable=False),
        Column("given", String(32), nullable=False),  # why it cost nothing, or empty
        *more,
        CheckConstraint("micros >= 0", name=f"{name}_costs"),
        ForeignKeyConstraint(["campaign", "day"], ["campaign_day.campaign", "campaign_day.day"]),
        sqlite_with_rowid=False,
    )


view = _event(
    "view",
    None,
    Column("ad_version", ForeignKey("ad_version.key"), nullable=False),
    Column("viewer", LargeBinary, nullable=False),  # a pseudonym of the day (`token.py`)
    Column("expires", BigInteger, nullable=False),
    Column("pctr", Float, nullable=False),
    Column("propensity", Float, nullable=False),
    Column("features", LargeBinary, nullable=False),  # numbers of buckets, never words
)
click = _event("click", "view")
conversion = _event("conversion", "click")
refusal = Table(
    "refusal",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("reason", String(32), primary_key=True),
    Column("campaign", Integer, primary_key=True, autoincrement=False),  # 0: nobody knows
    Column("day", _DAY, primary_key=True),  # UTC
    Column("times", BigInteger, nullable=False),
)
reason = Table(
    "reason",
    metadata,
    Column("ad_group", ForeignKey("ad_group.key"), primary_key=True, autoincrement=False),
    Column("day", _DAY, primary_key=True),  # UTC
    Column("reason", String(32), primary_key=True),  # or "offered"
    Column("times", BigInteger, nullable=False),
)
Index("view_by_expiry", view.c.expires)  # what the click predictor learns from, in order

# Who serves
# -------------------------------------------------------------------------------------------------

engine = Table(
    "engine",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("until", BigInteger, nullable=False),
)
state = Table(
    "state",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)


def create_tables(connection: Connection) -> None:
    """Create the tables and indexes that are missing in one order: equal stores have equal bytes.

    `MetaData.create_all` makes the indexes of a table in an order that differs from run to run.
    """
    for table in metadata.sorted_tables:
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            connection.execute(CreateIndex(index, if_not_exists=True))
