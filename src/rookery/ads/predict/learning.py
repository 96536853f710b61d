"""Learning from the ledger: views whose outcome is known train the click predictor and the rates.

The outcome of a view is known when its offer has expired: until then a click may still come. Each
view is learned from then, clicked or not, once and in one order, so that what is learned follows
from the ledger alone: what expired in one second is learned from together. The state is stored
beside the ledger, in the same database, under the name of its kind. No request waits for the
training: only the result is written in a transaction that locks the database. When to learn is
decided by `AdServer.learn`, which nobody calls inside a request.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TypeVar

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.engine import Connection, Engine, Row

from rookery.ads.ledger.schema import click, conversion, view
from rookery.ads.ledger.store import get_state, reading, set_state, writing
from rookery.ads.ledger.token import FEATURE_TYPE
from rookery.ads.predict.features import padded
from rookery.ads.predict.ftrl import FtrlPredictor
from rookery.ads.predict.rates import CLICKED, CONVERTED, SEEN, Rates
from rookery.core.protocols import ClickPredictor

_RATES = "rates"
_Learner = TypeVar("_Learner", Rates, ClickPredictor)


def stored_predictor(engine: Engine, predictor: ClickPredictor) -> ClickPredictor:
    """Return a copy of a predictor, with the state that the store has for its kind if there is one.

    Learns nothing: a process that only serves begins with what was learned before.
    """
    with reading(engine) as connection:
        return _stored(connection, predictor)


def learn_from_ledger(
    engine: Engine, predictor: ClickPredictor, now_seconds: int
) -> ClickPredictor:
    """Learn from all views whose offers have expired, store the result, and return it.

    The stored state is the beginning, and `predictor` itself is not changed: others may predict
    with it meanwhile. If another process has stored a result first, this one begins again from that
    result, so that no view counts twice.
    """

    def learn(connection: Connection, after_seconds: int) -> ClickPredictor:
        trained = _stored(connection, predictor)
        views = _outcomes(connection, after_seconds, now_seconds)
        for _, expired in groupby(views, key=lambda one: one.expires):
            _learn(trained, list(expired))
        return trained

    return _learned(engine, *_rows_of(predictor), now_seconds, learn)


def learn_rates(engine: Engine, now_seconds: int) -> Rates:
    """Count the views, clicks and conversions that are new, store the rates, and return them."""

    def learn(connection: Connection, after_seconds: int) -> Rates:
        rates = Rates.from_bytes(get_state(connection, _RATES) or b"")
        for kind, keys, times in _counts(connection, after_seconds, now_seconds):
            rates.add(kind, keys, times)
        return rates

    return _learned(engine, _RATES, f"{_RATES}_until", now_seconds, learn)


def _learned(
    engine: Engine,
    state_row: str,
    until_row: str,
    now_seconds: int,
    learn: Callable[[Connection, int], _Learner],
) -> _Learner:
    """Return what is learned of the time since the last result, stored unless another was first."""
    while True:
        with reading(engine) as connection:
            until = _until(connection, until_row)
            learned = learn(connection, until)
        if now_seconds <= until:
            return learned
        with writing(engine) as connection:
            if _until(connection, until_row) == until:
                set_state(connection, state_row, learned.to_bytes())
                set_state(connection, until_row, str(now_seconds).encode())
                return learned


def _learn(predictor: ClickPredictor, views: Sequence[Row]) -> None:
    clicked = np.array([one.offer is not None for one in views])
    features = [np.frombuffer(one.features, FEATURE_TYPE).tolist() for one in views]
    predictor.learn(padded(features), clicked)


def _stored(connection: Connection, predictor: ClickPredictor) -> ClickPredictor:
    state = get_state(connection, _rows_of(predictor)[0])
    return predictor.from_bytes(predictor.to_bytes() if state is None else state)


def _until(connection: Connection, until_row: str) -> int:
    return int(get_state(connection, until_row) or b"0")


def _rows_of(predictor: ClickPredictor) -> tuple[str, str]:
    """Return the names under which the store has a predictor's state and how far it has learned."""
    # Stores know FTRL by plain names from the time before there were other kinds.
    suffix = "" if predictor.name == FtrlPredictor.name else f" {predictor.name}"
    return f"predictor{suffix}", f"learned_until{suffix}"


def _outcomes(connection: Connection, after_seconds: int, until_seconds: int) -> Sequence[Row]:
    """Return the views whose offers expired in a span of time: features, and click or None."""
    return connection.execute(
        select(view.c.expires, view.c.features, click.c.offer)
        .select_from(view.outerjoin(click))
        .where(view.c.expires > after_seconds, view.c.expires <= until_seconds)
        .order_by(view.c.expires, view.c.offer)
    ).all()


def _counts(
    connection: Connection, after_seconds: int, until_seconds: int
) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Return how many views expired and were clicked, and how many conversions came, by version."""
    chains = (
        (SEEN, view, view.c.expires),
        (CLICKED, view.join(click), view.c.expires),
        (CONVERTED, view.join(click).join(conversion), conversion.c.at),
    )
    found = []
    for kind, chain, moment in chains:
        rows = connection.execute(
            select(view.c.ad_version, func.count())
            .select_from(chain)
            .where(moment > after_seconds, moment <= until_seconds)
            .group_by(view.c.ad_version)
        ).all()
        counts = np.array([tuple(row) for row in rows], np.int64).reshape(-1, 2)
        found.append((kind, counts[:, 0], counts[:, 1]))
    return found
