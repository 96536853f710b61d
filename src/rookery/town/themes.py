"""The market of a simulated day: themes to search for, campaigns, and the planted truth.

In the built-in town the themes and adverts are the town's own. On a platform's own posts they are
found in the text: a theme is a word with the words that occur beside it far more often than by
chance. The truth is the probability of a click for every (theme of the search, campaign), drawn
from a seed. A click predictor has to estimate it, and it is known here only: the ad server never
sees it. How a day is simulated is in `day.py`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rookery.ads.select.words import words_of
from rookery.ads.terms.files import slug_of
from rookery.ads.terms.objects import (
    Ad,
    AdBook,
    AdVersion,
    Advertiser,
    Campaign,
    Cap,
    Group,
    GroupBid,
    Keyword,
    Targeting,
)
from rookery.town.posts import TOPICS

CURRENCY = "EUR"
_WORDS_A_THEME = 8
_MOST_CANDIDATES = 500


@dataclass(frozen=True)
class Theme:
    """A subject that some people care for, with its words, whole queries and adverts.

    adverts: (advertiser, title, body, path).
    """

    name: str
    words: tuple[str, ...]
    queries: tuple[str, ...]
    adverts: tuple[tuple[str, str, str, str], ...]


@dataclass(frozen=True)
class TownMarket:
    """The themes, what is sold, and how likely viewers click.

    truth: float64 (themes, campaigns), the probability that a view becomes a click; each campaign
    has one group with one ad, which are named as it is.
    """

    themes: tuple[Theme, ...]
    book: AdBook
    truth: np.ndarray


def town_themes() -> tuple[Theme, ...]:
    """Return the themes of the built-in town."""
    return tuple(
        Theme(
            topic.name,
            topic.words,
            topic.queries,
            tuple((a.advertiser, a.headline, a.body, a.landing_path) for a in topic.adverts),
        )
        for topic in TOPICS
    )


def found_themes(texts: Iterable[str], most: int = 10) -> tuple[Theme, ...]:
    """Return themes found in texts, the strongest first: a seed word and the words tied to it.

    Two words are tied by how much more often they occur in one text than by chance (the leading
    term of Dunning's log-likelihood ratio, 1993). Fewer than `most` are returned where the texts
    have too few words.
    """
    documents = [set(w for w in words_of(text) if len(w) > 3 and w.isalpha()) for text in texts]
    names, together = _ties(documents)
    themes: list[Theme] = []
    free = np.ones(len(names), dtype=bool)
    strength = np.sort(together, axis=1)[:, -(_WORDS_A_THEME - 1) :].sum(axis=1)
    for seed in np.argsort(-strength, kind="stable"):
        company = [
            int(n) for n in np.argsort(-together[seed], kind="stable") if free[n] and n != seed
        ]
        members = [int(seed), *(n for n in company if together[seed, n] > 0)][:_WORDS_A_THEME]
        if not free[seed] or len(members) < 2:
            continue
        free[members] = False
        themes.append(_theme([names[n] for n in members]))
        if len(themes) == most:
            break
    return tuple(themes)


def _ties(documents: Sequence[set[str]]) -> tuple[list[str], np.ndarray]:
    """Return words of medium frequency, and how strongly each two are tied.

    The ties are float64 (words, words). Words in one document, or in more than a thirtieth of all,
    are left out.
    """
    counts = Counter(word for document in documents for word in document)
    most = max(2, len(documents) // 30)
    ranked = sorted(
        ((n, w) for w, n in counts.items() if 2 <= n <= most), key=lambda c: (-c[0], c[1])
    )
    names = [word for _, word in ranked[:_MOST_CANDIDATES]]
    place = {word: n for n, word in enumerate(names)}
    held = np.zeros((len(documents), len(names)), dtype=np.float32)
    for row, document in enumerate(documents):
        held[row, [place[word] for word in document if word in place]] = 1
    both = (held.T @ held).astype(np.float64)
    single = both.diagonal().copy()
    expected = np.outer(single, single) / max(1, len(documents))
    tie = np.where(
        both > expected, both * np.log(np.maximum(both, 1) / np.maximum(expected, 1e-12)), 0.0
    )
    np.fill_diagonal(tie, 0.0)
    # without this division the most common words would come first
    return names, tie / np.sqrt(np.sqrt(np.outer(single, single)))


def _theme(words: Sequence[str]) -> Theme:
    seed, second = words[0], words[1]
    adverts = (
        (
            f"House of {seed.title()}",
            f"Everything about {seed}",
            f"From {seed} to {second}.",
            f"/{seed}",
        ),
        (
            f"{second.title()} & Co",
            f"{second.title()}, and {seed} too",
            f"For friends of {second}.",
            f"/{second}",
        ),
    )
    return Theme(seed, tuple(words), tuple(f"{seed} {word}" for word in words[1:4]), adverts)


def make_market(themes: Sequence[Theme], seed: int) -> TownMarket:
    """Return campaigns for themes, and the truth.

    Each campaign also bids on half of the words of the next theme.
    """
    random = np.random.default_rng([seed, 1])
    sold: list[_Sold] = []
    truth = np.zeros((len(themes), sum(len(theme.adverts) for theme in themes)))
    for place, theme in enumerate(themes):
        neighbour = themes[(place + 1) % len(themes)]
        for number, advert in enumerate(theme.adverts):
            truth[:, len(sold)] = _click_probabilities(random, place, len(themes))
            keywords = (*theme.words, *neighbour.words[number::2])
            sold.append(_sold(theme, place, number, advert, keywords, random))
    return TownMarket(tuple(themes), _book(sold), truth)


def _book(sold: Sequence["_Sold"]) -> AdBook:
    advertisers, campaigns, groups, ads, versions = zip(*sold, strict=True)
    named = {one.id: one for one in advertisers}
    return AdBook(CURRENCY, tuple(named.values()), (), campaigns, groups, ads, versions)


def _click_probabilities(random: np.random.Generator, own: int, themes: int) -> np.ndarray:
    """Return the probability of a click for searches of each theme, (themes,).

    Each ad has an appeal of its own, and a higher one for its own theme.
    """
    logits = random.normal(-3.0, 0.9) + random.normal(0.0, 0.9, themes)
    logits[own] += 1.0
    return 1.0 / (1.0 + np.exp(-logits))


_Sold = tuple[Advertiser, Campaign, Group, Ad, AdVersion]


def _sold(
    theme: Theme,
    place: int,
    number: int,
    advert: tuple[str, str, str, str],
    keywords: Sequence[str],
    random: np.random.Generator,
) -> _Sold:
    """Return a campaign with all that runs it."""
    advertiser, title, body, path = advert
    bid_micros = int(random.integers(10, 60)) * 10_000
    # some run out of money, so that a day shows what happens then
    is_scarce = number == 1 and place % 4 == 0
    name = slug_of(f"{place + 1:02}-{number + 1}-{'-'.join(words_of(theme.name))}")
    campaign = Campaign(
        id=name,
        advertiser=slug_of(advertiser),
        budget_micros=bid_micros * (5 if is_scarce else 1000),
        daily_budget_micros=None if is_scarce else bid_micros * 200,
        caps=(Cap("campaign", 4, 86_400),) if number == 0 else (),
        paused=False,
    )
    words = tuple(Keyword(word) for word in dict.fromkeys(keywords))
    group = Group(name, name, GroupBid(bid_micros), Targeting(keywords=words), paused=False)
    ad = AdVersion(name, 1, title, body, f"https://example.com{path}", "approved")
    return Advertiser(campaign.advertiser, advertiser), campaign, group, Ad(name, name, False), ad
