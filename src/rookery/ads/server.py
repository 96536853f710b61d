"""The ad server: the way of one request, from its words to signed offers.

    words ─► candidates ─► rules ─► prediction ─► auction ─► promised money ─► signed offers

No database is in this way. What is sold, what each group bids now and what its campaign still has
comes from the market (`market.py`); the auction is held in `auction.py`; an offer is a token that
carries its terms (`ledger/token.py`). The page then reports that an offer was seen (`view`) or
clicked (`click`), and a shop that something was bought (`convert`): these are booked in groups, and
answered after their commit.

One server may be used by many threads, and many processes may serve from one store. A request
leaves no words behind: tokens and records have the viewer's pseudonym of the day and numbers of
buckets. Nor does a request train anything: whoever runs the server calls `learn` now and then, and
`tick` some times a second, so that requests find nothing to do beside their own.
"""

import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from sqlalchemy.engine import Engine

from rookery.ads.auction import (
    Auction,
    Bidders,
    bidders,
    cost_and_chance,
    costs_of_winning,
    fitting,
    sell_places,
)
from rookery.ads.explain import record_of
from rookery.ads.ledger import token as tokens
from rookery.ads.ledger.auctions import AuctionFiles, Sold
from rookery.ads.ledger.book import url_of
from rookery.ads.ledger.booking import (
    CONVERSION_SECONDS,
    PAID_BY,
    AdEvent,
    Booked,
    GroupBooking,
    Kind,
)
from rookery.ads.ledger.engines import LIVES_SECONDS, give_back, hold_number, take_number
from rookery.ads.ledger.history import newest_offer, views_since
from rookery.ads.ledger.reasons import OFFERED, add_reasons
from rookery.ads.ledger.store import open_store, reading, store_url, writing
from rookery.ads.ledger.token import OfferTerms
from rookery.ads.ledger.traffic import OTHER_VIEWER, Visitor, judge
from rookery.ads.market import Market, MarketMoment
from rookery.ads.offers import AdRequest, Offer, shown
from rookery.ads.predict.calibration import CalibratedPredictor
from rookery.ads.predict.exploring import Choice, chosen_ad
from rookery.ads.predict.ftrl import FtrlPredictor
from rookery.ads.predict.learning import learn_from_ledger, learn_rates, stored_predictor
from rookery.ads.predict.rates import CLICKED, SEEN
from rookery.ads.preview import Preview, told
from rookery.ads.price.bids import AUTOMATIC
from rookery.ads.price.places import Rule, SoldPlace
from rookery.ads.select.caps import Caps, Seen, capped_versions
from rookery.ads.select.rules import CODES, REASONS, RUNS
from rookery.ads.select.words import words_of
from rookery.ads.terms.objects import PAYMENTS
from rookery.core.context import Clock
from rookery.core.errors import StorageError
from rookery.core.home import Home
from rookery.core.protocols import NO_FEATURE, ClickPredictor, Embedder
from rookery.core.verdict import KEEP, Drop, Verdict

OFFER_LIFETIME_SECONDS = 1800
"""A view or click after this does not count."""
LEARN_EVERY_SECONDS = 300
FLUSH_SECONDS = 5.0
_CACHED_TEXTS = 2048
_SHOWN_DECISIONS = 50


@dataclass(frozen=True)
class _Chosen:
    """The ad that was chosen for a place, and the terms of its offer."""

    offer: Offer
    terms: OfferTerms
    choice: Choice


class AdServer:
    """A server of the ads of a store. records: where auctions leave their records, if anywhere."""

    def __init__(
        self,
        store: Engine,
        embedder: Embedder,
        clock: Clock,
        predictor: ClickPredictor | None = None,
        *,
        records: Path | None = None,
        records_kept_days: int = 7,
        rule: Rule = "second_price",
    ) -> None:
        self.store, self._embedder, self._clock, self._rule = store, embedder, clock, rule
        first = CalibratedPredictor(FtrlPredictor()) if predictor is None else predictor
        self._predictor = stored_predictor(store, first)
        now = self._now()
        self._engine = take_number(store, int(now))
        with writing(store) as connection:
            self._keys = tokens.read_keys(connection, int(now), CONVERSION_SECONDS)
            self._viewer_key = tokens.read_viewer_key(connection)
            newest = newest_offer(connection)
        self._numbers = tokens.OfferNumbers(self._engine, clock, after=newest)
        self._market = Market(store, embedder, clock, self._engine)
        self._market.at(now)
        self._caps = self._restored_caps(now)
        self._booking = GroupBooking(store, self._on_booked)
        kept = records_kept_days
        self._records = AuctionFiles(records, str(self._engine), kept) if records else None
        self._lock, self._learning = threading.RLock(), threading.Lock()
        self._reasons = np.zeros((0, len(REASONS)), np.int32)
        self._offered: Counter[int] = Counter()
        self._learned_at = self._flushed_at = self._held_at = float("-inf")
        self._vectors: OrderedDict[str, np.ndarray] = OrderedDict()

    @classmethod
    def of_home(
        cls, home: Home, embedder: Embedder, clock: Clock, predictor: ClickPredictor | None = None
    ) -> Self:
        """Open the server of a home."""
        store, kept = open_store(store_url(home)), home.settings.ads.auctions_kept_days
        return cls(store, embedder, clock, predictor, records=home.auctions, records_kept_days=kept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Book and write what waits, give the engine's number back, and close the store."""
        self._booking.close()
        try:
            self._flush(self._now())
            give_back(self.store, self._engine)
        finally:
            self._market.close()
            self.store.dispose()

    def _restored_caps(self, now: float) -> Caps:
        """Return what viewers saw as far back as any cap looks."""
        caps, columns = Caps(), self._market.inventory.columns
        if columns.cap_days:
            with reading(self.store) as connection:
                for one in views_since(connection, now - 86_400 * columns.cap_days):
                    if (row := columns.row_of(one.group)) is not None:
                        caps.note(
                            one.viewer, Seen(one.offer, one.at_seconds, None, row, one.version)
                        )
        return caps

    # A request
    # ---------------------------------------------------------------------------------------------

    def serve(self, request: AdRequest) -> tuple[Offer, ...]:
        """Hold an auction, and return an offer for each place that was sold, the best first."""
        words, vector = words_of(request.text), self._vector(request)
        with self._lock:
            auction = self._hold(request, words, vector, promises=True)
            random = np.random.default_rng(auction.number)  # the same again for an auction
            places = range(len(auction.places))
            chosen = [self._offer(request, auction, place, random) for place in places]
            self._note(auction, chosen, request.places)
        return tuple(one.offer for one in chosen)

    def preview(self, request: AdRequest) -> Preview:
        """Hold an auction of which nothing comes: no token, no promise, no cap, no record."""
        words, vector = words_of(request.text), self._vector(request)
        with self._lock:
            auction = self._hold(request, words, vector, promises=False)
            return told(self._market.inventory, request, auction)

    def _hold(
        self, request: AdRequest, words: list[str], vector: np.ndarray, promises: bool
    ) -> Auction:
        now, inventory = self._now(), self._market.inventory
        moment = self._market.at(now)
        found = inventory.candidates(words, vector, moment.worth)
        seen = self._caps.of(self._names(request.viewer, now), now)
        page, columns = request.page, inventory.columns
        found, refused, reasons = fitting(columns, found, page, seen, moment.standing, now)
        taking_part = bidders(
            inventory, found, moment, self._predictor, words, page.language, refused, reasons
        )
        number = self._numbers.next()
        while True:
            places = sell_places(taking_part, columns, number, request.places, self._rule)
            lacks = self._promise(number, moment, taking_part, places, now) if promises else None
            if lacks is None:
                return Auction(number, now, moment, seen, taking_part, tuple(places))
            taking_part = taking_part.without(lacks)

    def _promise(
        self,
        number: int,
        moment: MarketMoment,
        taking_part: Bidders,
        places: list[SoldPlace],
        now: float,
    ) -> int | None:
        """Promise the money of all places, or return who has not enough left, promising none."""
        accounts = self._market.accounts
        for place, sold in enumerate(places):
            row = int(taking_part.found.rows[sold.candidate])
            cost, chance = cost_and_chance(taking_part, sold)
            account = int(moment.accounts[row])
            until = now + OFFER_LIFETIME_SECONDS
            if not accounts.promise(number + place, account, cost, chance, until):
                for before in range(place):
                    accounts.take_back(number + before)
                return sold.candidate
        return None

    def _offer(
        self, request: AdRequest, auction: Auction, place: int, random: np.random.Generator
    ) -> _Chosen:
        """Choose the ad of a group that won a place, sign its offer, and let it count."""
        sold, now = auction.places[place], int(auction.at_seconds)
        columns, taking_part = self._market.inventory.columns, auction.bidders
        row, until = int(taking_part.found.rows[sold.candidate]), now + OFFER_LIFETIME_SECONDS
        choice = self._choose(auction, row, random)
        buckets = taking_part.buckets[sold.candidate]
        terms = OfferTerms(
            offer=auction.number + place,
            campaign=int(columns.rows["campaign"][row]),
            ad_version=int(columns.versions_of(row)[choice.place]),
            viewer=self._name(request.viewer, now),
            pays_for=PAYMENTS[taking_part.pays_for[sold.candidate]],
            price_micros=sold.price_micros,
            pctr=float(taking_part.pctr[sold.candidate]),
            propensity=choice.propensity,
            features=buckets[buckets != NO_FEATURE].astype(tokens.FEATURE_TYPE).tobytes(),
            at_seconds=now,
            expires_seconds=until,
        )
        self._caps.note(terms.viewer, Seen(terms.offer, now, until, row, terms.ad_version))
        offer = shown(
            self._market.inventory,
            request,
            auction,
            place,
            choice.place,
            tokens.seal(terms, self._keys),
        )
        return _Chosen(offer, terms, choice)

    def _choose(self, auction: Auction, row: int, random: np.random.Generator) -> Choice:
        """Choose among the ads of a group: by what is known of them, and now and then any."""
        columns = self._market.inventory.columns
        counts = self._market.rates.of(columns.versions_of(row))
        capped = capped_versions(columns, row, auction.seen, auction.at_seconds)
        allowed = np.flatnonzero(~capped)
        return chosen_ad(allowed, counts[:, SEEN], counts[:, CLICKED], random)

    def _note(self, auction: Auction, chosen: list[_Chosen], asked: int) -> None:
        """Count the reasons of an auction, and leave its record."""
        taking_part, columns = auction.bidders, self._market.inventory.columns
        if len(columns) > len(self._reasons):
            more = np.zeros((len(columns) - len(self._reasons), len(REASONS)), np.int32)
            self._reasons = np.concatenate([self._reasons, more])
        np.add.at(self._reasons, (taking_part.refused, taking_part.reasons), 1)
        rows = taking_part.found.rows
        won = rows[[place.candidate for place in auction.places]]
        self._reasons[rows, CODES["outbid"]] += 1
        self._reasons[won, CODES["outbid"]] -= 1
        self._reasons[won, RUNS] += 1  # offered
        automatic = columns.rows["strategy"][rows] == AUTOMATIC
        if automatic.any():
            self._market.usual.see(rows[automatic], costs_of_winning(taking_part)[automatic])
        if self._records is not None:
            sold = [_sold(one, place) for one, place in zip(chosen, auction.places, strict=True)]
            book = self._market.version
            self._records.add(record_of(auction, sold, columns, book, self._rule, asked))

    # What happened to an offer
    # ---------------------------------------------------------------------------------------------

    def view(self, token: str, visitor: Visitor | None = None) -> Verdict:
        """Count that an offer was seen; a `Drop` has the reason why it does not count.

        visitor: the request that reports it; None if you answer for it yourself. Raises
        `StorageError` if the ledger cannot be written: nothing was counted then.
        """
        return self._book("view", token, visitor)[0]

    def click(self, token: str, visitor: Visitor | None = None) -> tuple[Verdict, str | None]:
        """Count and charge a click, and return where it leads, since even a refused one must
        arrive: None for an unknown token. visitor: as for a view.
        """
        try:
            verdict, terms = self._book("click", token, visitor)
        except StorageError:
            verdict, terms = Drop("not_booked"), tokens.unseal(token, self._keys)
        if terms is None:
            return verdict, None
        with reading(self.store) as connection:
            return verdict, url_of(connection, terms.ad_version)

    def convert(self, token: str) -> Verdict:
        """Count and charge a conversion that follows a click; the shop answers for it."""
        return self._book("conversion", token, None)[0]

    def _book(
        self, kind: Kind, token: str, visitor: Visitor | None
    ) -> tuple[Verdict, OfferTerms | None]:
        """Book an event, and return what became of it when it was committed."""
        now, terms = int(self._now()), tokens.unseal(token, self._keys)
        verdict = KEEP if visitor is None else judge(visitor)
        if visitor is not None and terms is not None and verdict == KEEP:
            # by the day of the offer, since a viewer has another name tomorrow
            is_viewer = (
                visitor.viewer and self._name(visitor.viewer, terms.at_seconds) == terms.viewer
            )
            verdict = KEEP if is_viewer else Drop(OTHER_VIEWER)
        refused = verdict.reason if isinstance(verdict, Drop) else ""
        return self._booking.submit(AdEvent(kind, terms, now, refused)).result().verdict, terms

    def _on_booked(self, event: AdEvent, booked: Booked) -> None:
        """Follow what was booked: its money is spent, and a view counts among the caps."""
        if event.terms is None or not booked.is_counted:
            return
        with self._lock:
            if event.kind == "view":
                self._caps.confirm(event.terms.offer)
            if event.kind == PAID_BY[event.terms.pays_for]:
                self._market.paid(event.terms, booked.micros)

    # Beside requests
    # ---------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Do what is due beside requests: follow the store, write what waits, stay alive."""
        now = self._now()
        with self._lock:
            self._market.at(now, is_request=False)
        self._market.keep_up(now, self._lock)
        if abs(now - self._flushed_at) >= FLUSH_SECONDS:
            self._flushed_at = now
            self._flush(now)
        if abs(now - self._held_at) >= LIVES_SECONDS / 4:
            self._held_at = now
            hold_number(self.store, self._engine, int(now))

    def _flush(self, now: float) -> None:
        """Write the counts of reasons and the records of auctions; read keys that are new."""
        with reading(self.store) as connection:
            self._keys = tokens.read_keys(connection, int(now), CONVERSION_SECONDS)
        with self._lock:
            rows, codes = self._reasons.nonzero()
            times = self._reasons[rows, codes].tolist()
            groups = self._market.inventory.columns.rows["group"][rows].tolist()
            self._reasons[:] = 0
            self._caps.forget(now)
        names = [REASONS[code] or OFFERED for code in codes.tolist()]
        counts = dict(zip(zip(groups, names, strict=True), times, strict=True))
        add_reasons(self.store, tokens.utc_day(now), counts)
        if self._records is not None:
            self._records.flush()

    def learn(self) -> bool:
        """Learn from views whose outcome is known by now; return whether it was due.

        It is due at first, and then every `LEARN_EVERY_SECONDS`. Not for use in a request: requests
        go on meanwhile, with the predictor as it was.
        """
        now = self._now()
        with self._learning:
            if abs(now - self._learned_at) < LEARN_EVERY_SECONDS:
                return False
            self._predictor = learn_from_ledger(self.store, self._predictor, int(now))
            rates = learn_rates(self.store, int(now))
            with self._lock:
                self._market.learned(rates)
            self._learned_at = now
        return True

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _name(self, viewer: str, now: float) -> bytes:
        return tokens.pseudonym(self._viewer_key, viewer, tokens.utc_day(now))

    def _names(self, viewer: str, now: float) -> list[bytes]:
        """Return a viewer's pseudonyms of the days that a cap may look back to."""
        days = self._market.inventory.columns.cap_days
        return [self._name(viewer, now - 86_400 * day) for day in range(days + 1)]

    def _vector(self, request: AdRequest) -> np.ndarray:
        """Return the vector of a text; those of the latest texts are cached."""
        if request.vector is not None:
            return request.vector
        with self._lock:
            known = self._vectors.get(request.text)
        if known is not None:
            return known
        vector = self._embedder.embed([request.text])[0]
        with self._lock:
            self._vectors[request.text] = vector
            if len(self._vectors) > _CACHED_TEXTS:
                self._vectors.popitem(last=False)
        return vector


def _sold(one: _Chosen, place: SoldPlace) -> Sold:
    terms, choice = one.terms, one.choice
    return Sold(
        place.candidate, place.price_micros, terms.ad_version, choice.propensity, choice.explored
    )
