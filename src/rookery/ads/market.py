"""The market: what is sold, its money and its rates, as one process knows them at a moment.

    store ─► listings ─► inventory ─────────────────► candidates of a request
          └► what was spent ─► accounts ┐
          └► views and clicks ─► rates ─┴► bids and worth of every group, ten times a second

It follows the store: a change of what is sold is seen by the next request, what other processes
booked within `BALANCES_SECONDS`. What this process books itself it knows at once. It holds no
auction (`server.py`) and writes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy.engine import Engine

from rookery.ads.ledger.balances import read_balances, read_fundings
from rookery.ads.ledger.book import book_version, read_listings
from rookery.ads.ledger.store import reading
from rookery.ads.predict.rates import Rates, click_rates, conversion_rates
from rookery.ads.price.accounts import Accounts
from rookery.ads.price.bids import Usual, bids_of, unit_costs
from rookery.ads.price.places import CONVERSION, VIEWS
from rookery.ads.select.index import Inventory
from rookery.ads.select.rules import RUNS, code_of, standing
from rookery.ads.terms.objects import Listing
from rookery.core.protocols import Embedder

REFRESH_SECONDS = 0.1
BALANCES_SECONDS = 30.0
RESERVE_MICROS = 10_000
"""Nothing is sold for less than 0.01."""


@dataclass(frozen=True)
class Moment:
    """What every group bids at a moment, by its row in the inventory.

    accounts: numbers of its campaign's account. standing: why it does not run, or `RUNS`. bids:
    int64 micros, for one of what it pays for. rates: expected clicks of a view, and conversions of
    a click. worth: of a view to it, 0 if it does not run.
    """

    accounts: np.ndarray
    standing: np.ndarray
    bids: np.ndarray
    conversions: np.ndarray
    worth: np.ndarray


class Market:
    """The market of a store. changed: tells cheaply whether the store may have changed."""

    def __init__(
        self, store: Engine, embedder: Embedder, now_seconds: float, changed: Callable[[], bool]
    ) -> None:
        self.inventory, self.accounts = Inventory(embedder), Accounts()
        self.rates, self.usual = Rates(), Usual()
        self._store, self._changed = store, changed
        self._account_of_key = np.zeros(1, np.int64)
        self._refreshed = self._balanced = float("-inf")
        self.version = 0
        self.moment = self._follow(now_seconds) or self._refresh(now_seconds)

    def at(self, now_seconds: float) -> Moment:
        """Return the bids of now; call it under a lock, and once for each request."""
        if self._changed():
            self._follow(now_seconds)
        if abs(now_seconds - self._refreshed) >= REFRESH_SECONDS:  # a clock may jump back
            self._refresh(now_seconds)
        return self.moment

    def _follow(self, now_seconds: float) -> Moment | None:
        """Take over what changed of what is sold; return the new bids if anything did."""
        with reading(self._store) as connection:
            version = book_version(connection)
            if version == self.version:
                return None
            listings = list(read_listings(connection, self.version))
            is_first, self.version = self.version == 0, version
            fundings = read_fundings(connection)
        for funding, spent_micros in fundings:
            number = self.accounts.put_funding(funding)
            self.accounts.know(number, spent_micros)
        for key, campaign in {one.campaign_key: one.campaign for one in listings}.items():
            self._open_account(key, campaign, now_seconds)
        (self.inventory.load if is_first else self.inventory.change)(listings)
        self._balanced = float("-inf")
        return self._refresh(now_seconds)

    def _open_account(self, key: int, campaign: Campaign, now_seconds: float) -> None:
        if key >= len(self._account_of_key):
            more = np.zeros(max(key + 1, 2 * len(self._account_of_key)), np.int64)
            more[: len(self._account_of_key)] = self._account_of_key
            self._account_of_key = more
        self._account_of_key[key] = self.accounts.put(campaign, now_seconds)

    def account_of(self, campaign_key: int) -> int | None:
        """Return the number of a campaign's account, or None if the campaign is not known."""
        is_known = 0 <= campaign_key < len(self._account_of_key)
        return int(self._account_of_key[campaign_key]) if is_known else None

    def learned(self, rates: Rates) -> None:
        """Take over rates that were learned."""
        self.rates = rates

    def _balance(self, now_seconds: float) -> None:
        """Take over what the ledger says was spent."""
        with reading(self._store) as connection:
            for one in read_balances(connection, now_seconds):
                if (number := self.accounts.number_of(one.campaign)) is not None:
                    self.accounts.know(number, one.spent_micros, one.today_micros)
            for funding, spent_micros in read_fundings(connection):
                self.accounts.know(self.accounts.put_funding(funding), spent_micros)

    def _refresh(self, now_seconds: float) -> Moment:
        """Set what every group bids as of now."""
        if abs(now_seconds - self._balanced) >= BALANCES_SECONDS:
            self._balance(now_seconds)
            self._balanced = now_seconds
        self.accounts.refresh(now_seconds)
        columns = self.inventory.columns
        accounts = self._account_of_key[columns.campaign_key]
        clicks, conversions = self._rates_of_rows(columns)
        self.usual.grow(len(accounts))
        bids = bids_of(
            columns.bid_micros,
            columns.strategy,
            self.accounts.pressure[accounts],
            self.usual.prices,
            columns.spent_micros,
            columns.bought,
        )
        found = self._standing(columns, accounts, bids, now_seconds)
        worth = np.where(columns.pays_for == VIEWS, 1 / VIEWS_PAID_AT_ONCE, clicks)
        worth = np.where(columns.pays_for == CONVERSION, worth * conversions, worth)
        self._refreshed = now_seconds
        self.moment = Moment(accounts, found, bids, conversions, bids * worth * (found == RUNS))
        return self.moment

    def _standing(
        self, columns: Columns, accounts: np.ndarray, bids: np.ndarray, now_seconds: float
    ) -> np.ndarray:
        """Return why each group does not run now, by its own state and by its money."""
        found = standing(columns, now_seconds)
        whole, today = self.accounts.left()
        cost = unit_costs(columns.bid_micros, columns.pays_for == VIEWS)
        for reason, holds in (
            ("below_reserve", columns.bid_micros < RESERVE_MICROS),
            ("budget_spent", whole[accounts] < cost),
            ("daily_budget_spent", today[accounts] < cost),
            ("paced_out", bids < RESERVE_MICROS),
        ):
            found = np.where((found == RUNS) & holds, code_of(reason), found)
        return found
