"""A simulated day: viewers search, and ads are served, seen and clicked.

Only the viewers are synthetic; the ad server and the ledger are the real ones. What viewers search
for follows their interests, whether they click follows the market's truth, and now and then an
event is sent twice. Time is a clock that the simulation moves. The same market, interests, seed and
embedder give the same ledger, offer by offer. The market is made in `themes.py`; the day becomes a
stage of the demo in `advertising.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import select
from sqlalchemy.engine import Engine

from rookery.ads.ledger.schema import click, view
from rookery.ads.ledger.store import reading
from rookery.ads.server import AdRequest, AdServer
from rookery.core.context import FixedClock, Task
from rookery.core.protocols import Embedder
from rookery.town.themes import Theme, TownMarket

DAY_BEGINS = datetime(2026, 1, 1, tzinfo=UTC)
_SEEN, _SENT_TWICE = 0.97, 0.02


@dataclass(frozen=True)
class Visit:
    """One search of a viewer; `theme` is the place of the theme that it is for in the market."""

    at_seconds: int
    viewer: int
    theme: int
    text: str


@dataclass(frozen=True)
class Quality:
    """The quality of the click predictions on the views of the day's last quarter.

    Each prediction was made before its view was learnt from. auc_truth: the AUC of the planted
    probabilities themselves, which is the ceiling.
    """

    auc_model: float
    auc_truth: float
    views_judged: int


def visits(
    market: TownMarket, interests: np.ndarray, count: int, random: np.random.Generator
) -> Iterator[Visit]:
    """Yield a day of searches in the order of time, busiest in the evening.

    interests: (viewers, themes), each row sums to 1.
    """
    hours = 1.2 + np.sin((np.arange(24) - 13) / 24 * 2 * np.pi)
    times = np.sort((random.choice(24, count, p=hours / hours.sum()) + random.random(count)) * 3600)
    for at in times:
        viewer = int(random.integers(len(interests)))
        first, second = random.choice(interests.shape[1], 2, p=interests[viewer])
        text = _query(market.themes[first], random)
        if random.random() < 0.4:  # a search that touches two interests lets their ads compete
            text += f" {random.choice(market.themes[second].words)}"
        yield Visit(int(at), viewer, int(first), text)


def _query(theme: Theme, random: np.random.Generator) -> str:
    if random.random() < 0.4:
        return str(random.choice(theme.queries))
    return " ".join(random.choice(theme.words, 2, replace=False))


def simulate_visits(
    store: Engine,
    embedder: Embedder,
    market: TownMarket,
    day: Sequence[Visit],
    seed: int,
    task: Task,
) -> dict[int, float]:
    """Simulate every visit on a store that holds what the market sells.

    Returns the true probability of a click for each offer that was seen, by its number, in order of
    time.
    """
    random, clock = np.random.default_rng([seed, 3]), FixedClock(DAY_BEGINS)
    places = {campaign.id: place for place, campaign in enumerate(market.book.campaigns)}
    truth: dict[int, float] = {}
    with AdServer(store, embedder, clock) as server:
        for visit in day:
            clock.time = DAY_BEGINS + timedelta(seconds=visit.at_seconds)
            server.learn()  # between visits, at moments that depend on the visits alone
            request = AdRequest(visit.text, None, f"viewer {visit.viewer}")
            found = next(iter(server.serve(request)), None)
            seen, click_draw, again = random.random(3)
            if found and seen < _SEEN:
                truth[found.number] = float(market.truth[visit.theme, places[found.campaign]])
                for _ in range(2 if again < _SENT_TWICE else 1):
                    server.view(found.token)
                    if click_draw < truth[found.number]:
                        server.click(found.token)
            task.advance()
    return truth


def quality_of(store: Engine, truth: Mapping[int, float]) -> Quality:
    """Compare the predicted and the true probabilities with the clicks, in the last quarter."""
    query = select(view.c.offer, view.c.pctr, click.c.offer.label("clicked")).select_from(
        view.outerjoin(click)
    )
    with reading(store) as connection:
        rows = connection.execute(query.order_by(view.c.offer)).all()
    last = rows[len(rows) * 3 // 4 :]
    clicked = np.array([row.clicked is not None for row in last], dtype=bool)
    predicted = np.array([row.pctr for row in last])
    return Quality(
        auc(predicted, clicked),
        auc(np.array([truth[row.offer] for row in last]), clicked),
        len(last),
    )


def auc(scores: np.ndarray, clicked: np.ndarray) -> float:
    """Return the probability that a clicked view has a higher score than one not clicked.

    Equal scores count half (Mann and Whitney 1947); 0.5 if there are no views of one kind.
    scores: (views,); clicked: bool (views,).
    """
    positives = int(clicked.sum())
    negatives = len(clicked) - positives
    if not positives or not negatives:
        return 0.5
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]  # equal scores share their mean rank
    return float((ranks[clicked].sum() - positives * (positives + 1) / 2) / (positives * negatives))
