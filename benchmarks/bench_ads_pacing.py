"""Measure how budgets are kept: clicks given away, bid logs replayed, a day that starts late.

    python benchmarks/bench_ads_pacing.py [--ipinyou FILE]

*Given away*: two places a second, 5% of the views are clicked, ten minutes later on average; a
click comes for which the budget holds no money. Mean of twenty seeds, with promised money and
without. *Replay*: what pacing buys of the best in hindsight (`ads replay`).
"""

import argparse
import heapq
from pathlib import Path

import numpy as np
from record import table, write_result

from rookery.ads.price.promised import Promised, promise_of
from rookery.ads.price.spending import paced, pressures
from rookery.ads.replay import read_bid_log, replay
from rookery.ads.terms.days import day_in, within

SEEDS = 20
GIVEN_AWAY = {20: 0.05, 200: 0.01}  # bars, by how many clicks the budget pays
VALUE = {"1/2": 0.99, "1/4": 0.985, "1/8": 0.98, "1/16": 0.97, "1/32": 0.95}
DATA = Path(__file__).parents[2] / "shared" / "data" / "ads_ipinyou" / "bids_2997.csv.gz"
LIVES_SECONDS, DELAY_SECONDS, CTR, PRICE = 1_800.0, 600.0, 0.05, 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ipinyou", type=Path, default=DATA)
    arguments = parser.parse_args()
    body = "## Clicks given away\n\n" + table(
        ["budget, clicks", "with promised money", "without", "bar"], list(given_away())
    )
    if arguments.ipinyou.exists():
        found = replay(read_bid_log(arguments.ipinyou))
        rows = [
            [
                b["fraction"],
                f"{b['value_ratio']:.4f}",
                f"{b['spend_ratio']:.4f}",
                VALUE[b["fraction"]],
            ]
            for b in found["budgets"]
        ]
        body += f"\n## Replay of {found['views']:,} views of iPinYou\n\n"
        body += table(["budget", "of the best in hindsight", "spent", "bar"], rows)
    body += "\n## A day's budget from 20:00 on\n\n" + table(
        ["time", "spent of the day's budget", "bar"], list(late_start())
    )
    print(write_result("ads_pacing", "How budgets are kept", ["numpy"], body).read_text())


def given_away() -> list[list[str]]:
    rows = []
    for clicks, bar in GIVEN_AWAY.items():
        shares = [
            float(np.mean([share_given_away(clicks, seed, promises) for seed in range(SEEDS)]))
            for promises in (True, False)
        ]
        rows.append([str(clicks), *(f"{100 * share:.2f}%" for share in shares), f"{100 * bar:g}%"])
    return rows


def share_given_away(clicks: int, seed: int, promises: bool) -> float:
    """Return the share of clicks that a budget of so many had no money for."""
    chance, promised = np.random.default_rng(seed), Promised(1)
    left, waiting, now, lost, all_clicks, number = clicks * PRICE, [], 0.0, 0, 0, 0
    while (left >= PRICE or waiting) and now < 86_400:
        now += 0.5
        promised.expire(now)
        while waiting and waiting[0][0] <= now:
            promised.settle(heapq.heappop(waiting)[1])
            all_clicks += 1
            lost += left < PRICE
            left -= PRICE if left >= PRICE else 0
        if left >= PRICE and (not promises or promised.allows(0, left, PRICE, CTR)):
            number += 1
            promised.promise(number, (0,), promise_of(PRICE, CTR), now + LIVES_SECONDS)
            delay = chance.exponential(DELAY_SECONDS)
            if chance.random() < CTR and delay < LIVES_SECONDS:
                heapq.heappush(waiting, (now + delay, number))
    return lost / max(1, all_clicks)


def late_start() -> list[list[str]]:
    """Spend a day's budget from 20:00 on, on clicks for which rivals bid up to twice the price."""
    chance, day = np.random.default_rng(3), day_in("UTC", 1_767_571_200)
    period, budget, spent = within(day, day.start_seconds + 20 * 3_600, None), 20_000_000, 0
    rows, now = [], period.start_seconds
    while now < period.end_seconds:
        due = budget * period.due_share(now)
        pressure = pressures(np.array([spent]), np.array([due]), np.array([budget]))
        bid, rival = int(paced(np.array([2 * PRICE]), pressure)[0]), int(chance.integers(2 * PRICE))
        if bid >= rival and spent + rival <= budget and chance.random() < CTR:
            spent += rival
        now += 0.5
        if now == period.start_seconds + 1_800:
            rows.append(["20:30", f"{spent / budget:.3f}", "at most .250"])
    return [*rows, ["24:00", f"{spent / budget:.3f}", "at least .950"]]


if __name__ == "__main__":
    main()
