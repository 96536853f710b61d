"""A day of ads: campaigns, auctions, views, clicks, and a bill that adds up.

python examples/day_of_ads.py
"""

import sys
from datetime import UTC, datetime, timedelta
from random import Random

import rookery
from rookery.ads import sold
from rookery.ads.report import report
from rookery.ads.server import AdRequest
from rookery.ads.terms.files import sheet_of
from rookery.core.context import FixedClock
from rookery.core.protocols import HashedEmbedder

CAMPAIGNS = b"""
currency = "EUR"

[[campaign]]
id = "tea"
advertiser = "Tea House"
title = "Tea today"
body = "Open until ten."
url = "https://example.com/tea"
bid = 0.25
budget = 5.00
keywords = ["tea", "harbour"]

[[campaign]]
id = "bikes"
advertiser = "Bikes & Co"
title = "Bikes today"
body = "Open until ten."
url = "https://example.com/bikes"
bid = 0.40
budget = 8.00
keywords = ["bike", "harbour"]
"""


def main(folder: str = "ads-home") -> None:
    """Serve a thousand searches of one day, and print the report."""
    home = rookery.create_home(folder)
    # Time and randomness are arguments, so that this day can be replayed.
    clock, chance = FixedClock(datetime(2026, 1, 1, tzinfo=UTC)), Random(0)
    with rookery.AdServer.of_home(home, HashedEmbedder(), clock) as server:
        sold.import_sheet(server.store, sheet_of(CAMPAIGNS, "toml"))
        sold.approve(server.store, ["tea", "bikes"])  # what is new is unreviewed, and paused
        for name in ("tea", "bikes"):
            sold.set_paused(server.store, "campaign", name, False, is_below=True)
        for number in range(1000):
            clock.time += timedelta(seconds=60)
            words = chance.choice(["harbour", "green tea", "bike tour", "weather"])
            request = AdRequest(words, language="en", viewer=f"viewer {number % 50}")
            for offer in server.serve(request):  # none where nobody's ad fits
                server.view(offer.token)
                if chance.random() < 0.1:
                    server.click(offer.token)  # a second click on the same offer is not billed

    found = report(home)
    for row in found["campaigns"]:
        print(row["campaign"], row["views"], "views,", row["clicks"], "clicks, spent", row["spend"])
    print("the ledger agrees with itself:", found["totals"]["ledger_agrees"])


if __name__ == "__main__":
    main(*sys.argv[1:])
