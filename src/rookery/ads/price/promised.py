"""Promised money: what offers that are out may still cost, so that a budget is not sold twice.

Clicks come minutes after the offers that they pay for. An offer therefore promises its price times
the predicted chance that it is paid for, until it is paid or expires; what is spent and what is
promised together are kept within the budget. So few clicks have to be given away, and none of what
is promised is lost: it is free again when its offer ends.

In memory, of one engine; the ledger alone decides what is charged. The clock is an argument.
"""

import heapq

import numpy as np


class Promised:
    """The promises of all offers that are out, by the numbers of the accounts that made them.

    sums: what each account has promised, int64 micros (accounts,).
    """

    def __init__(self, accounts: int) -> None:
        self.sums = np.zeros(accounts, np.int64)
        self._open: dict[int, tuple[tuple[int, ...], int]] = {}  # by offer
        self._ends: list[tuple[float, int]] = []  # a heap

    def grow(self, accounts: int) -> None:
        """Make room for more accounts."""
        self.sums = np.concatenate([self.sums, np.zeros(accounts - len(self.sums), np.int64)])

    def promise(
        self, offer: int, accounts: tuple[int, ...], micros: int, expires_seconds: float
    ) -> None:
        """Promise money of one or more accounts for an offer until it expires; it does so once."""
        if offer in self._open or micros <= 0:
            return
        self._open[offer] = accounts, micros
        for account in accounts:
            self.sums[account] += micros
        heapq.heappush(self._ends, (expires_seconds, offer))

    def settle(self, offer: int) -> int:
        """End the promise of an offer, which was paid or taken back; return what it was."""
        accounts, micros = self._open.pop(offer, ((), 0))
        for account in accounts:
            self.sums[account] -= micros
        return micros

    def expire(self, now_seconds: float) -> int:
        """End the promises of the offers that have expired by now, and return how many."""
        count = 0
        while self._ends and self._ends[0][0] <= now_seconds:
            count += self.settle(heapq.heappop(self._ends)[1]) > 0
        return count

    def allows(self, account: int, left_micros: int, price_micros: int, chance: float) -> bool:
        """Return whether an account of which so much is left, promised or not, may make an offer.

        What it would promise has to fit beside what is promised, and one payment at its whole
        price.
        """
        promised = int(self.sums[account]) + promise_of(price_micros, chance)
        return price_micros <= left_micros and promised <= left_micros


def promise_of(price_micros: int, chance: float) -> int:
    """Return what an offer promises: its price times the chance of a click, at least one micro."""
    return max(1, round(price_micros * chance))
