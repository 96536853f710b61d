"""The market: what is sold, its money and its rates, as one process knows them at a moment.

    store ─► listings ─► inventory ─────────────────► candidates of a request
          └► what was spent ─► accounts ┐
          └► views and clicks ─► rates ─┴► bids and worth of every group, ten times a second

It follows the store: a change of what is sold is seen by the next request, what other processes
booked within `BALANCES_SECONDS`. What this process books itself it knows at once. Whoever uses it
does so under one lock. It holds no auction (`server.py`) and writes nothing.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice

import numpy as np
from sqlalchemy.engine import Connection, Engine

from rookery.ads.ledger.balances import read_balances, read_fundings
from rookery.ads.ledger.book import book_version, read_listings
from rookery.ads.ledger.engines import living
from rookery.ads.ledger.store import reading
from rookery.ads.ledger.token import OfferTerms
from rookery.ads.ledger.watch import Watch
from rookery.ads.predict.rates import Rates, click_rates, conversion_rates
from rookery.ads.price.accounts import Accounts
from rookery.ads.price.bids import Usual, bids_of, unit_costs
from rookery.ads.price.places import CONVERSION, VIEWS
from rookery.ads.select.columns import GroupColumns
from rookery.ads.select.index import Inventory
from rookery.ads.select.rules import CODES, RUNS, standing
from rookery.ads.terms.objects import VIEWS_AT_ONCE, Campaign, Listing
from rookery.core.context import Clock
from rookery.core.protocols import Embedder

_OVERDUE, _NOBODY = 5, -1
_AT_ONCE = 256
"""Groups whose change nobody notices to wait for."""
REFRESH_SECONDS = 0.1
REFRESH_SECONDS_PER_GROUP = 1e-6
"""The more there are, the longer it takes: so it takes about a twentieth of the time."""
BALANCES_SECONDS = 10.0
"""How often the ledger is asked what all processes have spent, and how many they are."""
RESERVE_MICROS = 10_000
"""Nothing is sold for less than 0.01."""


@dataclass(frozen=True)
class MarketMoment:
    """What every group bids at a moment, by its row in the inventory.

    accounts: numbers of its campaign's account. standing: the code of why it does not run, or
    `RUNS`. bids: int64 micros, for one of what it pays for. clicks, conversions: expected of a
    view, and of a click. worth: of a view to it, 0 if it does not run.
    """

    accounts: np.ndarray
    standing: np.ndarray
    bids: np.ndarray
    clicks: np.ndarray
    conversions: np.ndarray
    worth: np.ndarray


class Market:
    """The market of a store. engine: the number of who serves from it, if anybody does."""

    def __init__(
        self, store: Engine, embedder: Embedder, clock: Clock, engine: int | None = None
    ) -> None:
        self.inventory, self.accounts = Inventory(embedder), Accounts()
        self.rates, self.usual = Rates(), Usual()
        self.version, self._engine = 0, engine
        self._behind, self._is_left, self._is_kept_up = True, False, False
        self._is_asked_soon = False
        self._store, self._watch = store, Watch(store, clock)
        self._account_of_key = np.full(1, _NOBODY, np.int64)
        self._chances: tuple[np.ndarray, np.ndarray] | None = None
        self._refreshed = self._balanced = float("-inf")
        self._moment = self._refresh(clock.now().timestamp())

    def close(self) -> None:
        """End the watch over the store."""
        self._watch.close()

    def at(self, now_seconds: float, is_request: bool = True) -> MarketMoment:
        """Return the bids of now.

        Where `keep_up` is called now and then, a request leaves a change of many groups to it, and
        sets bids only if they are long overdue.
        """
        self._behind = self._behind or self._watch.changed()
        if self._behind and not self._is_left:
            self._is_left = not self._follow(now_seconds, _AT_ONCE if self._is_kept_up else None)
            self._behind = self._is_left  # a store that did not answer is asked again
        often = REFRESH_SECONDS + len(self.inventory.columns) * REFRESH_SECONDS_PER_GROUP
        if is_request and self._is_kept_up:
            often *= _OVERDUE
        if abs(now_seconds - self._refreshed) >= often:  # a clock may jump back
            self._moment = self._refresh(now_seconds)
        return self._moment

    def learned(self, rates: Rates) -> None:
        """Take over rates that were learned."""
        self.rates, self._chances, self._refreshed = rates, None, float("-inf")

    def paid(self, terms: OfferTerms, micros: int) -> None:
        """Follow an event that was booked and is what its offer is paid for."""
        row = self.inventory.columns.row_of_version(terms.ad_version)
        if row is not None:  # else it is of a group that is not sold here yet
            account = int(self._account_of_key[terms.campaign])
            self.accounts.settle(account, terms.offer, micros)
            self.usual.buy(row, micros)

    def _follow(self, now_seconds: float, most: int | None = None) -> bool:
        """Take over what changed of what is sold; return False, doing nothing, if it is too much.

        most: groups that are not too much, or None if any number is to be taken over.
        """
        with reading(self._store) as connection:
            version = book_version(connection)
            if version == self.version:
                return True
            listings = read_listings(connection, self.version)
            if most is not None:
                first = list(islice(listings, most + 1))
                if len(first) > most:
                    return False
                listings = iter(first)
            self._open_fundings(connection)
            take = self.inventory.load if self.version == 0 else self.inventory.change
            take(self._opened(listings, now_seconds))
        self.version = version
        self._refreshed, self._chances = float("-inf"), None
        self._is_asked_soon = True  # what was spent of a campaign that is new here
        return True

    def keep_up(self, now_seconds: float, lock: AbstractContextManager) -> None:
        """Take over what takes long, in parts, so that requests go on in between.

        That is a change of many groups, and what the ledger says. For a thread beside the requests,
        without the lock under which they are answered.
        """
        self._is_kept_up = True
        if self._behind:
            self._follow_in_parts(now_seconds, lock)
        if self._is_asked_soon or abs(now_seconds - self._balanced) >= BALANCES_SECONDS:
            self._balance(now_seconds, lock)
            with lock:
                self._moment = self._refresh(now_seconds)

    def _follow_in_parts(self, now_seconds: float, lock: AbstractContextManager) -> None:
        with reading(self._store) as connection:
            version = book_version(connection)
            with lock:
                self._open_fundings(connection)
            listings = read_listings(connection, self.version)
            while some := list(islice(listings, _AT_ONCE)):
                with lock:
                    self.inventory.change(list(self._opened(some, now_seconds)))
                    self._chances = None
                    self._moment = self._refresh(now_seconds)
        with lock:
            self.version, self._behind, self._is_left = version, False, False
            self._is_asked_soon = True

    def _open_fundings(self, connection: Connection) -> None:
        for funding, _ in read_fundings(connection):
            self.accounts.put_funding(funding)

    def _opened(self, listings: Iterable[Listing], now_seconds: float) -> Iterator[Listing]:
        """Yield groups, after the accounts of their campaigns were opened or changed."""
        for one in listings:
            self._open_account(one.campaign_key, one.campaign, now_seconds)
            yield one

    def _open_account(self, key: int, campaign: Campaign, now_seconds: float) -> None:
        missing = key + 1 - len(self._account_of_key)
        if missing > 0:
            more = np.full(max(missing, len(self._account_of_key)), _NOBODY, np.int64)
            self._account_of_key = np.concatenate([self._account_of_key, more])
        self._account_of_key[key] = self.accounts.put(campaign, now_seconds)

    def _balance(self, now_seconds: float, lock: AbstractContextManager) -> None:
        """Take over what the ledger says was spent, and how many processes serve."""
        with lock:
            self.accounts.ask()
        with reading(self._store) as connection:
            balances, fundings = read_balances(connection, now_seconds), read_fundings(connection)
            engines = living(connection, now_seconds)
        with lock:
            if self._engine in engines:
                self.accounts.share(engines.index(self._engine), len(engines))
            shared = np.array([self.accounts.put_funding(one) for one, _ in fundings], np.int64)
            of_shared = np.array([spent for _, spent in fundings], np.int64)
            known = balances.keys < len(self._account_of_key)
            numbers = self._account_of_key[balances.keys[known]]
            opened = numbers != _NOBODY  # else it is of a campaign that is not followed yet
            self.accounts.know(
                np.concatenate([numbers[opened], shared]),
                np.concatenate([balances.spent[known][opened], of_shared]),
                np.concatenate([balances.today[known][opened], 0 * of_shared]),
            )
            self._balanced, self._is_asked_soon = now_seconds, False

    def _refresh(self, now_seconds: float) -> MarketMoment:
        """Return what every group bids as of now."""
        often = BALANCES_SECONDS * (_OVERDUE if self._is_kept_up else 1)
        is_due = self._is_asked_soon and not self._is_kept_up
        if is_due or abs(now_seconds - self._balanced) >= often:
            self._balance(now_seconds, nullcontext())
        self._refreshed = now_seconds
        self.accounts.refresh(now_seconds)
        columns = self.inventory.columns
        rows = columns.rows
        accounts = self._account_of_key[rows["campaign"]]
        if self._chances is None:  # they change when something was learned or sold
            counts = columns.sums_by_row(self.rates.counts)
            self._chances = click_rates(counts), conversion_rates(counts)
        clicks, conversions = self._chances
        self.usual.grow(len(rows))
        bids = bids_of(
            rows["bid_micros"],
            rows["strategy"],
            self.accounts.pressure[accounts],
            self.usual.prices[: len(rows)],
            self.usual.spent[: len(rows)],
            self.usual.bought[: len(rows)],
        )
        found = self._standing(columns, accounts, bids, now_seconds)
        chance = np.where(rows["pays_for"] == CONVERSION, clicks * conversions, clicks)
        chance = np.where(rows["pays_for"] == VIEWS, 1 / VIEWS_AT_ONCE, chance)
        worth = bids * chance * (found == RUNS)
        return MarketMoment(accounts, found, bids, clicks, conversions, worth)

    def _standing(
        self, columns: GroupColumns, accounts: np.ndarray, bids: np.ndarray, now_seconds: float
    ) -> np.ndarray:
        """Return why each group does not run now, by its own state and by its money."""
        found, prices = standing(columns, now_seconds), columns.rows["bid_micros"]
        whole, today = (left[accounts] for left in self.accounts.left())
        cost = unit_costs(prices, columns.rows["pays_for"] == VIEWS)
        for reason, holds in (
            ("below_reserve", prices < RESERVE_MICROS),
            ("budget_spent", whole < cost),
            ("daily_budget_spent", today < cost),
            ("all_promised", self.accounts.free()[accounts] <= 0),
            ("paced_out", bids < RESERVE_MICROS),
        ):
            found[(found == RUNS) & holds] = CODES[reason]
        return found
