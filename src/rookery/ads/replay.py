"""Replay: a log of bids held again, to see how much of the best that was possible pacing gets.

A log has, for each view that was for sale, its price and the chance of a click that was predicted.
For each budget, an automatic bid is paced over the log as over a day (`price/spending.py`), never
beyond the budget; beside it stands the best in hindsight, which buys the views with the lowest
price for a click until the budget is spent. The first 500 views set the scale of the bid.

Reads logs laid out as two public ones: iPinYou (`click,market_price,pctr`, with a header) and its
form of RTB (`click`, price and pCTR, separated by tabs). Not here: real auctions (`server.py`).
"""

import csv
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from rookery.ads.price.spending import SCALE_VIEWS, automatic_bid, pressures, usual_price
from rookery.core.errors import DataError, UsageError

FRACTIONS = (2, 4, 8, 16, 32)
"""Of what all views cost: a half, a quarter, and so on are the budgets."""
_COLUMNS = ("click", "market_price", "pctr")
_HINT = "A log has click,market_price,pctr with a header, or click, price and pCTR between tabs"


@dataclass(frozen=True)
class BidLog:
    """Views that were for sale, in order. prices, pctr: float64 (n,)."""

    prices: np.ndarray
    pctr: np.ndarray


def replay(log: BidLog, fractions: Sequence[int] = FRACTIONS) -> dict[str, Any]:
    """Return what pacing gets of a log: `{"views", "budgets": [{"fraction", …}]}`.

    value_ratio: predicted clicks bought, of the best in hindsight. spend_ratio: of the budget.
    """
    budgets = []
    for part in fractions:
        budget = float(log.prices.sum()) / part
        value, spent = paced_value(log, budget)
        budgets.append(
            {
                "fraction": f"1/{part}",
                "value_ratio": round(value / (best_value(log, budget) or 1.0), 4),
                "spend_ratio": round(spent / (budget or 1.0), 4),
            }
        )
    return {"views": len(log.prices), "budgets": budgets}


def paced_value(log: BidLog, budget: float) -> tuple[float, float]:
    """Return the predicted clicks that pacing buys with a budget, and what it spends."""
    worth = np.array([usual_price(log.prices[:SCALE_VIEWS], log.pctr[:SCALE_VIEWS])])
    views, spent, value = len(log.prices), 0.0, 0.0
    limit = np.array([budget])
    for place, (price, chance) in enumerate(
        zip(log.prices.tolist(), log.pctr.tolist(), strict=True)
    ):
        due = budget * place / views
        pressure = pressures(np.array([spent]), np.array([due]), limit)
        bid = chance * float(automatic_bid(worth * _FINE, pressure)[0]) / _FINE
        if bid >= price and spent + price <= budget:
            spent += price
            value += chance
    return value, spent


_FINE = 1_000_000  # bids are whole micros of the log's unit


def best_value(log: BidLog, budget: float) -> float:
    """Return the predicted clicks of the views with the lowest price for one, within a budget."""
    order = np.argsort(log.prices / np.maximum(log.pctr, 1e-12), kind="stable")
    within = np.cumsum(log.prices[order]) <= budget
    return float(log.pctr[order][within].sum())


def read_bid_log(path: Path) -> BidLog:
    """Read a log, plain or gzip.

    Raises `UsageError` if it cannot be read, `DataError` for the first line that is no view.
    """
    try:
        with _opened(path) as file:
            found = np.array(list(_views(file, path)))
    except (OSError, UnicodeDecodeError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"the log cannot be read: {reason}", where=path) from None
    if len(found) <= SCALE_VIEWS:
        raise DataError(f"a replay needs more than {SCALE_VIEWS} views", where=path)
    return BidLog(found[:, 0], found[:, 1])


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return open(path, encoding="utf-8", newline="")


def _views(file: TextIO, path: Path) -> Iterator[tuple[float, float]]:
    """Yield the price and the predicted chance of each view."""
    first = file.readline()
    file.seek(0)
    rows: Iterator[Sequence[str]]
    start, columns = 1, (1, 2)
    if "\t" in first:
        rows = csv.reader(file, delimiter="\t")
    else:
        rows = csv.reader(file)
        names = next(rows, [])
        missing = [name for name in _COLUMNS if name not in names]
        if missing:
            raise DataError(f"no column {', '.join(missing)}", where=path, hint=_HINT)
        start, columns = 2, (names.index("market_price"), names.index("pctr"))
    for number, row in enumerate(rows, start):
        try:
            price, chance = (float(row[column]) for column in columns)
            if not (0 <= price < float("inf") and 0 <= chance <= 1):
                raise ValueError
        except (ValueError, IndexError):
            raise DataError("not a view", where=f"{path}, line {number}", hint=_HINT) from None
        yield price, chance
