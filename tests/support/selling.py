"""What is sold in tests: campaigns with one group and one ad each, approved and running."""

from dataclasses import replace
from typing import Any

from sqlalchemy.engine import Engine

from rookery.ads.ledger.book import read_book, save_book
from rookery.ads.ledger.store import writing
from rookery.ads.terms.files import slug_of
from rookery.ads.terms.objects import (
    Ad,
    AdBook,
    AdVersion,
    Advertiser,
    Campaign,
    Funding,
    Group,
    GroupBid,
    Keyword,
    Targeting,
)

URL = "https://example.com/tea"
_OF_CAMPAIGN = set(Campaign.__dataclass_fields__)
_OF_TARGETING = set(Targeting.__dataclass_fields__)


def campaign(name: str = "tea", **fields: Any) -> AdBook:
    """Return a campaign that runs, with sensible fields, changed where a test cares.

    advertiser: its name. keywords, excluded: texts or keywords. ads: texts of further ads.
    """
    advertiser = fields.pop("advertiser", "Tea House")
    words = {"title": "Tea above the harbour", "body": "Forty teas.", "url": URL}
    words |= {key: fields.pop(key) for key in list(fields) if key in words}
    bid = GroupBid(fields.pop("bid_micros", 250_000), fields.pop("strategy", "highest"))
    target = {key: fields.pop(key) for key in list(fields) if key in _OF_TARGETING}
    target = {"keywords": ("tea",)} | target
    for key in ("keywords", "excluded"):
        target[key] = tuple(
            Keyword(word) if isinstance(word, str) else word for word in target.get(key, ())
        )
    others = fields.pop("ads", ())
    usual = {"budget_micros": 50_000_000, "paused": False}
    of = Campaign(id=name, advertiser=slug_of(advertiser), **(usual | fields))
    ads = [name, *(f"{name}-{n}" for n in range(2, 2 + len(others)))]
    titles = [words["title"], *others]
    return AdBook(
        "EUR",
        (Advertiser(of.advertiser, advertiser),),
        (),
        (of,),
        (Group(name, name, bid, Targeting(**target), paused=False),),
        tuple(Ad(one, name, paused=False) for one in ads),
        tuple(
            AdVersion(one, 1, review="approved", **(words | {"title": title}))
            for one, title in zip(ads, titles, strict=True)
        ),
    )


def funded(book: AdBook, name: str, budget_micros: int) -> AdBook:
    """Return the same campaign with money that it shares."""
    (of,) = book.campaigns
    money = Funding(name, of.advertiser, budget_micros)
    return replace(book, fundings=(money,), campaigns=(replace(of, funding=name),))


def sell(store: Engine, *books: AdBook) -> None:
    """Save what books sell in a store; what is there with the same id is changed."""
    with writing(store) as connection:
        before = read_book(connection)
        after = before
        for book in books:
            after = _with(after, book)
        save_book(connection, before, after)


_KINDS = ("advertisers", "fundings", "campaigns", "groups", "ads")


def _with(before: AdBook, book: AdBook) -> AdBook:
    merged: dict[str, Any] = {}
    for kind in _KINDS:
        found = {one.id: one for one in getattr(before, kind)}
        found |= {one.id: one for one in getattr(book, kind)}
        merged[kind] = tuple(found[name] for name in sorted(found))
    versions = {(one.ad, one.number): one for one in (*before.versions, *book.versions)}
    return AdBook(book.currency, **merged, versions=tuple(versions[k] for k in sorted(versions)))
