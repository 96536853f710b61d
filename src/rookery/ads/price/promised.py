"""Promised money: what offers that are out may still cost, so that a budget is not sold twice.

Clicks come minutes after the offers that they pay for. An offer therefore promises its price times
the predicted chance of a click, until it is clicked or expires; what is spent and what is promised
together are kept within the budget. So few clicks have to be given away, and none of what is
promised is lost: it is free again when its offer ends.

In memory, of one engine; the ledger alone decides what is charged. The clock is an argument.
"""

import heapq
from dataclasses import dataclass, field


@dataclass
class Promised:
    """The promises of all offers that are out, by what they would be paid from (a budget's id)."""

    _sums: dict[str, int] = field(default_factory=dict)
    _open: dict[str, tuple[str, int]] = field(default_factory=dict)  # by offer
    _ends: list[tuple[float, str]] = field(default_factory=list)  # a heap

    def promise(self, offer: str, budget: str, micros: int, expires_seconds: float) -> None:
        """Promise money for an offer until it expires; an offer promises once."""
        if offer in self._open or micros <= 0:
            return
        self._open[offer] = budget, micros
        self._sums[budget] = self._sums.get(budget, 0) + micros
        heapq.heappush(self._ends, (expires_seconds, offer))

    def settle(self, offer: str) -> int:
        """End the promise of an offer, which was clicked or taken back; return what it was."""
        found = self._open.pop(offer, None)
        if found is None:
            return 0
        budget, micros = found
        left = self._sums[budget] - micros
        if left:
            self._sums[budget] = left
        else:
            del self._sums[budget]
        return micros

    def expire(self, now_seconds: float) -> int:
        """End the promises of the offers that have expired by now, and return how many."""
        count = 0
        while self._ends and self._ends[0][0] <= now_seconds:
            _, offer = heapq.heappop(self._ends)
            count += self.settle(offer) > 0
        return count

    def of(self, budget: str) -> int:
        """Return what is promised from a budget, in micros."""
        return self._sums.get(budget, 0)

    def allows(self, budget: str, left_micros: int, price_micros: int, chance: float) -> bool:
        """Return whether an offer may be made of which so much is left in the budget.

        What it would promise has to fit beside what is promised, and one click at its whole price.
        """
        promised = self.of(budget)
        return price_micros <= left_micros and promised + promise_of(price_micros, chance) <= (
            left_micros
        )


def promise_of(price_micros: int, chance: float) -> int:
    """Return what an offer promises: its price times the chance of a click, at least one micro."""
    return max(1, round(price_micros * chance))
