"""Learning from the ledger: views whose outcome is known train the click predictor.

The outcome of a view is known when its offer has expired: until then a click may still come. Each
view is learned from then, clicked or not, once and in one order, so that the predictor follows from
the ledger alone: what expired in one second is learned from together. Its state is stored beside
the ledger, in the same database, under the name of its kind. No request waits for the training:
only the result is written in a transaction that locks the database. When to learn is decided by
`AdServer.learn`, which nobody calls inside a request.
"""

import json
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from sqlalchemy import select
from sqlalchemy.engine import Connection, Engine, Row

from rookery.ads.ledger.store import click, get_state, offer, reading, set_state, view, writing
from rookery.ads.predict.features import padded
from rookery.ads.predict.ftrl import FtrlPredictor
from rookery.core.protocols import ClickPredictor


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
    while True:
        with reading(engine) as connection:
            trained, until = _stored(connection, predictor), _learned_until(connection, predictor)
            views = _outcomes(connection, until, now_seconds)
        if not views:
            return trained
        for _, expired in groupby(views, key=lambda one: one.expires):
            _learn(trained, list(expired))
        with writing(engine) as connection:
            if _learned_until(connection, predictor) == until:
                state_row, until_row = _rows_of(predictor)
                set_state(connection, state_row, trained.to_bytes())
                set_state(connection, until_row, str(now_seconds).encode())
                return trained


def _learn(predictor: ClickPredictor, views: Sequence[Row]) -> None:
    clicked = np.array([view.auction is not None for view in views])
    predictor.learn(padded([json.loads(view.features) for view in views]), clicked)


def _stored(connection: Connection, predictor: ClickPredictor) -> ClickPredictor:
    state = get_state(connection, _rows_of(predictor)[0])
    return predictor.from_bytes(predictor.to_bytes() if state is None else state)


def _learned_until(connection: Connection, predictor: ClickPredictor) -> int:
    return int(get_state(connection, _rows_of(predictor)[1]) or b"0")


def _rows_of(predictor: ClickPredictor) -> tuple[str, str]:
    """Return the names under which the store has a predictor's state and how far it has learned."""
    # Stores know FTRL by plain names from the time before there were other kinds.
    suffix = "" if predictor.name == FtrlPredictor.name else f" {predictor.name}"
    return f"predictor{suffix}", f"learned_until{suffix}"


def _outcomes(connection: Connection, after_seconds: int, until_seconds: int) -> Sequence[Row]:
    """Return the views whose offers expired in a span of time: features, and click or None."""
    return connection.execute(
        select(offer.c.expires, offer.c.features, click.c.auction)
        .select_from(offer.join(view).outerjoin(click))
        .where(offer.c.expires > after_seconds, offer.c.expires <= until_seconds)
        .order_by(offer.c.expires, offer.c.auction)
    ).all()
