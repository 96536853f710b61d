"""Accounts: what campaigns may still spend, and how hard their budgets press, in arrays.

    budget, day, what was spent and promised ─► what is left ─► who may be offered
                                             └► what is due ─► shadow prices ─► bids (`bids.py`)

An account is the money of a campaign, or money that several share, as one process sees it: its
budget, that of the day in its own time zone, what was spent of each, and what offers that are out
have promised. It begins with what the ledger says and follows what is booked. It decides what is
offered; what is charged the ledger alone decides.

Where several processes serve from one store, each has an equal part of what was left when it last
asked the ledger, until it asks again; what is less than a part's worth is that of one of them, by
the account. So they never promise more together than there is, and a process that is gone leaves
its part to the others once it is no longer counted (`ledger/engines.py`).

The clock is an argument. Not here: how a shadow price follows (`spending.py`), and whether a
campaign may run at all (`select/rules.py`).
"""

import zlib

import numpy as np

from rookery.ads.price.promised import Promised, promise_of
from rookery.ads.price.spending import pressures
from rookery.ads.terms.days import Period, day_in
from rookery.ads.terms.objects import Campaign, Funding

_NO_LIMIT = 1 << 60
_NONE = -1
_FIRST_ROWS = 64
_ACCOUNT = np.dtype(
    [(name, "<i8") for name in ("budget", "spent", "daily", "today", "own", "start", "end")]
    + [("zone", "<i4"), ("shares", "<i4"), ("turn", "<u4")]
)


class Accounts:
    """The accounts of campaigns and of shared money, by their numbers here.

    pressure: the shadow price of each, float64 (accounts,) or more, as of the last `refresh`.
    """

    def __init__(self) -> None:
        self.pressure = np.zeros(_FIRST_ROWS)
        self._rows = np.zeros(_FIRST_ROWS, _ACCOUNT)
        self._numbers: dict[str, int] = {}  # by kind and id
        self._promised = Promised(_FIRST_ROWS)
        self._parts, self._rank = 1, 0
        self._settled_since: list[tuple[int, int]] = []
        self._zones: dict[str, int] = {}
        self._days: list[Period] = []

    def put(self, campaign: Campaign, now_seconds: float) -> int:
        """Open or change the account of a campaign, and return its number."""
        zone = self._zones.setdefault(campaign.zone, len(self._zones))
        if zone == len(self._days):
            self._days.append(day_in(campaign.zone, now_seconds))
        number = self._number(f"campaign {campaign.id}")
        # money that nobody has put yet is counted from the moment when it is
        shares = self._number(f"funding {campaign.funding}") if campaign.funding else _NONE
        row = self._rows[number]
        row["budget"], row["daily"] = campaign.budget_micros, _or(campaign.daily_budget_micros)
        row["start"] = -_or(None) if campaign.start_seconds is None else campaign.start_seconds
        row["end"], row["zone"], row["shares"] = _or(campaign.end_seconds), zone, shares
        return number

    def put_funding(self, funding: Funding) -> int:
        """Open or change the account of money that campaigns share, and return its number."""
        number = self._number(f"funding {funding.id}")
        self._rows[number]["budget"] = funding.budget_micros
        return number

    def _number(self, name: str) -> int:
        number = self._numbers.setdefault(name, len(self._numbers))
        if number >= len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
            self.pressure = np.concatenate([self.pressure, np.zeros_like(self.pressure)])
            self._promised.grow(len(self._rows))
        row = self._rows[number]
        if not row["end"]:
            row["budget"] = row["daily"] = row["end"] = _NO_LIMIT
            row["start"], row["shares"] = -_NO_LIMIT, _NONE
            row["turn"] = zlib.crc32(name.encode())  # the same in every process
        return number

    def ask(self) -> None:
        """Begin to ask the ledger: what is settled from now on may not be in its answer."""
        self._settled_since = []

    def know(self, numbers: np.ndarray, spent_micros: np.ndarray, today_micros: np.ndarray) -> None:
        """Take over what the ledger says was spent of accounts, and of their days; int64 (n,)."""
        for name, values in (("spent", spent_micros), ("today", today_micros), ("own", 0)):
            self._rows[name][numbers] = values
        since, self._settled_since = self._settled_since, []
        for (
            number,
            micros,
        ) in since:  # counted twice rather than not at all, until it is asked again
            self._add(number, micros)

    def share(self, rank: int, parts: int) -> None:
        """Take the part of one of several processes in all money, from the next `know` on.

        rank: which of them this one is, from 0.
        """
        self._rank, self._parts = rank, parts

    def settle(self, number: int, offer: int, micros: int) -> None:
        """Follow an event that was booked: it was charged so much, and ends what was promised."""
        self._promised.settle(offer)
        for one in self._purses(number):
            self._add(one, micros)
            self._settled_since.append((one, micros))

    def _add(self, number: int, micros: int) -> None:
        for name in ("spent", "today", "own"):
            self._rows[number][name] += micros

    def _purses(self, number: int) -> tuple[int, ...]:
        """Return the account of a campaign, and of the money that it shares."""
        shares = int(self._rows[number]["shares"])
        return (number,) if shares == _NONE else (number, shares)

    def promise(
        self, offer: int, number: int, price_micros: int, chance: float, expires_seconds: float
    ) -> bool:
        """Promise money for an offer if there is enough, and return whether there is."""
        purses = self._purses(number)
        for one in purses:
            left = int(self._parted(self._rows[one : one + 1], price_micros)[0])
            if not self._promised.allows(one, left, price_micros, chance):
                return False
        micros = promise_of(price_micros, chance)
        self._promised.promise(offer, purses, micros, expires_seconds)
        return True

    def take_back(self, offer: int) -> None:
        """End what an offer promised that is not made after all."""
        self._promised.settle(offer)

    def refresh(self, now_seconds: float) -> None:
        """Begin the days that have come, end old promises, and set the shadow prices of now."""
        self._promised.expire(now_seconds)
        self._begin_days(now_seconds)
        rows = self._rows[: len(self._numbers)]
        day_starts = np.array([day.start_seconds for day in self._days] or [0.0])[rows["zone"]]
        day_ends = np.array([day.end_seconds for day in self._days] or [0.0])[rows["zone"]]
        by_day = rows["daily"] < _NO_LIMIT
        scheduled = (rows["start"] > -_NO_LIMIT) & (rows["end"] < _NO_LIMIT)
        starts = np.where(by_day, np.maximum(day_starts, rows["start"]), rows["start"])
        ends = np.where(by_day, np.minimum(day_ends, rows["end"]), rows["end"])
        due = np.clip((now_seconds - starts) / np.maximum(ends - starts, 1.0), 0.0, 1.0)
        budget = np.where(by_day, rows["daily"], rows["budget"])
        spent = np.where(by_day, rows["today"], rows["spent"])
        found = pressures(spent, budget * due, budget)
        self.pressure[: len(rows)] = np.where(by_day | scheduled, found, 0.0)

    def _begin_days(self, now_seconds: float) -> None:
        """Begin the day of each zone where it has come, or the right one after a clock jumped."""
        for name, zone in self._zones.items():
            day = self._days[zone]
            if not day.start_seconds <= now_seconds < day.end_seconds:
                self._days[zone] = day_in(name, now_seconds)
                self._rows["today"][self._rows["zone"] == zone] = 0

    def _parted(self, rows: np.ndarray, least_micros: np.ndarray | int) -> np.ndarray:
        """Return what this process may spend or promise of accounts; int64 micros (n,).

        least_micros: what less than which is of no use; where a part is, one process has the whole.
        """
        left = np.minimum(rows["budget"] - rows["spent"], rows["daily"] - rows["today"])
        if self._parts == 1:
            return left
        part = (left + rows["own"]) // self._parts - rows["own"]
        mine = rows["turn"] % self._parts == self._rank
        return np.where(part >= least_micros, part, np.where(mine, left, 0))

    def left(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what is left of each account in all, and of its day; int64 micros (accounts,).

        Of what it shares no more is left in all than others have left.
        """
        rows = self._rows[: len(self._numbers)]
        return self._with_shared(rows["budget"] - rows["spent"]), rows["daily"] - rows["today"]

    def free(self) -> np.ndarray:
        """Return what this process may still promise of each account; int64 (accounts,)."""
        rows = self._rows[: len(self._numbers)]
        return self._with_shared(self._parted(rows, 1) - self._promised.sums[: len(rows)])

    def _with_shared(self, whole: np.ndarray) -> np.ndarray:
        shares = self._rows["shares"][: len(whole)]
        return np.minimum(whole, np.where(shares == _NONE, _NO_LIMIT, whole[shares]))


def _or(limit: int | None) -> int:
    """Return a limit, or one that nobody reaches."""
    return _NO_LIMIT if limit is None else limit
