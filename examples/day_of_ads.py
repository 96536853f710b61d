"""A day of ads: campaigns, auctions, views, clicks, and a bill that adds up.

python examples/day_of_ads.py
"""

import sys
from datetime import UTC, datetime, timedelta
from random import Random

import rookery
from rookery.ads.ledger.store import save_campaigns
from rookery.ads.report import report
from rookery.ads.server import AdRequest
from rookery.ads.terms.campaigns import Campaign, Campaigns
from rookery.core.context import FixedClock
from rookery.core.protocols import HashedEmbedder

MICROS = 1_000_000  # money is integer micros: millionths of a currency unit


def a_campaign(name: str, bid: float, keywords: tuple[str, ...]) -> Campaign:
    """Return a campaign with a budget of twenty clicks at its full bid."""
    bid_micros = round(bid * MICROS)
    return Campaign(
        id=name,
        advertiser=name.title(),
        title=f"{name.title()} today",
        body="Open until ten.",
        url=f"https://example.com/{name}",
        bid_micros=bid_micros,
        budget_micros=20 * bid_micros,
        keywords=keywords,
    )


def main(folder: str = "ads-home") -> None:
    """Serve a thousand searches of one day, and print the report."""
    home = rookery.create_home(folder)
    campaigns = (
        a_campaign("tea", 0.25, ("tea", "harbour")),
        a_campaign("bikes", 0.40, ("bike", "harbour")),
    )
    save_campaigns(home, Campaigns("EUR", campaigns))

    # Time and randomness are arguments, so that this day can be replayed.
    clock, chance = FixedClock(datetime(2026, 1, 1, tzinfo=UTC)), Random(0)
    server = rookery.AdServer(home, HashedEmbedder(), clock)
    for number in range(1000):
        clock.time += timedelta(seconds=60)
        words = chance.choice(["harbour", "green tea", "bike tour", "weather"])
        outcome = server.serve(AdRequest(words, language="en", viewer=f"viewer {number % 50}"))
        if outcome.offer is None:
            continue  # `outcome.why` says why no ad was shown
        server.view(outcome.offer.token)
        if chance.random() < 0.1:
            server.click(outcome.offer.token)  # a second click on the same offer is not billed
    server.close()

    found = report(home)
    for row in found["campaigns"]:
        print(row["campaign"], row["views"], "views,", row["clicks"], "clicks, spent", row["spend"])
    print("the ledger agrees with itself:", found["totals"]["ledger_agrees"])


if __name__ == "__main__":
    main(*sys.argv[1:])
