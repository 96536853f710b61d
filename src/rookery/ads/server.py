"""The ad server: the way of one request, from its words to signed offers.

    words ─► candidates ─► rules ─► prediction ─► auction ─► promised money ─► signed offers

No database is in this way. What is sold, what each group bids now and what its campaign still has
comes from the market (`market.py`); an offer is a token that carries its terms (`ledger/token.py`).
The page then reports that an offer was seen (`view`) or clicked (`click`), and a shop that something
was bought (`conversion`): these are booked in groups, and answered after their commit.

One server may be used by many threads, and many processes may serve from one store. A request
leaves no words behind: tokens and records have the viewer's pseudonym of the day and numbers of
buckets. Nor does a request train anything: whoever runs the server calls `learn` now and then.
"""

import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from sqlalchemy.engine import Engine

from rookery.ads.ledger.booking import Event, GroupBooking
from rookery.ads.ledger.store import open_store, store_url
from rookery.ads.ledger.token import Keys, OfferNumbers, OfferTerms, pseudonym
from rookery.ads.ledger.traffic import Visitor
from rookery.ads.market import RESERVE_MICROS, Market, Moment
from rookery.ads.predict.calibration import CalibratedPredictor
from rookery.ads.predict.exploring import sample_ad, with_uniform_slice
from rookery.ads.predict.features import view_buckets
from rookery.ads.predict.ftrl import FtrlPredictor
from rookery.ads.predict.learning import learn_from_ledger, learn_rates, stored_predictor
from rookery.ads.price.places import Place, Rule, sell, weights_of
from rookery.ads.select.caps import Caps
from rookery.ads.select.index import Candidates
from rookery.ads.select.rules import RUNS, judge
from rookery.ads.select.words import words_of
from rookery.core.context import Clock
from rookery.core.home import Home
from rookery.core.protocols import NO_FEATURE, ClickPredictor, Embedder
from rookery.core.verdict import KEEP, Drop, Verdict

SQUASH = 0.75  # trusts a prediction of clicks a little less than its number; see places.py
OFFER_LIFETIME_SECONDS = 1800  # a view or click after this does not count
LEARN_EVERY_SECONDS = 300
_CACHED_TEXTS = 2048


@dataclass(frozen=True)
class AdRequest:
    """A request for ads beside a text, for a viewer of whom only this is told.

    vector: of the text, where the caller has it. places: how many ads there is room for.
    """

    text: str
    language: str | None
    viewer: str
    country: str | None = None
    device: str | None = None
    places: int = 1
    vector: np.ndarray | None = None


@dataclass(frozen=True)
class Offer:
    """An ad about to be shown.

    `view` and `click` name it by its token, and each counts it once; `why` is for the reader.
    """

    token: str
    auction: int
    campaign: str
    group: str
    ad: str
    advertiser: str
    title: str
    body: str
    url: str
    why: str
    price_micros: int


@dataclass(frozen=True)
class Decision:
    """The decision on one group, with the numbers behind it; reason: why it is not shown."""

    group: str
    campaign: str
    reason: str = ""
    similarity: float = 0.0
    keywords: tuple[str, ...] = ()
    bid_micros: int = 0
    pctr: float = 0.0


@dataclass(frozen=True)
class Preview:
    """What a request would be shown, and why other groups would not.

    decisions: on the groups that took part or fit the text. others: how many more do not run, by
    reason.
    """

    offers: tuple[Offer, ...]
    decisions: tuple[Decision, ...]
    others: Mapping[str, int]


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
        rule: Rule = "second_price",
    ) -> None:
        self.store, self._embedder, self._clock, self._rule = store, embedder, clock, rule
        first = CalibratedPredictor(FtrlPredictor()) if predictor is None else predictor
        self._predictor = stored_predictor(store, first)
        now = self._now()
        self._engine = take_engine(store, now)
        self._keys = read_keys(store, now)
        self._numbers = OfferNumbers(self._engine.number, clock)
        self._market = Market(store, embedder, now, Watch(store).changed)
        self._caps = restored_caps(store, now)
        self._booking = GroupBooking(store, clock)
        self._records = AuctionFiles(records, str(self._engine.number)) if records else None
        self._lock, self._learning = threading.Lock(), threading.Lock()
        self._learned_at = float("-inf")
        self._vectors: OrderedDict[str, np.ndarray] = OrderedDict()

    @classmethod
    def of_home(
        cls,
        home: Home,
        embedder: Embedder,
        clock: Clock,
        predictor: ClickPredictor | None = None,
    ) -> Self:
        """Open the server of a home."""
        return cls(open_store(store_url(home)), embedder, clock, predictor, records=home.auctions)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Book what waits, write what is to be recorded, and close the store."""
        self._booking.close()
        self.store.dispose()
