"""The ad server: a request in, at most one offer out, with a decision and its reason per campaign.

    text ─► relevance ─► eligibility ─► pacing ─► prediction ─► auction ─► offer in the ledger

The page then reports that the offer was seen (`view`) or clicked (`click`). `preview` holds the
same auction and books nothing. One server may be used
by many threads, and many processes may serve from one home. A request leaves no words behind: the
ledger stores the viewer's pseudonym of the day and bucket numbers. Nor does a request train the
click predictor: whoever runs the server calls `learn` now and then, beside the requests.

Begin with `price/auction.py` for who wins and `ledger/events.py` for what is charged.
"""

import secrets
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy.engine import Connection, Engine

from rookery.ads.ledger import events as ledger
from rookery.ads.ledger.history import campaign_states, pseudonym
from rookery.ads.ledger.store import (
    campaigns_version,
    open_store,
    read_campaigns,
    reading,
    sqlite_url,
    writing,
)
from rookery.ads.ledger.traffic import Visitor
from rookery.ads.predict.calibration import CalibratedPredictor
from rookery.ads.predict.features import ad_codes, view_buckets
from rookery.ads.predict.ftrl import FtrlPredictor
from rookery.ads.predict.learning import learn_from_ledger, stored_predictor
from rookery.ads.price.auction import Bid, hold_auction, quality_weight
from rookery.ads.price.pacing import current_bid
from rookery.ads.select.eligibility import CampaignState, Page, fits_page, may_spend
from rookery.ads.select.relevance import CampaignVectors, Relevance, prepare, words_of
from rookery.ads.terms.campaigns import Campaign
from rookery.core.context import Clock
from rookery.core.home import Home
from rookery.core.protocols import NO_FEATURE, ClickPredictor, Embedder
from rookery.core.verdict import KEEP, Drop, Verdict

RESERVE_MICROS = 10_000  # no click is sold for less than 0.01
SQUASH = 0.75  # trusts a prediction of clicks a little less than its number; see auction.py
OFFER_LIFETIME_SECONDS = 1800  # a view or click after this does not count
LEARN_EVERY_SECONDS = 300
_CACHED_TEXTS = 2048


@dataclass(frozen=True)
class AdRequest:
    """A request for an ad: the words searched for, the reader's language, a name of the viewer."""

    text: str
    language: str | None
    viewer: str


@dataclass(frozen=True)
class Decision:
    """The decision on one campaign, with the numbers behind it.

    `score` is its score in the auction, 0 if it did not take part.
    """

    campaign: str
    verdict: Verdict
    similarity: float = 0.0
    keywords: tuple[str, ...] = ()
    bid_micros: int = 0
    pctr: float = 0.0
    score: int = 0


@dataclass(frozen=True)
class Offer:
    """An ad about to be shown.

    `view` and `click` name it by its token, and each counts it once; `why` is for the reader.
    """

    token: str
    campaign: str
    advertiser: str
    title: str
    body: str
    url: str
    why: str
    price_micros: int


@dataclass(frozen=True)
class Outcome:
    """The outcome of a request: the offer, if there is one, and the decision on every campaign."""

    offer: Offer | None
    candidates: tuple[Decision, ...]

    @property
    def why(self) -> str:
        """Return why this ad is shown, or why none is, in plain words."""
        return self.offer.why if self.offer else "No campaign fits."


@dataclass(frozen=True)
class _Bidder:
    """A campaign that takes part in the auction."""

    campaign: Campaign
    relevance: Relevance
    bid: Bid
    pctr: float
    buckets: np.ndarray


@dataclass(frozen=True)
class _Sold:
    """The bidder that won the place, and the terms of the offer that the ledger stores."""

    winner: _Bidder
    terms: ledger.OfferTerms

    def offer(self, language: str | None, is_booked: bool) -> Offer:
        """Return the ad to show a reader of a language; one that is not booked has no token."""
        ad = self.winner.campaign
        return Offer(
            token=self.terms.token if is_booked else "",
            campaign=ad.id,
            advertiser=ad.advertiser,
            title=ad.title,
            body=ad.body,
            url=ad.url,
            why=explain(ad, self.winner.relevance, language),
            price_micros=self.terms.price_micros,
        )


class AdServer:
    """A server of ads from the campaigns of a home, or of another store that is open already."""

    def __init__(
        self,
        home: Home | Engine,
        embedder: Embedder,
        clock: Clock,
        predictor: ClickPredictor | None = None,
        *,
        new_token: Callable[[], str] = secrets.token_urlsafe,
    ):
        self._engine = open_store(sqlite_url(home.ads)) if isinstance(home, Home) else home
        self._embedder, self._clock, self._new_token = embedder, clock, new_token
        self._predictor = stored_predictor(
            self._engine, CalibratedPredictor(FtrlPredictor()) if predictor is None else predictor
        )
        self._learned_at_seconds: int | None = None
        self._learning, self._lock = threading.Lock(), threading.Lock()
        self._vectors: OrderedDict[str, np.ndarray] = OrderedDict()
        self._ads: tuple[bytes, CampaignVectors] | None = None

    def close(self) -> None:
        """Close the store."""
        self._engine.dispose()

    def serve(self, request: AdRequest) -> Outcome:
        """Run one auction; an offer in the outcome is in the ledger already."""
        return self._outcome(request, is_booked=True)

    def preview(self, request: AdRequest) -> Outcome:
        """Run one auction that books nothing: its offer has no token and cannot be clicked."""
        return self._outcome(request, is_booked=False)

    def _outcome(self, request: AdRequest, is_booked: bool) -> Outcome:
        page, ads = self._page(request), self._current_ads()
        relevances = ads.compare(page.words, self._vector(request.text)) if ads.campaigns else []
        compared = list(zip(ads.campaigns, relevances, strict=True))
        decisions = {
            c.id: Decision(c.id, fits_page(c, page, r), r.similarity, r.keywords)
            for c, r in compared
        }
        fitting = [(c, r) for c, r in compared if decisions[c.id].verdict == KEEP]
        if not fitting:
            return Outcome(None, tuple(decisions.values()))
        # One writing transaction at a time: two requests cannot both pass a cap.
        transaction = writing if is_booked else reading
        with transaction(self._engine) as connection:
            sold = self._auction(connection, request, page, fitting, decisions)
            if sold is not None and is_booked:
                ledger.add_offer(connection, sold.terms, page.now_seconds, OFFER_LIFETIME_SECONDS)
        offer = None if sold is None else sold.offer(page.language, is_booked)
        return Outcome(offer, tuple(decisions.values()))

    def view(self, token: str, visitor: Visitor | None = None) -> Verdict:
        """Count that an offer was seen; a `Drop` has the reason why it does not count.

        visitor: the request that reports it; None if you answer for it yourself.
        """
        return ledger.add_view(self._engine, token, self._now(), visitor)

    def click(self, token: str, visitor: Visitor | None = None) -> tuple[Verdict, str | None]:
        """Count and charge a click, and return where it leads: None for an unknown token."""
        return ledger.add_click(self._engine, token, self._now(), visitor)

    def learn(self) -> bool:
        """Train the predictor on views whose outcome is known by now; return whether it was due.

        It is due at first, and then every `LEARN_EVERY_SECONDS`. Not for use in a request: requests
        go on meanwhile, with the predictor as it was.
        """
        now_seconds = self._now()
        with self._learning:
            last = self._learned_at_seconds
            if last is not None and now_seconds - last < LEARN_EVERY_SECONDS:
                return False
            self._predictor = learn_from_ledger(self._engine, self._predictor, now_seconds)
            self._learned_at_seconds = now_seconds
        return True

    def _auction(
        self,
        connection: Connection,
        request: AdRequest,
        page: Page,
        fitting: list[tuple[Campaign, Relevance]],
        decisions: dict[str, Decision],
    ) -> "_Sold | None":
        """Sell the place among the campaigns that fit and may spend, and note each decision."""
        viewer = pseudonym(connection, request.viewer, page.now_seconds)
        states = campaign_states(connection, viewer, page.now_seconds)
        predictor, token = self._predictor, self._new_token()
        able = []
        for campaign, relevance in fitting:
            verdict, bid_micros = _bid(campaign, states[campaign.id], page.now_seconds)
            decisions[campaign.id] = replace(
                decisions[campaign.id], verdict=verdict, bid_micros=bid_micros
            )
            if verdict == KEEP:
                able.append((campaign, relevance, bid_micros))
        return _sell(_bidders(able, page, predictor, token), decisions, viewer, token)

    def _now(self) -> int:
        return int(self._clock.now().timestamp())

    def _page(self, request: AdRequest) -> Page:
        language = request.language.lower().partition("-")[0] if request.language else None
        return Page(tuple(words_of(request.text)), language, self._now())

    def _current_ads(self) -> CampaignVectors:
        """Return the campaigns as they are now; they are embedded again only after a change."""
        with self._lock, reading(self._engine) as connection:
            version = campaigns_version(connection)
            if self._ads is None or self._ads[0] != version:
                self._ads = (version, prepare(read_campaigns(connection), self._embedder))
            return self._ads[1]

    def _vector(self, text: str) -> np.ndarray:
        """Return the vector of a text; those of the latest texts are cached."""
        with self._lock:
            if text not in self._vectors:
                self._vectors[text] = self._embedder.embed([text])[0]
                if len(self._vectors) > _CACHED_TEXTS:
                    self._vectors.popitem(last=False)
            return self._vectors[text]


def _bid(campaign: Campaign, state: CampaignState, now_seconds: int) -> tuple[Verdict, int]:
    """Return whether a campaign may bid after what it has spent and shown, and how much."""
    verdict = may_spend(campaign, state)
    if verdict != KEEP:
        return verdict, 0
    bid_micros = current_bid(campaign, state, now_seconds)
    if bid_micros >= RESERVE_MICROS:
        return KEEP, bid_micros
    too_low = campaign.bid_micros < RESERVE_MICROS  # even before pacing
    return Drop("below_reserve" if too_low else "paced_out"), bid_micros


def _bidders(
    able: list[tuple[Campaign, Relevance, int]], page: Page, predictor: ClickPredictor, token: str
) -> list[_Bidder]:
    """Return those who take part, with their predicted clicks; able: each with its bid."""
    buckets = _buckets(able, page)
    pctrs = predictor.predict(buckets).tolist()
    bidders = []
    for (campaign, relevance, bid_micros), row, pctr in zip(able, buckets, pctrs, strict=True):
        weight = quality_weight(pctr, relevance.quality, SQUASH)
        tie = zlib.crc32(f"{token} {campaign.id}".encode())  # equals take turns
        bid = Bid(campaign.id, bid_micros, weight, tie)
        bidders.append(_Bidder(campaign, relevance, bid, pctr, row[row != NO_FEATURE]))
    return bidders


def _buckets(able: list[tuple[Campaign, Relevance, int]], page: Page) -> np.ndarray:
    keywords = sorted({word for _, relevance, _ in able for word in relevance.keywords})
    matched = [[word in relevance.keywords for word in keywords] for _, relevance, _ in able]
    return view_buckets(
        ad_codes([campaign.id for campaign, _, _ in able]),
        np.array([relevance.similarity for _, relevance, _ in able]),
        page.words,
        page.language,
        keywords,
        np.array(matched, dtype=bool).reshape(len(able), len(keywords)),
    )


def _sell(
    bidders: list[_Bidder], decisions: dict[str, Decision], viewer: str, token: str
) -> _Sold | None:
    """Hold the auction, and note the decision on each bidder."""
    sale = hold_auction([bidder.bid for bidder in bidders], RESERVE_MICROS)
    if sale is None:
        return None
    for one in bidders:
        verdict = KEEP if sale.winner == one.bid else Drop("outbid")
        name = one.campaign.id
        decisions[name] = replace(
            decisions[name], verdict=verdict, pctr=one.pctr, score=one.bid.score
        )
    won = next(one for one in bidders if one.bid == sale.winner)
    buckets = tuple(won.buckets.tolist())
    terms = ledger.OfferTerms(
        token, won.campaign.id, viewer, sale.price_micros, won.pctr, buckets, won.campaign.url
    )
    return _Sold(won, terms)


def explain(campaign: Campaign, relevance: Relevance, language: str | None) -> str:
    """Return why this reader sees this ad: who paid, and what on the page it fits.

    It is short and true to the rules.
    """
    if relevance.keywords:
        words = ", ".join(f"“{word}”" for word in relevance.keywords)
        reason = f"your search has {words}, which {campaign.advertiser} chose"
    else:
        reason = f"the ad of {campaign.advertiser} is close in meaning to your search"
    reader = (
        f", and it is for readers of your language ({language})"
        if language in campaign.languages
        else ""
    )
    return (
        f"Paid for by {campaign.advertiser}. You see it because {reason}{reader}. No personal "
        f"profile was used."
    )
