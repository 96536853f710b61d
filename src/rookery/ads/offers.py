"""Offers: what is asked for, and what a page shows: an ad, and why it stands there.

    AdRequest ─► auction ─► Offer for each place that was sold

Not here: who wins (`auction.py`), and what an offer's token carries (`ledger/token.py`).
"""

from dataclasses import dataclass

import numpy as np

from rookery.ads.auction import Auction
from rookery.ads.select.index import Inventory
from rookery.ads.select.rules import Page


@dataclass(frozen=True)
class AdRequest:
    """A request for ads beside a text, for a viewer of whom only this is told.

    places: how many ads there is room for. vector: of the text, where the caller has it.
    """

    text: str
    language: str | None
    viewer: str
    country: str | None = None
    device: str | None = None
    places: int = 1
    vector: np.ndarray | None = None

    @property
    def page(self) -> Page:
        """Return what the rules look at."""
        language = self.language.lower().partition("-")[0] if self.language else None
        return Page(language, self.country, self.device)


@dataclass(frozen=True)
class Offer:
    """An ad about to be shown.

    `view` and `click` name it by its token, and each counts it once; `why` is for the reader. A
    preview's has no token.
    """

    token: str
    number: int
    campaign: str
    group: str
    ad: str
    advertiser: str
    title: str
    body: str
    url: str
    why: str
    price_micros: int


def shown(
    inventory: Inventory, request: AdRequest, auction: Auction, place: int, ad: int, token: str
) -> Offer:
    """Return the ad of a place as the page shows it. ad: which of its group."""
    sold, columns = auction.places[place], inventory.columns
    row = int(auction.bidders.found.rows[sold.candidate])
    group, campaign, advertiser = columns.ids[row]
    text, language = columns.text(row, ad), request.page.language
    is_for_language = bool(columns.rows["languages"][row])
    keywords = keywords_of(inventory, auction, sold.candidate)
    return Offer(
        token=token,
        number=auction.number + place,
        campaign=campaign,
        group=group,
        ad=text.ad,
        advertiser=advertiser,
        title=text.title,
        body=text.body,
        url=text.url,
        why=why_shown(advertiser, keywords, language if is_for_language else None),
        price_micros=sold.price_micros,
    )


def keywords_of(inventory: Inventory, auction: Auction, candidate: int) -> tuple[str, ...]:
    """Return the keywords of a candidate that the text has."""
    found, texts = auction.bidders.found, inventory.keywords.texts
    matched = found.matched[candidate]
    return tuple(texts[n] for n, has in zip(found.keywords, matched, strict=True) if has)


def why_shown(advertiser: str, keywords: tuple[str, ...], language: str | None) -> str:
    """Return why a reader sees an ad: who paid, and what on the page it fits.

    It is short and true to the rules. language: of the reader, if the ad is for it.
    """
    if keywords:
        words = ", ".join(f"“{word}”" for word in keywords)
        reason = f"your search has {words}, which {advertiser} chose"
    else:
        reason = f"the ad of {advertiser} is close in meaning to your search"
    reader = f", and it is for readers of your language ({language})" if language else ""
    return (
        f"Paid for by {advertiser}. You see it because {reason}{reader}. No personal profile was "
        f"used."
    )
