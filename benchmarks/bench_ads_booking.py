"""Measure how fast views and clicks are booked, beside bare inserts of the same rows.

    python benchmarks/bench_ads_booking.py [--groups N]

Groups of 500 events of a thousand campaigns, three views for each click, one event in twenty sent
again. Everything is durable: SQLite with `synchronous = FULL`, PostgreSQL with fsync. *Bare* is
the module `sqlite3` with the same rows in the same groups, into tables without constraints. In
turns, in one run.
"""

import argparse
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from record import table, write_result
from sqlalchemy import Engine

sys.path.insert(0, str(Path(__file__).parents[1]))

from rookery.ads.ledger.book import save_book
from rookery.ads.ledger.booking import AdEvent, book
from rookery.ads.ledger.store import open_store, sqlite_url, writing
from rookery.ads.ledger.token import OfferTerms
from rookery.ads.terms.objects import (
    Ad,
    AdBook,
    AdVersion,
    Advertiser,
    Campaign,
    Group,
    GroupBid,
)
from tests.support.postgres import Postgres

CAMPAIGNS, GROUP, NOW = 1_000, 500, 1_767_268_800
OF_BARE, OF_SQLITE = 0.15, 0.3


def main() -> None:
    """Book the same events on all three, and write the page of results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--groups", type=int, default=60)
    groups = made_groups(parser.parse_args().groups)
    with tempfile.TemporaryDirectory() as folder:
        server = Postgres(durable=True)
        try:
            rates = measured(Path(folder), server.database(), groups)
        finally:
            server.remove()
    rows = [[name, f"{rate:,.0f}", f"{cpu:,.0f}"] for name, (rate, cpu) in rates.items()]
    (bare, _), (lite, _), (post, _) = rates.values()
    bars = [
        ["SQLite by bare inserts", f"{lite / bare:.2f}", f"at least {OF_BARE}"],
        ["PostgreSQL by SQLite", f"{post / lite:.2f}", f"at least {OF_SQLITE}"],
    ]
    body = (
        table(["books", "events a second", "events a CPU-second of this process"], rows)
        + "\n"
        + table(["bar", "measured", "asked"], bars)
    )
    print(write_result("ads_booking", "Booking", ["sqlalchemy", "psycopg"], body).read_text())


def made_groups(count: int) -> list[list[AdEvent]]:
    """Return groups of events; a click comes in a group after its view."""
    draw, groups, seen = random.Random(1), [], []
    for n in range(count):
        events = []
        for k in range(GROUP):
            if k % 4 == 0 and seen:
                kind, number = "click", draw.choice(seen)
            elif draw.random() < 0.05 and seen:
                kind, number = "view", draw.choice(seen)
            else:
                kind, number = "view", n * GROUP + k
            events.append(AdEvent(kind, terms(number), NOW))
        seen += [e.terms.offer >> 2 for e in events if e.kind == "view" and e.terms]
        groups.append(events)
    return groups


def terms(number: int) -> OfferTerms:
    """Return an offer of one of the campaigns."""
    key = 1 + number % CAMPAIGNS
    viewer, features = number.to_bytes(12, "big"), bytes(80)
    return OfferTerms(
        number << 2, key, key, viewer, "click", 7_000, 0.02, 1.0, features, NOW, NOW + 1800
    )


def measured(
    folder: Path, postgres: str, groups: Sequence[Sequence[AdEvent]]
) -> dict[str, tuple[float, float]]:
    """Return events a second, and a CPU-second, of each way to write them."""
    stores = {"SQLite": sqlite_url(folder / "ads.sqlite"), "PostgreSQL": postgres}
    books = {name: _sold(open_store(url)) for name, url in stores.items()}
    bare = _Bare(folder / "bare.sqlite")
    ways: dict[str, Callable[[Sequence[AdEvent]], object]] = {"bare sqlite3": bare.insert}
    for name, store in books.items():
        ways[name] = lambda events, store=store: book(store, events)
    spent = {name: [0.0, 0.0] for name in ways}
    for events in groups:
        for name, way in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            way(events)
            spent[name][0] += time.perf_counter() - wall
            spent[name][1] += time.process_time() - cpu
    total = sum(map(len, groups))
    return {name: (total / wall, total / cpu) for name, (wall, cpu) in spent.items()}


def _sold(store: Engine) -> Engine:
    names = [f"c{n:04}" for n in range(CAMPAIGNS)]
    book_ = AdBook(
        "EUR",
        (Advertiser("a", "A"),),
        (),
        tuple(Campaign(id=n, advertiser="a", budget_micros=10**12, paused=False) for n in names),
        tuple(Group(n, n, GroupBid(10_000), paused=False) for n in names),
        tuple(Ad(n, n, paused=False) for n in names),
        tuple(AdVersion(n, 1, "T", "B", "https://example.com", "approved") for n in names),
    )
    with writing(store) as connection:
        save_book(connection, AdBook("EUR"), book_)
    return store


class _Bare:
    """Tables without constraints but their keys, filled by the module `sqlite3`."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for setting in ("journal_mode = WAL", "synchronous = FULL"):
            self._connection.execute(f"PRAGMA {setting}")
        self._connection.execute(
            "CREATE TABLE view (offer INTEGER PRIMARY KEY, at, campaign, day, micros, given,"
            " ad_version, viewer, expires, pctr, propensity, features) WITHOUT ROWID"
        )
        self._connection.execute(
            "CREATE TABLE click (offer INTEGER PRIMARY KEY, at, campaign, day, micros, given)"
            " WITHOUT ROWID"
        )

    def insert(self, events: Sequence[AdEvent]) -> None:
        """Insert the rows of a group, passing over what is there."""
        rows: dict[str, list[tuple]] = {"view": [], "click": []}
        for event in events:
            one = event.terms
            row = (one.offer, event.at_seconds, one.campaign, "2026-01-01", 0, "")
            if event.kind == "view":
                row += (one.ad_version, one.viewer, one.expires_seconds, one.pctr,
                        one.propensity, one.features)  # fmt: skip
            rows[event.kind].append(row)
        self._connection.execute("BEGIN IMMEDIATE")
        for kind, of_kind in rows.items():
            marks = ", ".join("?" * (12 if kind == "view" else 6))
            self._connection.executemany(f"INSERT OR IGNORE INTO {kind} VALUES ({marks})", of_kind)
        self._connection.execute("COMMIT")


if __name__ == "__main__":
    main()
